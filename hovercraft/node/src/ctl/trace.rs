//! `hovercraft-ctl trace`: what the nodes keep of a request, as its way through them.

use core::time::Duration;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use hovercraft_config::{Group, Member};
use serde_json::{Value, json};

use super::way::{NodeWay, Way, WayStep, requests, way};
use super::{AdminError, NO_LEADER, REFUSED, SOME_SILENT, WRONG, ask_all, get, say};
use crate::report::NodeTrace;
use crate::traces::{self, REQUESTS_MAX};

/// What to show.
#[derive(Args, Clone, Debug)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    which: Which,
    /// One JSON object: ways with their nodes and steps, and who did not answer
    #[arg(long)]
    json: bool,
    /// Writes the ways in Chrome's trace format, for Perfetto, to this file
    #[arg(long, value_name = "FILE")]
    chrome: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The request: session:number, or ip:port:id of a client without a session
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The request at this log index
    #[arg(long, value_name = "I")]
    index: Option<u64>,
    /// The latest requests in the log, so many, at most 64
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX as u64))]
    last: Option<u64>,
}

/// What was found.
struct Found {
    ways: Vec<Way>,
    /// Who did not answer, and why.
    silent: Vec<(u8, String)>,
}

/// Returns the exit code.
pub(super) fn run(group: &Group, timeout: Duration, args: &TraceArgs) -> u8 {
    if let Some(request) = args.which.request.as_ref().filter(|id| traces::parse(id).is_none()) {
        eprintln!("--request {request}: write it as session:number or as ip:port:id");
        return WRONG;
    }
    let found = find(group, timeout, &args.which);
    for (node, trouble) in &found.silent {
        eprintln!("node {node}: {trouble}");
    }
    if args.json {
        say(&format!("{}\n", json_of(&found)));
    } else {
        found.ways.iter().for_each(|way| say(&table(way)));
    }
    if let Some(file) = &args.chrome
        && let Err(error) = write_chrome(file, &found.ways)
    {
        eprintln!("{}: {error}", file.display());
        return WRONG;
    }
    if found.silent.len() == group.members.len() {
        NO_LEADER
    } else if found.ways.is_empty() {
        eprintln!("no node that answered has a trace of it: it may be too long ago, or unknown");
        REFUSED
    } else if found.silent.is_empty() {
        0
    } else {
        SOME_SILENT
    }
}

/// Asks all nodes which requests are meant, then for what they keep of these.
fn find(group: &Group, timeout: Duration, which: &Which) -> Found {
    let ids: Vec<String> = match which {
        Which { request: Some(request), .. } => vec![request.clone()],
        Which { index: Some(index), .. } => {
            let (first, silent) = ask(group, timeout, &format!("index={index}"));
            let ids: Vec<String> = requests(&first).into_keys().take(REQUESTS_MAX).collect();
            if ids.is_empty() {
                return Found { ways: Vec::new(), silent };
            }
            ids
        }
        Which { last, .. } => {
            let last = last.unwrap_or(1);
            let (first, silent) = ask(group, timeout, &format!("last={last}"));
            let mut ids: Vec<(String, u64)> = requests(&first).into_iter().collect();
            ids.sort_by_key(|&(_, index)| core::cmp::Reverse(index));
            ids.truncate(usize::try_from(last).unwrap_or(REQUESTS_MAX));
            if ids.is_empty() {
                return Found { ways: Vec::new(), silent };
            }
            ids.into_iter().map(|(id, _)| id).collect()
        }
    };
    let (answers, silent) = ask(group, timeout, &format!("request={}", ids.join(",")));
    let ways = ids.iter().map(|id| way(id, &answers));
    let mut ways: Vec<Way> = ways.filter(|way| !way.nodes.is_empty()).collect();
    ways.sort_by_key(|way| way.indexes.first().copied());
    Found { ways, silent }
}

/// What the nodes answer, and who does not.
fn ask(group: &Group, timeout: Duration, query: &str) -> (Vec<NodeTrace>, Vec<(u8, String)>) {
    let question = |member: &Member| {
        let answer = get(member.admin, &format!("/trace?{query}"), timeout)?;
        serde_json::from_slice(&answer)
            .map_err(|_| AdminError::Strange("a trace of another version"))
    };
    let (mut traces, mut silent) = (Vec::new(), Vec::new());
    for (member, answer) in group.members.iter().zip(ask_all(group, question)) {
        match answer {
            Ok(trace) => traces.push(trace),
            Err(error) => silent.push((member.id.number(), error.to_string())),
        }
    }
    (traces, silent)
}

fn json_of(found: &Found) -> Value {
    let silent = found.silent.iter().map(|(node, error)| json!({"node": node, "error": error}));
    json!({"ways": found.ways, "silent": silent.collect::<Vec<_>>()})
}

/// All steps of a way by their lined-up times, with each node's own beside.
fn table(way: &Way) -> String {
    let mut text = format!("request {}", way.request);
    let indexes: Vec<String> = way.indexes.iter().map(u64::to_string).collect();
    if !indexes.is_empty() {
        let _ = write!(text, ", log index {}", indexes.join(", "));
    }
    match way.reference {
        Some(node) => {
            let _ = writeln!(text, "; others lined up with node {node} by the order of messages");
        }
        None => text.push_str("; the node that ordered it has no trace of it: not lined up\n"),
    }
    let mut steps: Vec<(&NodeWay, &WayStep)> =
        way.nodes.iter().flat_map(|node| node.steps.iter().map(move |step| (node, step))).collect();
    steps.sort_by_key(|(_, step)| step.line_ns);
    let _ = writeln!(text, "{:>12} {:>12}  node  thread       step", "time/us", "own/us");
    for (node, WayStep { own_ns, line_ns, step, .. }) in steps {
        let at = if node.lined_up { micros(*line_ns) } else { "?".to_owned() };
        let (own, thread) = (micros(*own_ns), &step.thread);
        let (node, phase) = (node.node, &step.phase);
        let _ = write!(text, "{at:>12} {own:>12}  {node:>4}  {thread:<11}  {phase}");
        match (step.replier, step.detail) {
            (0, 0) => {}
            (0, reason) => {
                let _ = write!(text, ", reason {reason}");
            }
            (to, _) if step.phase == "forwarded" => {
                let _ = write!(text, " to node {to}");
            }
            (replier, _) => {
                let _ = write!(text, ", node {replier} answers");
            }
        }
        text.push('\n');
    }
    text
}

/// Microseconds with three places.
fn micros(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ns.unsigned_abs() / 1_000, ns.unsigned_abs() % 1_000)
}

/// Nodes as processes, their threads as threads; a span for each request on each node, its steps as instants.
fn write_chrome(file: &Path, ways: &[Way]) -> std::io::Result<()> {
    let mut events = Vec::new();
    for way in ways {
        let same = ways.iter().filter(|other| other.reference == way.reference);
        let steps = same.flat_map(|way| &way.nodes).flat_map(|node| &node.steps);
        let begin = steps.map(|step| step.clock_ns).min().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a trace is short")]
        let us = |ns: i64| (ns - begin) as f64 / 1e3;
        for node in &way.nodes {
            let (pid, name) = (node.node, &way.request);
            let title = json!({"name": format!("node {pid}")});
            events.push(json!({"ph": "M", "name": "process_name", "pid": pid, "args": title}));
            for (tid, thread) in ["requests", "network", "application"].iter().enumerate() {
                let title = json!({"name": thread});
                events.push(json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid,
                    "args": title}));
            }
            if let (Some(first), Some(last)) = (node.steps.first(), node.steps.last()) {
                let (ts, dur) = (us(first.clock_ns), us(last.clock_ns) - us(first.clock_ns));
                events.push(json!({"ph": "X", "name": name, "pid": pid, "tid": 0,
                    "ts": ts, "dur": dur, "args": {"lined_up": node.lined_up}}));
            }
            for WayStep { clock_ns, step, .. } in &node.steps {
                let args = json!({"request": name, "index": step.index, "replier": step.replier,
                    "detail": step.detail});
                events.push(json!({"ph": "i", "s": "t", "name": step.phase, "pid": pid,
                    "tid": u8::from(step.thread != "network") + 1, "ts": us(*clock_ns), "args": args}));
            }
        }
    }
    fs::write(file, json!({"displayTimeUnit": "ns", "traceEvents": events}).to_string())
}
