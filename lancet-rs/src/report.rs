//! The result of a run: a table for people, JSON for programs.
//!
//! Rates are of what was *scheduled* in a phase: `offered_rps` is the schedule, `achieved_rps` the part of it that was
//! answered, then or later. Percentiles are of the time from the scheduled moment to the answer, over answered requests
//! of all threads, merged (histogram.rs); times from the first send and the generator's own lateness stand beside them.
//!
//! Invariants:
//! - R1. What the generator itself did badly is said, never hidden: [`Report::warnings`] names each phase in which it did
//!   not send on time, replies that were not what was asked for, and packets lost on this machine.
//! - R2. `longest_write_gap_ms` of a phase is the longest time within it without an acknowledged write; the run's own is
//!   taken over all phases at once, so that a gap across a boundary is whole there.
//! - R3. A closed loop and an early end are named in [`Report::notes`]: in the first, rates and latencies mean something else
//!   than under a schedule; after the second, phases end where the run did.

use core::fmt::Write as _;
use core::time::Duration;

use serde::Serialize;

use crate::measure::{Measures, PacketCounts, PhaseMeasures};
use crate::phases::{Phase, Phases};

/// A generator that reaches 1 % of its requests later than this after their moment does not keep up.
pub const LATE: Duration = Duration::from_millis(1);

/// Everything that a run found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In order of time.
    pub phases: Vec<Line>,
    /// All phases together.
    pub total: Line,
    /// The longest time without an acknowledged write, in milliseconds; `None` when no write was scheduled.
    pub longest_write_gap_ms: Option<f64>,
    /// Requests scheduled.
    pub operations: u64,
    /// Packets that did not serve.
    pub packets: PacketCounts,
    /// Requests kept open, when this was a closed loop; `None` when a schedule said when to send.
    pub open: Option<u32>,
    /// When the run was interrupted, in seconds since its start; `None` when it went through.
    pub interrupted_at_seconds: Option<f64>,
    /// How the figures are to be read (R3); empty after a schedule that went through.
    pub notes: Vec<String>,
    /// What makes these figures doubtful; empty in a good run.
    pub warnings: Vec<String>,
    /// The seed that repeats the run.
    pub seed: u64,
    /// The command that made it.
    pub command: String,
    /// The program that made it.
    pub version: String,
}

/// Where a report comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Whether the workload has writes.
    pub has_writes: bool,
    /// Requests kept open, when it was a closed loop.
    pub open: Option<u32>,
    /// The seed that repeats the run.
    pub seed: u64,
    /// The command line.
    pub command: String,
}

/// A report as a line of progress.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// What this line is: `report`.
    event: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

/// One line of the table. Times in microseconds unless the name says otherwise; `None` without samples.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The phase.
    pub name: String,
    /// How long requests were scheduled in it.
    pub seconds: f64,
    /// Scheduled requests per second.
    pub offered_rps: f64,
    /// Those of them that were answered, per second.
    pub achieved_rps: f64,
    /// Half of the answers came within this time of their scheduled moment.
    pub p50_us: Option<f64>,
    /// 99 % did.
    pub p99_us: Option<f64>,
    /// 99.9 % did.
    pub p999_us: Option<f64>,
    /// All did.
    pub max_us: Option<f64>,
    /// As `p50_us`, counted from the first send.
    pub from_send_p50_us: Option<f64>,
    /// As `p99_us`, counted from the first send.
    pub from_send_p99_us: Option<f64>,
    /// As `p999_us`, counted from the first send.
    pub from_send_p999_us: Option<f64>,
    /// How late the generator itself was, for half of the requests.
    pub late_p50_us: Option<f64>,
    /// For 99 %.
    pub late_p99_us: Option<f64>,
    /// At worst.
    pub late_max_us: Option<f64>,
    /// Requests answered.
    pub answered: u64,
    /// Packets refused (HC10).
    pub nacks: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Requests whose outcome is unknown.
    pub unknown: u64,
    /// Requests refused for good.
    pub refused: u64,
    /// Requests never sent: no number of the sessions' windows came free within the time-out.
    pub unsent: u64,
    /// Replies that are not what was asked for.
    pub bad_replies: u64,
    /// See R2.
    pub longest_write_gap_ms: Option<f64>,
}

impl Report {
    /// Sums up what all threads measured.
    #[must_use]
    pub fn new(phases: &Phases, measures: &Measures, origin: Origin) -> Self {
        let stopped_at = measures.stopped_at.map(Duration::from_nanos);
        let phases = &stopped_at.map_or_else(|| phases.clone(), |at| phases.until(at));
        let gap = |start, end| {
            let gap = || milliseconds(measures.writes.longest_gap(start..end));
            origin.has_writes.then(gap)
        };
        let lines: Vec<Line> = phases
            .list()
            .iter()
            .zip(&measures.phases)
            .map(|(phase, measured)| Line::new(phase, measured, gap(phase.start, phase.end)))
            .collect();
        let (start, end) = (Duration::ZERO, phases.duration());
        let whole = Phase { name: "total".to_owned(), start, end };
        let total = Line::new(&whole, &measures.total(), gap(start, end));
        let mut warnings: Vec<String> = lines.iter().flat_map(Line::warnings).collect();
        warnings.extend(packet_warnings(&measures.packets));
        Self {
            longest_write_gap_ms: total.longest_write_gap_ms,
            operations: measures.total().counts.scheduled,
            packets: measures.packets,
            open: origin.open,
            interrupted_at_seconds: stopped_at.map(|at| milliseconds(at) / 1e3),
            notes: notes(origin.open, stopped_at),
            warnings,
            phases: lines,
            total,
            seed: origin.seed,
            command: origin.command,
            version: concat!("lancet ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The table, and below it the warnings.
    #[must_use]
    pub fn table(&self) -> String {
        let lines: Vec<&Line> = match self.phases.as_slice() {
            [_] => vec![&self.total],
            phases => phases.iter().chain([&self.total]).collect(),
        };
        let rows: Vec<Vec<String>> = lines.into_iter().map(Line::cells).collect();
        let mut text = aligned(&HEADINGS, &rows);
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text
    }

    /// The same as a line of progress.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        Event { event: "report", report: self }
    }

    /// The same as JSON, indented.
    ///
    /// # Errors
    ///
    /// None that this type can cause.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

const HEADINGS: [&str; 12] = [
    "phase",
    "offered/s",
    "achieved/s",
    "p50",
    "p99",
    "p99.9",
    "NACKs",
    "retries",
    "unknown",
    "refused",
    "unsent",
    "write gap",
];

impl Line {
    fn new(phase: &Phase, measured: &PhaseMeasures, gap: Option<f64>) -> Self {
        let PhaseMeasures { counts, from_schedule, from_send, pacing } = measured;
        let seconds = phase.end.saturating_sub(phase.start).as_secs_f64();
        let rate = |count: u64| round(per_second(count, seconds));
        Self {
            name: phase.name.clone(),
            seconds,
            offered_rps: rate(counts.scheduled),
            achieved_rps: rate(counts.answered),
            p50_us: from_schedule.percentile_us(50.0),
            p99_us: from_schedule.percentile_us(99.0),
            p999_us: from_schedule.percentile_us(99.9),
            max_us: from_schedule.max_us(),
            from_send_p50_us: from_send.percentile_us(50.0),
            from_send_p99_us: from_send.percentile_us(99.0),
            from_send_p999_us: from_send.percentile_us(99.9),
            late_p50_us: pacing.percentile_us(50.0),
            late_p99_us: pacing.percentile_us(99.0),
            late_max_us: pacing.max_us(),
            answered: counts.answered,
            nacks: counts.nacks,
            retries: counts.retries,
            unknown: counts.unknown,
            refused: counts.refused,
            unsent: counts.unsent,
            bad_replies: counts.bad_replies,
            longest_write_gap_ms: gap,
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            format!("{:.0}", self.offered_rps),
            format!("{:.0}", self.achieved_rps),
            span(self.p50_us),
            span(self.p99_us),
            span(self.p999_us),
            self.nacks.to_string(),
            self.retries.to_string(),
            self.unknown.to_string(),
            self.refused.to_string(),
            self.unsent.to_string(),
            span(self.longest_write_gap_ms.map(|ms| ms * 1e3)),
        ]
    }

    /// R1.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let name = &self.name;
        if let Some(late) = self.late_p99_us.filter(|&late| late > LATE.as_secs_f64() * 1e6) {
            warnings.push(format!(
                "{name}: the generator did not keep up: 1 % of the requests were reached {} or more after their \
                 scheduled moment, which the latencies include; lower --rate, or give it more --threads and cores",
                span(Some(late))
            ));
        }
        if self.bad_replies > 0 {
            warnings.push(format!(
                "{name}: {} replies are not what was asked for; is this the service of the workload?",
                self.bad_replies
            ));
        }
        warnings
    }
}

/// R3.
fn notes(open: Option<u32>, stopped_at: Option<Duration>) -> Vec<String> {
    let closed = open.map(|open| {
        format!(
            "closed loop: {open} requests kept open, latency from the send; the offered rate is what the answers left \
             room for, and a stall shows in {open} requests at most (coordinated omission is not accounted for)"
        )
    });
    let interrupted = stopped_at.map(|at| {
        format!(
            "interrupted after {:.1} s: the report is of what was sent until then",
            at.as_secs_f64()
        )
    });
    closed.into_iter().chain(interrupted).collect()
}

/// R1.
fn packet_warnings(packets: &PacketCounts) -> Vec<String> {
    let mut warnings = Vec::new();
    if packets.lost_receiving > 0 {
        warnings.push(format!(
            "{} packets were lost at the generator's own sockets; raise net.core.rmem_max, or give it more --threads \
             and --sessions",
            packets.lost_receiving
        ));
    }
    if packets.lost_sending > 0 {
        warnings.push(format!(
            "the system would not send {} packets; raise net.core.wmem_max, or lower --rate",
            packets.lost_sending
        ));
    }
    warnings
}

/// A time given in microseconds, at the unit that suits it.
#[must_use]
pub fn span(us: Option<f64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us) if us < 1e3 => format!("{us:.1} us"),
        Some(us) if us < 1e6 => format!("{:.2} ms", us / 1e3),
        Some(us) => format!("{:.2} s", us / 1e6),
    }
}

fn aligned(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (column, (cell, &width)) in cells.zip(&widths).enumerate() {
            // Names to the left, numbers to the right.
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    };
    line(&mut headings.iter().copied());
    rows.iter().for_each(|row| line(&mut row.iter().map(String::as_str)));
    text
}

#[allow(clippy::cast_precision_loss, reason = "a rate, shown with one decimal")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

fn round(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests;
