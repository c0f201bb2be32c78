//! `hovercraft-bench`: what an ordered operation costs.
//!
//! A client and 3 to 9 whole nodes (replica, application half, synthetic service) are stepped in one thread over an in-memory
//! network, so that CPU time and instructions are those of our code alone: no kernel, no waiting, no second core. The leader's
//! share is measured by feeding a copy of it the packets that it got. With `--wire inproc` (feature `dpdk`) all packets pass
//! through DPDK: queues, network stack and ports of real nodes, joined by a wire that copies.

#![forbid(unsafe_code)]

mod machine;
mod measurement;
mod network;
#[cfg(feature = "dpdk")]
mod ports;
mod reference;
mod report;
mod stages;
mod tape;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use measure::callgrind;
use measurement::{Counted, Effort};
use world::{Mode, REPLY_MIN, REQUEST_MIN, Replier, Shape, Wire};

/// CPU time and instructions per ordered operation, client to reply, in one thread; every combination of the lists is a row.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How requests are replicated.
    #[arg(long, value_delimiter = ',', default_value = "raft,hovercraft")]
    mode: Vec<Mode>,
    /// Nodes of the cluster.
    #[arg(long, value_delimiter = ',', default_value = "3,5,7,9", value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: Vec<u8>,
    /// Bytes of a request, 24 at least (the service's header).
    #[arg(long, value_delimiter = ',', default_value = "24,64,512")]
    request: Vec<usize>,
    /// Bytes of a reply, 8 at least (the service's header).
    #[arg(long, value_delimiter = ',', default_value = "8,6000")]
    reply: Vec<usize>,
    /// Requests that arrive together; each batch is followed by the next while the one before commits.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    batch: Vec<usize>,
    /// Who answers in mode hovercraft.
    #[arg(long, default_value = "jbsq")]
    replier: Replier,
    /// What packets go through; inproc: DPDK in this process, its ports joined by a wire that copies.
    #[arg(long, default_value = "memory")]
    wire: Wire,
    /// Messages between nodes carry no MAC, as on a trusted network.
    #[arg(long)]
    no_key: bool,
    /// Operations of a round.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    ops: u64,
    /// Rounds; the fastest counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Do not count instructions, which takes some seconds for each row and needs valgrind.
    #[arg(long)]
    no_instructions: bool,
    /// Print the leader's instructions by stage, too.
    #[arg(long, conflicts_with = "no_instructions")]
    split: bool,
    /// Write the rows there as JSON: {"rows": [...]}.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Compare instructions with those of an earlier run, which --json wrote; fail where they rose by more than the margin.
    #[arg(long, conflicts_with = "no_instructions")]
    against: Option<PathBuf>,
    /// In percent.
    #[arg(long, default_value_t = 10.0)]
    margin: f64,
    /// What this process does for callgrind.
    #[arg(long, hide = true)]
    counted: Option<Counted>,
}

/// Requests of one packet keep to the paper's case; what is longer is measured by hovercraft-lab bench.
const REQUEST_MAX: usize = 1_024;
const REPLY_MAX: usize = 1 << 20;
const BATCH_MAX: usize = 64;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hovercraft-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let shapes = options.shapes()?;
    if let Some(what) = options.counted {
        return measurement::run_counted(shapes[0], what);
    }
    let missing = callgrind::missing().filter(|_| !options.no_instructions);
    if let Some(missing) = &missing {
        eprintln!("instructions are not counted: {missing}");
    }
    let instructions = !options.no_instructions && missing.is_none();
    let effort = Effort { ops: options.ops, rounds: options.rounds, instructions };
    let mut rows = Vec::new();
    report::head();
    for shape in shapes {
        let row = measurement::measure(shape, effort).with_context(|| format!("{shape:?}"))?;
        report::row(&row, options.split);
        rows.push(row);
    }
    if let Some(file) = &options.json {
        report::json(file, &rows)?;
    }
    if let Some(file) = &options.against {
        reference::compare(file, options.margin, &rows)?;
    }
    Ok(())
}

impl Options {
    fn shapes(&self) -> Result<Vec<Shape>> {
        check("--request", &self.request, REQUEST_MIN, REQUEST_MAX)?;
        check("--reply", &self.reply, REPLY_MIN, REPLY_MAX)?;
        check("--batch", &self.batch, 1, BATCH_MAX)?;
        let mut shapes = Vec::new();
        for &mode in &self.mode {
            for &nodes in &self.nodes {
                for &request in &self.request {
                    for &reply in &self.reply {
                        for &batch in &self.batch {
                            let (replier, key, wire) = (self.replier, !self.no_key, self.wire);
                            shapes.push(Shape {
                                mode,
                                nodes,
                                request,
                                reply,
                                batch,
                                replier,
                                key,
                                wire,
                            });
                        }
                    }
                }
            }
        }
        Ok(shapes)
    }
}

fn check(option: &str, values: &[usize], min: usize, max: usize) -> Result<()> {
    for value in values {
        ensure!((min..=max).contains(value), "{option} {value}: must be {min} to {max}");
    }
    Ok(())
}
