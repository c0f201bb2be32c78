//! Clusters measured end to end on this machine, each beside the kernel's own floor.
//!
//! ```text
//! for each network and mode: a cluster, and an echo beside its first node
//!   for each round, for each number of open requests:
//!     floor:   client ──> echo ──> client       packets of the sizes of requests and replies
//!     cluster: lancet --open N ──> nodes
//! ```
//!
//! Invariants:
//! - B1. Floor and cluster are measured in turn, in short rounds, and medians over the rounds are shown: what else the
//!   machine does hits both.
//! - B2. A round counts only when everything that was sent was answered. One in which something was missing is said and
//!   measured again; after a few in a row the bench ends with what was missing.
//! - B3. CPU time is that of whole processes, user and system, from the first packet to the last answer (`meter`).

mod meter;
mod row;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use r2p2::extension::{EXTENDED_LEN, EXTENDED_RESPONSE_LEN};
use serde::Deserialize;

use crate::cluster::{self, Lab};
use crate::floor::FloorReport;
use crate::process::Identity;
use crate::run::ELECTION;
use meter::{Metered, meter};
use row::{Round, Sample};
pub use row::{Row, table};

/// Subcommand of our own program that echoes.
pub const ECHO: &str = "echo-datagrams";

/// Subcommand of our own program that loads the echo.
pub const LOAD_ECHO: &str = "load-echo";

/// How often a round is measured that loses something.
const TRIES: u32 = 3;

/// What goes before each measurement.
const WARM: Duration = Duration::from_millis(100);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The clusters: network by name, and how to start them.
    pub clusters: Vec<(&'static str, cluster::Plan)>,
    /// The load generator.
    pub load_program: PathBuf,
    /// Requests open at a time.
    pub open: Vec<u32>,
    /// Rounds of each cell.
    pub rounds: u32,
    /// Length of a round.
    pub length: Duration,
    /// Bytes of a request, 24 at least.
    pub request: u32,
    /// Bytes of a reply, 8 at least.
    pub reply: u32,
}

/// What `lancet` reports of a closed loop, as far as it is read here.
#[derive(Debug, Deserialize)]
struct LoadReport {
    phases: Vec<Phase>,
    total: Total,
    operations: u64,
}

#[derive(Debug, Deserialize)]
struct Phase {
    achieved_rps: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Total {
    answered: u64,
    retries: u64,
}

/// Measures everything; a row for each cell, in the order of networks, modes and open requests. `say` is told how far it
/// is.
///
/// # Errors
///
/// When a cluster cannot be started or does not answer, or `interrupted` says so; nothing runs then.
pub fn run(
    plan: &Plan,
    say: &mut dyn FnMut(&str),
    interrupted: &dyn Fn() -> bool,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (place, cluster) in &plan.clusters {
        let mode = cluster.mode_word();
        say(&format!("{place}, {mode}: {} rounds of {:?}", plan.rounds, plan.length));
        let mut lab = Lab::up(cluster, say)?;
        let measured = cells(plan, &mut lab, say, interrupted);
        if interrupted() {
            lab.down()?;
            bail!("interrupted; everything was taken down");
        }
        let cells = measured.with_context(|| format!("{place}, {mode}"))?;
        lab.down()?;
        let cells = plan.open.iter().zip(cells);
        rows.extend(cells.map(|(&open, rounds)| Row::new(place, mode, open, &rounds)));
    }
    Ok(rows)
}

/// The rounds of each number of open requests.
fn cells(
    plan: &Plan,
    lab: &mut Lab,
    say: &mut dyn FnMut(&str),
    interrupted: &dyn Fn() -> bool,
) -> anyhow::Result<Vec<Vec<Round>>> {
    lab.wait_for_leader(ELECTION, interrupted)?;
    let echo = start_echo(plan, lab)?;
    let mut cells: Vec<Vec<Round>> = plan.open.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.rounds {
        for (&open, rounds) in plan.open.iter().zip(&mut cells) {
            let mut whole = |what: &str, measure: &dyn Fn() -> anyhow::Result<Sample>| {
                for _ in 0..TRIES {
                    ensure!(!interrupted(), "interrupted");
                    let sample = measure().with_context(|| format!("{what}, {open} open"))?;
                    let Sample { sent, answered, .. } = sample;
                    if sent == answered {
                        return Ok(sample);
                    }
                    say(&format!("{what}, {open} open: {answered} of {sent} answered; once more"));
                }
                bail!("{what}, {open} open: not everything is answered, {TRIES} times in a row")
            };
            let floor = whole("the floor", &|| floor(plan, lab, echo, open))?;
            let cluster = whole("the cluster", &|| load(plan, lab, open))?;
            rounds.push(Round { floor, cluster });
        }
    }
    Ok(cells)
}

fn start_echo(plan: &Plan, lab: &mut Lab) -> anyhow::Result<Identity> {
    let own = lab.view.state.network.beside(1).to_string();
    let reply = EXTENDED_RESPONSE_LEN + usize::try_from(plan.reply)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ECHO, &own, &reply.to_string()]);
    lab.start_beside(1, &mut command, "echo.log")
}

/// One round of the floor.
fn floor(plan: &Plan, lab: &Lab, echo: Identity, open: u32) -> anyhow::Result<Sample> {
    let mut command = lab.client_command(std::env::current_exe()?.as_os_str())?;
    let to = lab.view.state.network.beside(1).to_string();
    let request = EXTENDED_LEN + usize::try_from(plan.request)?;
    command.args([LOAD_ECHO, &to, &open.to_string(), &request.to_string()]);
    command.args([WARM, plan.length].map(|length| length.as_millis().to_string()));
    let log = lab.view.path.join("floor.log");
    let Metered { report, servers, client } = meter::<FloorReport>(&mut command, &log, &[echo])?;
    let FloorReport { sent, answered, rate, p50_us, p99_us } = report;
    Ok(Sample { rate, p50_us, p99_us, sent, answered, retries: 0, servers, client })
}

/// One round of the cluster.
fn load(plan: &Plan, lab: &Lab, open: u32) -> anyhow::Result<Sample> {
    let program = &plan.load_program;
    ensure!(
        program.is_file(),
        "no program {}; build it with `cargo build --release`",
        program.display()
    );
    let mut command = lab.client_command(program.as_os_str())?;
    command.arg("--config").arg(lab.view.path.join("cluster.ron"));
    command.args(["--open", &open.to_string(), "--sessions", "1", "--progress", "json"]);
    let phases = format!("warm:{}ms,run:{}ms", WARM.as_millis(), plan.length.as_millis());
    // Heads of 24 and 8 bytes belong to the sizes.
    let workload = format!("stss_0_{}_{}", plan.request - 24, plan.reply - 8);
    command.args(["--phases", &phases, "--workload", &workload]);
    let nodes: Vec<Identity> = lab.view.state.nodes.iter().map(|&(_, node)| node).collect();
    let log = lab.view.path.join("lancet.log");
    let Metered { report, servers, client } = meter::<LoadReport>(&mut command, &log, &nodes)?;
    let (sent, answered) = (report.operations, report.total.answered);
    let run = report.phases.get(1).context("no measured phase in the report")?;
    let (Some(p50_us), Some(p99_us)) = (run.p50_us, run.p99_us) else {
        bail!("no request was answered within {:?}", plan.length)
    };
    let (rate, retries) = (run.achieved_rps, report.total.retries);
    Ok(Sample { rate, p50_us, p99_us, sent, answered, retries, servers, client })
}

/// Writes the rows as a JSON array.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_json(rows: &[Row], file: &std::path::Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(rows)?;
    fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
}
