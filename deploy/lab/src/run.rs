//! A cluster under load whose leader is killed in the middle: what the quickstart shows.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hovercraft_config::Mode;

use crate::cluster::{self, Lab};
use crate::evidence;
use crate::load::{self, Load, Tick};
use crate::report::{Outcome, live};

/// How long a fresh cluster may take to find its leader.
pub const ELECTION: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster.
    pub cluster: cluster::Plan,
    /// The load generator.
    pub load_program: PathBuf,
    /// Requests per second.
    pub rate: u32,
    /// Length of the load.
    pub length: Duration,
    /// Leave the cluster running.
    pub keep: bool,
    /// Where to write the result as JSON, too.
    pub json: Option<PathBuf>,
}

/// What is said while a run goes on: the live line on standard error, the rest on standard output.
#[derive(Debug)]
struct Screen {
    /// Whether the live line is written over itself.
    terminal: bool,
    /// Characters of the live line that stands there.
    line: usize,
}

impl Plan {
    fn kills_leader(&self) -> bool {
        self.cluster.mode != Mode::Unreplicated && self.cluster.node_count() > 2
    }

    /// Two fifths before, one fifth of which the kill is the beginning, two fifths after.
    fn phases(&self) -> Vec<(String, Duration)> {
        if !self.kills_leader() {
            return vec![("load".to_owned(), self.length)];
        }
        let part = self.length / 5;
        let after = self.length.saturating_sub(3 * part);
        [("before", 2 * part), ("leader killed", part), ("after", after)]
            .map(|(name, length)| (name.to_owned(), length))
            .to_vec()
    }

    fn workload(&self) -> anyhow::Result<String> {
        Ok(match self.cluster.service.as_str() {
            "kv" => "kv".to_owned(),
            // 10 us of service time, as the paper's first measurements; half of them reads.
            "synthetic" => "stssr_10_64_64_0.5".to_owned(),
            other => bail!(
                "--service {other}: no load is known for it; choose kv or synthetic, or drive it by hand after `hovercraft-lab up`"
            ),
        })
    }
}

/// Runs it; whether nothing was found that must not be.
///
/// # Errors
///
/// When anything fails that is not the cluster's answer to load and kill; everything started has ended then.
pub fn run(plan: &Plan, interrupted: &dyn Fn() -> bool) -> anyhow::Result<bool> {
    let load = load::Plan {
        program: plan.load_program.clone(),
        rate: plan.rate,
        workload: plan.workload()?,
        phases: plan.phases(),
    };
    let mut screen = Screen { terminal: std::io::stderr().is_terminal(), line: 0 };
    let mut lab = Lab::up(&plan.cluster, &mut |line| println!("{line}"))?;
    let result = drive(plan, &load, &mut lab, &mut screen, interrupted);
    screen.clear();
    if interrupted() {
        // Not even logs: nobody asked for them.
        lab.down()?;
        bail!("interrupted; everything was taken down");
    }
    let outcome = result?;
    if let Some(file) = &plan.json {
        let json = serde_json::to_vec_pretty(&outcome)?;
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if plan.keep {
        println!("\n{}", lab.keep()?.how_to_talk(&plan.cluster.name));
    } else if outcome.holds() {
        lab.down()?;
    } else {
        let path = lab.view.path.clone();
        drop(lab);
        println!("logs are left in {}", path.display());
    }
    Ok(outcome.holds())
}

fn drive(
    plan: &Plan,
    load: &load::Plan,
    lab: &mut Lab,
    screen: &mut Screen,
    interrupted: &dyn Fn() -> bool,
) -> anyhow::Result<Outcome> {
    let leader = lab.wait_for_leader(ELECTION, interrupted)?;
    let group = lab.view.group();
    println!(
        "mode {}, {} node(s), service {}; {}",
        plan.cluster.mode_word(),
        group.members.len(),
        group.service,
        lab.view.state.network.describe()
    );
    match leader {
        Some(leader) => println!("node {leader} leads"),
        None => println!("one server without replication: there is no leader to kill"),
    }
    println!("{} requests per second for {:?}", plan.rate, plan.length);
    let mut running = Load::start(lab, load)?;
    let total = load.duration().as_secs_f64();
    let mut show = |tick: &Tick| screen.show(&live(tick, total));
    if plan.kills_leader() {
        running.wait(Some(load.phases[0].1), &mut show, interrupted)?;
        // The one that leads now: it may have changed since the beginning.
        let now = leader_now(lab, interrupted)?;
        ensure!(lab.view.kill(now, libc::SIGKILL)?, "node {now} had ended by itself");
        screen.clear();
        let how = if lab.view.state.network.is_one_process() {
            "it is no longer stepped, its memory is dropped"
        } else {
            "with SIGKILL"
        };
        println!("killed node {now}, the leader, {how}");
    }
    running.wait(None, &mut |tick| screen.show(&live(tick, total)), interrupted)?;
    screen.clear();
    check_the_living(lab)?;
    let report = running.report()?;
    let warnings = report.warnings.clone();
    let verdict = evidence::check(&lab.view, &running.history, interrupted)?;
    let wire = lab.view.state.network.word();
    let outcome = Outcome::new(wire, report, &verdict, plan.kills_leader());
    println!("\n{}\n{}", outcome.table(), outcome.sentences(&verdict).trim_end());
    for warning in warnings {
        println!("warning: {warning}");
    }
    Ok(outcome)
}

/// The leader that all name. An election may be under way.
fn leader_now(lab: &Lab, interrupted: &dyn Fn() -> bool) -> anyhow::Result<u8> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(leader) = lab.view.agreed_leader().flatten() {
            return Ok(leader);
        }
        ensure!(
            !interrupted() && Instant::now() < deadline,
            "no leader to kill: the nodes name none"
        );
    }
}

/// Nobody but the killed leader may have ended.
fn check_the_living(lab: &Lab) -> anyhow::Result<()> {
    lab.view.check_switch()?;
    let (nodes, living) = (lab.view.nodes().count(), lab.view.living());
    let dead: Vec<u8> = lab.view.nodes().filter(|node| !living.contains(node)).collect();
    if dead.len() > usize::from(nodes > 2) {
        let logs: String = dead.iter().map(|&node| lab.view.tail_of_log(node)).collect();
        bail!("nodes {dead:?} have ended, and only a leader was to be killed:\n{logs}");
    }
    Ok(())
}

impl Screen {
    fn show(&mut self, line: &str) {
        let mut out = std::io::stderr();
        // Nobody may be looking, which is no reason to stop.
        let _ = if self.terminal {
            write!(out, "\r{line:<width$}", width = self.line)
        } else {
            writeln!(out, "{line}")
        };
        let _ = out.flush();
        self.line = line.len();
    }

    fn clear(&mut self) {
        if self.terminal && self.line > 0 {
            eprint!("\r{:width$}\r", "", width = self.line);
        }
        self.line = 0;
    }
}
