//! What a batch of runs came to, for people and for programs.

use core::fmt;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use hovercraft::replica::Mode;
use serde::Serialize;

use crate::batch::Totals;
use crate::knobs::Knobs;

/// The totals of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The first seed.
    pub from: u64,
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that failed.
    pub failed: Vec<u64>,
    /// Requests of clients.
    pub operations: u64,
    /// Histories that could not be decided.
    pub undecided: u64,
    /// Hours of virtual time.
    pub simulated_hours: f64,
    /// Simulated hours per hour of wall time.
    pub simulated_hours_per_hour: f64,
    /// Named states: how often each was reached.
    pub states: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Of the seeds from `from` on, which took `wall`.
    #[must_use]
    pub fn new(from: u64, totals: &Totals, wall: Duration) -> Self {
        let hours = totals.virtual_time.as_secs_f64() / 3_600.0;
        Self {
            from,
            seeds: totals.seeds,
            failed: totals.failures.iter().map(|(seed, _)| *seed).collect(),
            operations: totals.operations,
            undecided: totals.undecided,
            simulated_hours: hours,
            simulated_hours_per_hour: hours * 3_600.0 / wall.as_secs_f64().max(f64::MIN_POSITIVE),
            states: totals.coverage.all().collect(),
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("a report as JSON")?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (state, times) in &self.states {
            writeln!(f, "  {state:40} {times:>12}")?;
        }
        write!(
            f,
            "{} seeds from {}, {} failed; {} operations, {} histories undecided; {:.2} simulated hours, {:.1} per hour",
            self.seeds,
            self.from,
            self.failed.len(),
            self.operations,
            self.undecided,
            self.simulated_hours,
            self.simulated_hours_per_hour
        )
    }
}

/// What a run is made of, in a line.
#[must_use]
pub fn cluster_in_words(knobs: &Knobs) -> String {
    let mode = match knobs.mode {
        Mode::Unreplicated => "unreplicated",
        Mode::Raft => "raft",
        Mode::Hovercraft => "hovercraft",
    };
    let clients = knobs.clients.iter().map(|client| {
        format!("{:?} with {} open, {} % reads", client.mode, client.open_max, client.reads)
    });
    let clients: Vec<_> = clients.collect();
    format!(
        "{} nodes, mode {mode}, {:?}, bound {}; {:?}; clients: {}",
        knobs.nodes,
        knobs.replier,
        knobs.bound,
        knobs.room,
        clients.join(", ")
    )
}
