//! What one committed entry of 24 bytes costs, three nodes in one thread, appended in batches of 1, 8 and 64.
//!
//! ```text
//! cargo bench -p raft-core                        this crate
//! cargo bench -p raft-core --features peers       .. beside the crates raft and omnipaxos, in the same run
//! cargo bench -p raft-core -- --json FILE         .. the table as JSON, too
//! ```
//!
//! Nanoseconds are CPU time of the thread, the least and the median of several repetitions in which the cores take turns.
//! Instructions are counted by callgrind, for which this program runs itself again. See `raft_core_peers` for the work; a
//! node that applied anything else than was appended fails the run.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod ours;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::Result;
use clap::Parser;
use measure::{callgrind, thread_cpu};
use raft_core_peers::{Core, Run};
use serde::Serialize;

const BATCHES: [usize; 3] = [1, 8, 64];
/// Entries before anything is measured: the ring of this crate's log has gone round by then.
const WARM: u64 = 8_192;
/// Entries under callgrind.
const COUNTED: u64 = 8_192;

#[derive(Parser)]
struct Arguments {
    /// Write the table as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Entries per repetition.
    #[arg(long, default_value_t = 1 << 18)]
    entries: u64,
    /// Repetitions of which the least and the median count.
    #[arg(long, default_value_t = 7)]
    repetitions: usize,
    /// Only work, for callgrind: the core of this name.
    #[arg(long, hide = true, requires = "batch")]
    work: Option<String>,
    #[arg(long, hide = true)]
    batch: Option<usize>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A core that takes part.
struct Contender {
    name: &'static str,
    /// CPU time of so many rounds of so many entries.
    time: fn(usize, u64) -> Duration,
}

impl Contender {
    const fn new<C: Core>() -> Self {
        Self { name: C::NAME, time: time::<C> }
    }
}

const CONTENDERS: &[Contender] = &[
    Contender::new::<ours::Ours>(),
    #[cfg(feature = "peers")]
    Contender::new::<raft_core_peers::raft_rs::RaftRs>(),
    #[cfg(feature = "peers")]
    Contender::new::<raft_core_peers::omnipaxos::Omni>(),
];

fn time<C: Core>(batch: usize, rounds: u64) -> Duration {
    let mut run = Run::<C>::warm(batch, WARM / batch as u64);
    let before = thread_cpu();
    run.measured(rounds);
    let spent = thread_cpu().saturating_sub(before);
    run.check();
    spent
}

/// One line of the table.
#[derive(Serialize)]
struct Row {
    core: &'static str,
    batch: usize,
    cpu_ns_per_entry: f64,
    cpu_ns_per_entry_median: f64,
    /// `None` without valgrind.
    instructions_per_entry: Option<f64>,
    leader_instructions_per_entry: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    nodes: usize,
    entry_bytes: usize,
    entries_per_repetition: u64,
    repetitions: usize,
    instructions_missing: Option<String>,
    rows: Vec<Row>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let (Some(name), Some(batch)) = (&arguments.work, arguments.batch) {
        let contender = CONTENDERS.iter().find(|contender| contender.name == *name).unwrap();
        (contender.time)(batch, COUNTED / batch as u64);
        return Ok(());
    }
    let missing = callgrind::missing();
    let mut rows = Vec::new();
    println!("core        batch   CPU ns/entry  (median)   instructions/entry  of the leader");
    for batch in BATCHES {
        for (contender, times) in CONTENDERS.iter().zip(times(batch, &arguments)) {
            let row = row(contender, batch, &times, missing.is_none())?;
            print(&row);
            rows.push(row);
        }
    }
    if let Some(missing) = &missing {
        println!("NOT MEASURED: instructions: {missing}");
    }
    if let Some(path) = &arguments.json {
        let report = Report {
            nodes: raft_core_peers::NODES,
            entry_bytes: size_of::<raft_core_peers::Command>(),
            entries_per_repetition: arguments.entries,
            repetitions: arguments.repetitions,
            instructions_missing: missing,
            rows,
        };
        fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Nanoseconds per entry of each contender, in order, least first. The contenders take turns.
fn times(batch: usize, arguments: &Arguments) -> Vec<Vec<f64>> {
    let rounds = (arguments.entries / batch as u64).max(1);
    let mut times = vec![Vec::new(); CONTENDERS.len()];
    for _ in 0..arguments.repetitions.max(1) {
        for (contender, times) in CONTENDERS.iter().zip(&mut times) {
            let spent = (contender.time)(batch, rounds);
            times.push(spent.as_secs_f64() * 1e9 / per_run(rounds, batch));
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times
}

#[allow(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
fn per_run(rounds: u64, batch: usize) -> f64 {
    (rounds * batch as u64) as f64
}

fn row(contender: &Contender, batch: usize, times: &[f64], counted: bool) -> Result<Row> {
    let counts = counted.then(|| instructions(contender.name, batch)).transpose()?;
    Ok(Row {
        core: contender.name,
        batch,
        cpu_ns_per_entry: times[0],
        cpu_ns_per_entry_median: times[times.len() / 2],
        instructions_per_entry: counts.map(|(all, _)| all),
        leader_instructions_per_entry: counts.map(|(_, leader)| leader),
    })
}

/// Instructions per entry, of all nodes and of the leader, of this very program.
#[allow(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
fn instructions(name: &str, batch: usize) -> Result<(f64, f64)> {
    let program = env::current_exe()?;
    let batch = batch.to_string();
    let arguments = ["--work", name, "--batch", &batch];
    let counts = callgrind::instructions(Path::new(&program), &arguments, Some("*::measured*"))?;
    let leader = counts.function("lead").inclusive;
    Ok((counts.total as f64 / COUNTED as f64, leader as f64 / COUNTED as f64))
}

fn print(row: &Row) {
    let count = |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.0}"));
    println!(
        "{:<11} {:>5} {:>14.1} {:>9.1} {:>20} {:>14}",
        row.core,
        row.batch,
        row.cpu_ns_per_entry,
        row.cpu_ns_per_entry_median,
        count(row.instructions_per_entry),
        count(row.leader_instructions_per_entry)
    );
}
