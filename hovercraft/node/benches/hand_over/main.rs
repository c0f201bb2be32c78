//! What the hand-over between the two threads of a node costs per entry.
//!
//! ```text
//! cargo bench -p hovercraft-node --bench hand_over
//! cargo bench -p hovercraft-node --bench hand_over -- --json FILE
//! ```
//!
//! | row | what runs |
//! |---|---|
//! | ring, one thread | a command into the ring, out of it, its completion reported and seen |
//! | ring, two threads | the same, each end on a thread; both poll |
//! | halves, inline | a node's halves in mode `unreplicated`, requests of 24 bytes from memory, both by turns on one thread |
//! | inline, no trace | the same with `trace: (events: 0)`: what is less is the trace's cost |
//! | halves, split | the same on two threads; both poll |
//!
//! Nanoseconds are CPU time, the least and the median of the repetitions; where two threads poll, their CPU time has the
//! polling in it and is what the wall clock says. Instructions are counted by callgrind over all threads, and are given
//! where one thread does the work: polling has as many as there is time for.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod work;

use std::path::PathBuf;
use std::{env, fs};

use anyhow::Result;
use clap::Parser;
use measure::callgrind;
use serde::Serialize;
use work::{CASES, Case, Spent};

/// Entries of the two runs under callgrind, whose difference counts.
const COUNTED: [u64; 2] = [65_536, 131_072];

#[derive(Parser)]
struct Arguments {
    /// Write the table as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Entries per repetition
    #[arg(long, default_value_t = 1 << 20)]
    entries: u64,
    /// Repetitions of which the least and the median count
    #[arg(long, default_value_t = 7)]
    repetitions: usize,
    /// Only work, for callgrind: the case of this name
    #[arg(long, hide = true)]
    work: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One line of the table. Nanoseconds and instructions per entry.
#[derive(Serialize)]
struct Row {
    case: &'static str,
    burst: u64,
    giving_cpu_ns: f64,
    giving_cpu_ns_median: f64,
    /// `None` where one thread does both.
    taking_cpu_ns: Option<f64>,
    taking_cpu_ns_median: Option<f64>,
    wall_ns: f64,
    /// `None` without valgrind, and where threads poll.
    instructions: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    entries_per_repetition: u64,
    repetitions: usize,
    instructions_missing: Option<String>,
    rows: Vec<Row>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(name) = &arguments.work {
        let case = CASES.iter().find(|case| case.id() == *name).unwrap();
        (case.run)(case.burst, arguments.entries);
        return Ok(());
    }
    let missing = callgrind::missing();
    println!(
        "{:<18} {:>5}  {:>22}  {:>22}  {:>8}  {:>12}",
        "per entry",
        "burst",
        "giving CPU ns (median)",
        "taking CPU ns (median)",
        "wall ns",
        "instructions"
    );
    let mut rows = Vec::new();
    for case in CASES {
        let row = row(case, &arguments, missing.is_none())?;
        print(&row);
        rows.push(row);
    }
    if let Some(missing) = &missing {
        println!("NOT MEASURED: instructions: {missing}");
    }
    if let Some(path) = &arguments.json {
        let (entries_per_repetition, repetitions) = (arguments.entries, arguments.repetitions);
        let instructions_missing = missing;
        let report = Report { entries_per_repetition, repetitions, instructions_missing, rows };
        fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

fn row(case: &Case, arguments: &Arguments, counts: bool) -> Result<Row> {
    #[expect(clippy::cast_precision_loss, reason = "entries of a bench")]
    let entries = arguments.entries as f64;
    let runs: Vec<Spent> = (0..arguments.repetitions.max(1))
        .map(|_| (case.run)(case.burst, arguments.entries))
        .collect();
    let sorted = |part: &dyn Fn(&Spent) -> Option<f64>| -> Option<Vec<f64>> {
        let mut times: Vec<f64> = runs.iter().map(part).collect::<Option<_>>()?;
        times.iter_mut().for_each(|time| *time *= 1e9 / entries);
        times.sort_by(f64::total_cmp);
        Some(times)
    };
    let giving = sorted(&|spent| Some(spent.giving.as_secs_f64())).unwrap_or_default();
    let taking = sorted(&|spent| spent.taking.map(|time| time.as_secs_f64()));
    let wall = sorted(&|spent| Some(spent.wall.as_secs_f64())).unwrap_or_default();
    Ok(Row {
        case: case.name,
        burst: case.burst,
        giving_cpu_ns: giving[0],
        giving_cpu_ns_median: giving[giving.len() / 2],
        taking_cpu_ns: taking.as_ref().map(|times| times[0]),
        taking_cpu_ns_median: taking.as_ref().map(|times| times[times.len() / 2]),
        wall_ns: wall[0],
        instructions: if counts && taking.is_none() { Some(instructions(case)?) } else { None },
    })
}

/// By callgrind, which runs this program anew.
fn instructions(case: &Case) -> Result<f64> {
    let program = env::current_exe()?;
    let count = |entries: u64| {
        let entries = entries.to_string();
        callgrind::instructions(&program, &["--work", &case.id(), "--entries", &entries], None)
    };
    let [few, many] = COUNTED;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
    let per_entry = count(many)?.minus(&count(few)?).total as f64 / (many - few) as f64;
    Ok(per_entry)
}

fn print(row: &Row) {
    let pair = |least: f64, median: f64| format!("{least:.1} ({median:.1})");
    let taking = row.taking_cpu_ns.zip(row.taking_cpu_ns_median);
    println!(
        "{:<18} {:>5}  {:>22}  {:>22}  {:>8.1}  {:>12}",
        row.case,
        row.burst,
        pair(row.giving_cpu_ns, row.giving_cpu_ns_median),
        taking.map_or_else(|| "-".to_owned(), |(least, median)| pair(least, median)),
        row.wall_ns,
        row.instructions.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}")),
    );
}
