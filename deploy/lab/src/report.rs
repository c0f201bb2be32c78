//! What a run comes to: a table for people, JSON for programs.

use std::fmt::Write as _;

use history_checker::{Truth, Verdict};
use serde::Serialize;

use crate::load::{self, Tick};

/// The result of a run. The fields are public and stay as they are: programs read them.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What packets went over: `af_packet` or `vhost` (nodes on DPDK), `inproc` (DPDK, all in one process), `udp` (kernel, a
    /// namespace for each node) or `loopback`.
    pub wire: &'static str,
    /// In order of time.
    pub phases: Vec<Phase>,
    /// The longest gap between acknowledged writes; none where no leader was killed.
    pub failover_ms: Option<f64>,
    /// Requests scheduled.
    pub operations: u64,
    /// Operations whose outcome or place could not be established.
    pub undecided: u64,
    /// Acknowledged writes that no node has executed.
    pub acknowledged_lost: u64,
    /// Writes executed a second time.
    pub executed_twice: u64,
    /// Whether the history is one that a single server could have given: true, false or `"undecided"`.
    pub linearizable: Truth,
}

/// One phase. Times in microseconds, from the scheduled moment to the answer; none without an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// What it is called.
    pub name: String,
    /// Scheduled per second.
    pub offered_rps: f64,
    /// Of these, answered.
    pub achieved_rps: f64,
    /// Median.
    pub p50_us: Option<f64>,
    /// 99 % are not above.
    pub p99_us: Option<f64>,
    /// 99.9 % are not above.
    pub p999_us: Option<f64>,
    /// Packets refused.
    pub nacks: u64,
    /// Requests sent again.
    pub retries: u64,
}

const HEADINGS: [&str; 8] =
    ["phase", "offered/s", "achieved/s", "p50", "p99", "p99.9", "NACKs", "retries"];

impl Outcome {
    /// What load and check say, together. `killed`: whether a leader was.
    #[must_use]
    pub fn new(wire: &'static str, load: load::Report, verdict: &Verdict, killed: bool) -> Self {
        Self {
            wire,
            phases: load.phases.into_iter().map(Phase::from).collect(),
            failover_ms: load.longest_write_gap_ms.filter(|_| killed),
            operations: load.operations,
            undecided: verdict.undecided,
            acknowledged_lost: verdict.acknowledged_lost,
            executed_twice: verdict.executed_twice,
            linearizable: verdict.linearizable,
        }
    }

    /// Whether nothing was found that must not be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.linearizable != Truth::False && self.acknowledged_lost == 0 && self.executed_twice == 0
    }

    /// The table, a line per phase.
    #[must_use]
    pub fn table(&self) -> String {
        let headings = HEADINGS.map(str::to_owned);
        let rows: Vec<[String; 8]> =
            [headings].into_iter().chain(self.phases.iter().map(Phase::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                // Names to the left, numbers to the right.
                let _ = match column {
                    0 => write!(text, "{cell:<width$}"),
                    _ => write!(text, "  {cell:>width$}"),
                };
            }
            text.push('\n');
        }
        text
    }

    /// Fail-over and verdict.
    #[must_use]
    pub fn sentences(&self, verdict: &Verdict) -> String {
        let failover = self.failover_ms.map_or_else(String::new, |ms| {
            format!("fail-over: {ms:.0} ms, the longest gap between acknowledged writes\n")
        });
        format!("{failover}{verdict}")
    }
}

impl From<load::Phase> for Phase {
    fn from(phase: load::Phase) -> Self {
        let load::Phase {
            name,
            offered_rps,
            achieved_rps,
            p50_us,
            p99_us,
            p999_us,
            nacks,
            retries,
        } = phase;
        Self { name, offered_rps, achieved_rps, p50_us, p99_us, p999_us, nacks, retries }
    }
}

impl Phase {
    fn cells(&self) -> [String; 8] {
        [
            self.name.clone(),
            format!("{:.0}", self.offered_rps),
            format!("{:.0}", self.achieved_rps),
            time(self.p50_us),
            time(self.p99_us),
            time(self.p999_us),
            self.nacks.to_string(),
            self.retries.to_string(),
        ]
    }
}

/// The live line.
#[must_use]
pub fn live(tick: &Tick, total: f64) -> String {
    format!(
        "{:5.1} of {total:.0} s  {:<13}  {:>6.0}/s sent  {:>6.0}/s answered  p50 {:>8}  p99 {:>8}  {} open  {} NACKs  {} retries",
        tick.seconds,
        tick.phase,
        tick.sent_rps,
        tick.answered_rps,
        time(Some(tick.p50_us)),
        time(Some(tick.p99_us)),
        tick.open,
        tick.nacks,
        tick.retries
    )
}

/// Microseconds in a unit that suits them.
fn time(us: Option<f64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us) if us < 1e3 => format!("{us:.0} us"),
        Some(us) if us < 1e6 => format!("{:.2} ms", us / 1e3),
        Some(us) => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let phase = Phase {
            name: "leader killed".to_owned(),
            offered_rps: 2_000.4,
            achieved_rps: 1_999.6,
            p50_us: Some(93.6),
            p99_us: Some(250_100.0),
            p999_us: None,
            nacks: 3,
            retries: 12,
        };
        Outcome {
            wire: "udp",
            phases: vec![phase],
            failover_ms: Some(231.5),
            operations: 40_000,
            undecided: 0,
            acknowledged_lost: 0,
            executed_twice: 0,
            linearizable: Truth::True,
        }
    }

    #[test]
    fn the_json_has_the_fields_that_programs_read() {
        let json = serde_json::to_string(&outcome()).unwrap();
        assert_eq!(
            json,
            r#"{"wire":"udp","phases":[{"name":"leader killed","offered_rps":2000.4,"achieved_rps":1999.6,"p50_us":93.6,"p99_us":250100.0,"p999_us":null,"nacks":3,"retries":12}],"failover_ms":231.5,"operations":40000,"undecided":0,"acknowledged_lost":0,"executed_twice":0,"linearizable":true}"#
        );
    }

    #[test]
    fn the_table_is_aligned() {
        assert_eq!(
            outcome().table(),
            "phase          offered/s  achieved/s    p50        p99  p99.9  NACKs  retries\n\
             leader killed       2000        2000  94 us  250.10 ms      -      3       12\n"
        );
    }

    #[test]
    fn nothing_lost_nothing_twice_and_no_contradiction_holds() {
        assert!(outcome().holds());
        assert!(Outcome { linearizable: Truth::Undecided, ..outcome() }.holds());
        assert!(!Outcome { linearizable: Truth::False, ..outcome() }.holds());
        assert!(!Outcome { acknowledged_lost: 1, ..outcome() }.holds());
        assert!(!Outcome { executed_twice: 1, ..outcome() }.holds());
    }
}
