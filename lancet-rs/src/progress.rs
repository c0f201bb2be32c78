//! One line per second while a run goes on.

use core::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::live::{Count, Snapshot};
use crate::report::span;

/// In which form, and where, a run shows how it goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Progress {
    /// A line for people, on standard error.
    Text,
    /// A JSON object per line, on standard output; the line for people on standard error too.
    Json,
    /// Nothing.
    None,
}

/// The last second. Counts are of that second, `open` of its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tick {
    /// What this line is: `progress`.
    pub event: &'static str,
    /// Since the start of the run.
    pub seconds: f64,
    /// The phase that the schedule is in.
    pub phase: String,
    /// First sends per second.
    pub sent_rps: f64,
    /// Answers per second.
    pub answered_rps: f64,
    /// Median time from the scheduled moment, in microseconds (to a 32nd of it).
    pub p50_us: f64,
    /// 99 % of the answers came within this time of their scheduled moment.
    pub p99_us: f64,
    /// Requests sent and not ended.
    pub open: u64,
    /// Packets refused.
    pub nacks: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Requests given up, outcome unknown.
    pub unknown: u64,
    /// Requests refused for good.
    pub refused: u64,
    /// Requests never sent.
    pub unsent: u64,
}

impl Tick {
    /// What happened between two snapshots, `length` apart.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "rates of one second")]
    pub fn new(
        at: Duration,
        length: Duration,
        phase: &str,
        earlier: &Snapshot,
        now: &Snapshot,
    ) -> Self {
        let last = now.since(earlier);
        let length = length.as_secs_f64().max(1e-3);
        let rate = |count| (last.count(count) as f64 / length).round();
        Self {
            event: "progress",
            seconds: (at.as_secs_f64() * 1e3).round() / 1e3,
            phase: phase.to_owned(),
            sent_rps: rate(Count::Sent),
            answered_rps: rate(Count::Answered),
            p50_us: last.quantile_us(0.50),
            p99_us: last.quantile_us(0.99),
            open: now.open(),
            nacks: last.count(Count::Nacks),
            retries: last.count(Count::Retries),
            unknown: last.count(Count::Unknown),
            refused: last.count(Count::Refused),
            unsent: last.count(Count::Unsent),
        }
    }

    /// The line for people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{:6.1} s  {}  {:.0}/s sent, {:.0}/s answered, p50 {}, p99 {}, {} open, {} NACKs, {} retries, {} unknown{}",
            self.seconds,
            self.phase,
            self.sent_rps,
            self.answered_rps,
            span(Some(self.p50_us)),
            span(Some(self.p99_us)),
            self.open,
            self.nacks,
            self.retries,
            self.unknown,
            match (self.refused, self.unsent) {
                (0, 0) => String::new(),
                (refused, unsent) => format!(", {refused} refused, {unsent} unsent"),
            },
        )
    }

    /// The line for programs.
    ///
    /// # Errors
    ///
    /// None that this type can cause.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Gauge;

    #[test]
    fn a_tick_is_what_the_last_second_added() {
        let gauge = Gauge::new();
        gauge.add(Count::Sent, 500);
        gauge.add(Count::Answered, 400);
        let earlier = Snapshot::of([&gauge]);
        gauge.add(Count::Sent, 1_000);
        gauge.add(Count::Answered, 990);
        gauge.add(Count::Nacks, 3);
        gauge.add(Count::Unknown, 10);
        gauge.set_open(100);
        (0..990).for_each(|_| gauge.record(1_000_000));
        let second = Duration::from_secs(1);
        let tick = Tick::new(2 * second, second, "before", &earlier, &Snapshot::of([&gauge]));
        assert_eq!((tick.sent_rps, tick.answered_rps), (1_000.0, 990.0));
        assert_eq!((tick.open, tick.nacks, tick.unknown), (100, 3, 10));
        assert!((tick.p50_us / 1_000.0 - 1.0).abs() < 0.04);
        assert!(tick.text().starts_with("   2.0 s  before  1000/s sent, 990/s answered, p50 1.0"));
        let json: serde_json::Value = serde_json::from_str(&tick.json().unwrap()).unwrap();
        assert_eq!((&json["event"], &json["open"]), (&"progress".into(), &100.into()));
    }
}
