//! One row: times by this thread's CPU clock, instructions by callgrind on a child that runs the same shape.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

#[cfg(not(feature = "dpdk"))]
use anyhow::bail;
use anyhow::{Context as _, Result};
use measure::callgrind;
use serde::Serialize;

use crate::network::{Memory, Network, Rerun};
#[cfg(feature = "dpdk")]
use crate::ports::Ports;
use crate::stages;
use crate::tape::Tape;
use crate::world::{Shape, Wire, World};

/// One line of the table and of the JSON. Per operation, all of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Its fields stand beside the others.
    #[serde(flatten)]
    pub shape: Shape,
    /// Client, all nodes, both halves, and the copies in between.
    pub cpu_ns_per_op: f64,
    /// The same in instructions; null without valgrind.
    pub instructions_per_op: Option<f64>,
    /// The leader alone, both halves.
    pub leader_ns_per_op: f64,
    pub leader_instructions_per_op: Option<f64>,
    /// Packets.
    pub leader_rx_per_op: f64,
    pub leader_tx_per_op: f64,
    /// The leader's instructions by stage.
    pub stages: Option<BTreeMap<&'static str, f64>>,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Operations of a round.
    pub ops: u64,
    /// Rounds, of which the fastest counts: others were disturbed.
    pub rounds: u32,
    /// Count instructions, too.
    pub instructions: bool,
}

/// What a child under callgrind is to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Counted {
    /// The whole operation.
    Whole,
    /// The leader's share.
    Leader,
}

/// Operations under callgrind, after as many of warm-up.
const COUNTED_OPS: u64 = 2_048;

/// Measures one shape.
///
/// # Errors
///
/// Requests without an answer, nodes that differ, callgrind failing, DPDK not starting.
pub(crate) fn measure(shape: Shape, effort: Effort) -> Result<Row> {
    match shape.wire {
        Wire::Memory => measure_on::<Memory>(shape, effort),
        #[cfg(feature = "dpdk")]
        Wire::Inproc => measure_on::<Ports>(shape, effort),
        #[cfg(not(feature = "dpdk"))]
        Wire::Inproc => bail!(WITHOUT_DPDK),
    }
}

/// What the child does: warm up, then the part that callgrind counts.
///
/// # Errors
///
/// As [`measure()`].
pub(crate) fn run_counted(shape: Shape, what: Counted) -> Result<()> {
    match shape.wire {
        Wire::Memory => run_counted_on::<Memory>(shape, what),
        #[cfg(feature = "dpdk")]
        Wire::Inproc => run_counted_on::<Ports>(shape, what),
        #[cfg(not(feature = "dpdk"))]
        Wire::Inproc => bail!(WITHOUT_DPDK),
    }
}

#[cfg(not(feature = "dpdk"))]
const WITHOUT_DPDK: &str =
    "--wire inproc: this program was built without DPDK: build it with the feature `dpdk`";

fn measure_on<N: Network>(shape: Shape, effort: Effort) -> Result<Row> {
    let batches = (effort.ops / shape.batch as u64).max(1);
    let mut world = World::<N>::start(shape)?;
    world.run(batches, None)?;
    let (rx, tx, answered) = (world.leader_rx, world.leader_tx, world.answered);
    let mut whole = Duration::MAX;
    for _ in 0..effort.rounds {
        let begin = measure::thread_cpu();
        world.run(batches, None)?;
        whole = whole.min(measure::thread_cpu().saturating_sub(begin));
    }
    let answered = world.answered - answered;
    let (rx, tx) = (world.leader_rx - rx, world.leader_tx - tx);
    world.check()?;
    let leader = with_leader(world, batches, |network, place, rerun| {
        network.time(place, rerun, effort.rounds)
    })?;
    let ops = batches * shape.batch as u64;
    let counts = effort.instructions.then(|| count::<N>(shape)).transpose()?;
    Ok(Row {
        shape,
        cpu_ns_per_op: per(whole.as_nanos(), ops),
        instructions_per_op: counts.as_ref().map(|counts| counts.0),
        leader_ns_per_op: per(leader.as_nanos(), ops),
        leader_instructions_per_op: counts.as_ref().map(|counts| counts.1),
        leader_rx_per_op: per(rx.into(), answered),
        leader_tx_per_op: per(tx.into(), answered),
        stages: counts.map(|counts| counts.2),
    })
}

fn run_counted_on<N: Network>(shape: Shape, what: Counted) -> Result<()> {
    let batches = COUNTED_OPS / shape.batch as u64;
    let mut world = World::<N>::start(shape)?;
    world.run(batches, None)?;
    match what {
        Counted::Whole => world.run_counted(batches),
        Counted::Leader => with_leader(world, batches, N::count),
    }
}

/// Runs the world for twice so many batches, and lets `again` do the leader's part of it again. A copy's buffers are those
/// that the world gives up before.
fn with_leader<N: Network, R>(
    mut world: World<N>,
    batches: u64,
    again: impl FnOnce(&mut N, usize, Rerun<'_>) -> R,
) -> Result<R> {
    let place = world.leader;
    let first = world.machines[place].clone();
    let (mut warm, mut measured) = (Tape::default(), Tape::default());
    world.run(batches, Some(&mut warm))?;
    world.run(batches, Some(&mut measured))?;
    let World { mut network, machines, .. } = world;
    drop(machines);
    Ok(again(&mut network, place, Rerun { first: &first, warm: &warm, measured: &measured }))
}

/// Instructions: of the whole operation, of the leader, and the leader's by stage.
fn count<N: Network>(shape: Shape) -> Result<(f64, f64, BTreeMap<&'static str, f64>)> {
    let ops = COUNTED_OPS / shape.batch as u64 * shape.batch as u64;
    let program = env::current_exe().context("this program's own file")?;
    let run = |what: &str, toggle: &str| {
        let mut args = shape.arguments();
        args.extend(["--counted".to_owned(), what.to_owned()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        callgrind::instructions(&program, &args, Some(toggle))
    };
    let whole = run("whole", "*World*::run_counted*")?;
    let leader = run("leader", N::COUNTED)?;
    let stages = stages::split(shape.wire, &leader.sources)?;
    let stages = stages.into_iter().map(|(stage, cost)| (stage, per(cost.into(), ops)));
    Ok((per(whole.total.into(), ops), per(leader.total.into(), ops), stages.collect()))
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds and counts far below 2^52")]
fn per(sum: u128, ops: u64) -> f64 {
    // Two digits: more would be noise.
    (sum as f64 / ops as f64 * 100.0).round() / 100.0
}
