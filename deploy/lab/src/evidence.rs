//! The evidence of a run, gathered from the nodes that live, and what the checker says to it (design 8).

use std::io::{BufReader, Cursor};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use history_checker::audit::AuditRecord;
use history_checker::history::Operation;
use history_checker::lines::Reader;
use history_checker::state::NodeState;
use history_checker::{Audits, KnownService, Options, Verdict};
use hovercraft_config::Mode;
use kv::{Capacity, Kv};
use r2p2::service::Service;
use synthetic::{Pace, Synthetic};

use crate::cluster::View;

/// How long nodes may take to apply what is committed.
const SETTLING: Duration = Duration::from_secs(10);

/// Checks the history in `file` against what the living nodes say of themselves.
///
/// # Errors
///
/// When evidence cannot be had: a node does not answer, or the history cannot be read.
pub fn check(view: &View, file: &Path, interrupted: &dyn Fn() -> bool) -> anyhow::Result<Verdict> {
    let group = view.group();
    let (known, mut service) = reference(&group.service)?;
    let history: Result<Vec<Operation>, _> = Reader::open(file)?.collect();
    let history = history.context("the recorded history cannot be read")?;
    let log = group.mode != Mode::Unreplicated;
    let (mut audits, mut states) = (Audits::new(), Vec::new());
    if log {
        let living = settled(view, interrupted)?;
        for &node in &living {
            states.push(state(view, node, known)?);
            add_audit(&mut audits, view, node)?;
        }
    }
    let reply_max = usize::try_from(group.limits.reply_max)?;
    let options = Options { known, reply_max, log, ..Options::default() };
    Ok(history_checker::check(&history, &audits, service.as_mut(), &states, &options))
}

/// The service that the replay executes on: as the nodes', from empty, and in no hurry.
fn reference(service: &str) -> anyhow::Result<(KnownService, Box<dyn Service>)> {
    Ok(match service {
        "kv" => (KnownService::Kv, Box::new(Kv::new(Capacity::default()))),
        "synthetic" => (KnownService::Other, Box::new(Synthetic::new(Pace::NONE))),
        other => bail!("the history of the service {other} cannot be replayed here"),
    })
}

/// The nodes that live, once all of them have applied the same and everything.
fn settled(view: &View, interrupted: &dyn Fn() -> bool) -> anyhow::Result<Vec<u8>> {
    let deadline = Instant::now() + SETTLING;
    loop {
        ensure!(!interrupted(), "interrupted");
        let living = view.living();
        let statuses: anyhow::Result<Vec<_>> =
            living.iter().map(|&node| view.status(node)).collect();
        let unequal = match statuses {
            Ok(statuses) => {
                let last = statuses.iter().map(|status| status.last).max().unwrap_or(0);
                let behind = statuses.iter().find(|status| status.applied < last);
                behind.map(|status| {
                    format!("node {} has applied {} of {last}", status.id, status.applied)
                })
            }
            Err(error) => Some(format!("{error:#}")),
        };
        let Some(unequal) = unequal else { return Ok(living) };
        ensure!(
            Instant::now() < deadline,
            "the nodes do not settle within {SETTLING:?}: {unequal}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn state(view: &View, node: u8, known: KnownService) -> anyhow::Result<NodeState> {
    let path = match known {
        KnownService::Kv => {
            let mut request = Vec::new();
            kv::Request::FULL_SCAN.encode(&mut request)?;
            let digits: String = request.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("/state?query={digits}")
        }
        KnownService::Other => "/state".to_owned(),
    };
    let answer = view.ask(node, "GET", &path)?;
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("node {node}'s state is not understood"))
}

fn add_audit(audits: &mut Audits, view: &View, node: u8) -> anyhow::Result<()> {
    let answer = view.ask(node, "GET", "/audit?from=1")?;
    let last = answer.header("audit-last").and_then(|last| last.parse::<u64>().ok());
    let last = last.with_context(|| format!("node {node} does not say where its audit ends"))?;
    let name = format!("node {node}");
    let lines = Reader::<_, AuditRecord>::new(BufReader::new(Cursor::new(&answer.body)));
    let cut = audits.add_lines(&name, lines).with_context(|| format!("the audit of {name}"))?;
    // The answer ends where the connection does; its last line tells whether that was the end.
    let text = answer.body.trim_ascii_end();
    let final_line = text.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let reached =
        serde_json::from_slice::<AuditRecord>(final_line).map_or(0, |record| record.index);
    ensure!(!cut && reached == last, "{name} sent its audit up to {reached} of {last}");
    Ok(())
}
