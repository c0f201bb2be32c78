//! `hovercraft-ctl trace` on whole clusters: one request's way through all nodes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use hovercraft_client::Kind;
use serde_json::Value;
use support::{Files, TIMING, increment};

/// Exit code, output and complaints of `hovercraft-ctl trace` with these arguments.
fn trace(files: &Files, args: &[&str]) -> (Option<i32>, String, String) {
    let mut ctl = Command::new(env!("CARGO_BIN_EXE_hovercraft-ctl"));
    let output = ctl.arg("--config").arg(&files.config).arg("trace").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn ways(files: &Files, args: &[&str]) -> Vec<Value> {
    let (code, out, err) = trace(files, &[args, &["--json"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}: {out}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["silent"], serde_json::json!([]));
    found["ways"].as_array().unwrap().clone()
}

/// Lined-up time of each phase on a node, the first of its kind; asks that no phase stands before one that it follows.
fn times(node: &Value) -> BTreeMap<&str, i64> {
    let mut times = BTreeMap::new();
    for step in node["steps"].as_array().unwrap() {
        let at = step["line_ns"].as_i64().unwrap();
        assert!(times.values().all(|&before| before <= at), "{node}");
        times.entry(step["phase"].as_str().unwrap()).or_insert(at);
    }
    times
}

/// One write and one read; each node's part of their ways.
fn follows_requests(mode: &str, threads: &str) {
    let fields = format!("mode: {mode}, threads: {threads}, idle: sleep, {TIMING}");
    let files = Files::new(3, &fields);
    let _nodes = files.start_all();
    let mut client = files.client();
    increment(&mut client, b"n", 50);
    let leader = files.leader(&[1, 2, 3]);
    let mut request = Vec::new();
    for kind in [Kind::Write, Kind::Read] {
        request.clear();
        match kind {
            Kind::Write => kv::Request::Increment { key: b"n", by: 1 }.encode(&mut request),
            Kind::Read => kv::Request::Get { key: b"n" }.encode(&mut request),
        }
        .unwrap();
        let number = client.submit(kind, &request, 0).unwrap();
        let completion = client.poll(support::PATIENCE).next().unwrap();
        let index = completion.result.unwrap().index;
        let id = format!("{}:{number}", client.session());
        files.equal_states(&[1, 2, 3]);
        let found = ways(&files, &["--request", &id]);
        let [way] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (way["request"].as_str(), way["reference"].as_u64()),
            (Some(&*id), Some(leader.into()))
        );
        assert_eq!(way["indexes"], serde_json::json!([index]));
        let nodes = way["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 3, "{way}");
        let (mut executed, mut answered) = (0, 0);
        let first = nodes.iter().find(|node| node["node"] == leader).unwrap();
        let ordered = times(first)["ordered"];
        let committed = times(first)["committed"];
        for node in nodes {
            assert_eq!(node["lined_up"], true, "{node}");
            let times = times(node);
            let appended = if node["node"] == leader { "ordered" } else { "appended" };
            assert!(times[appended] >= ordered && times["committed"] >= committed, "{way}");
            if mode == "hovercraft" {
                assert!(times["received"] <= times["complete"], "{way}");
            }
            executed +=
                usize::from(times.contains_key("executed") || times.contains_key("queried"));
            answered += usize::from(times.contains_key("answered"));
        }
        // A read is executed by its replier alone (HC5).
        let expected = if matches!(kind, Kind::Read) { 1 } else { 3 };
        assert_eq!((executed, answered), (expected, 1), "{way}");
        assert_eq!(ways(&files, &["--index", &index.to_string()]), found);
    }
    let latest = ways(&files, &["--last", "10"]);
    let indexes: Vec<u64> = latest.iter().map(|way| way["indexes"][0].as_u64().unwrap()).collect();
    assert_eq!(indexes.len(), 10);
    assert!(indexes.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{indexes:?}");
}

#[test]
fn a_requests_way_is_followed_through_all_nodes() {
    for mode in ["raft", "hovercraft"] {
        for threads in ["split", "inline"] {
            follows_requests(mode, threads);
        }
    }
}

#[test]
fn it_is_shown_as_a_table_and_for_perfetto_and_who_is_silent_is_named() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let mut nodes = files.start_all();
    increment(&mut files.client(), b"n", 20);
    let leader = files.leader(&[1, 2, 3]);
    let applied = files.equal_states(&[1, 2, 3]).to_string();
    let chrome = files.directory.join("chrome.json");
    let (code, out, err) =
        trace(&files, &["--index", &applied, "--chrome", chrome.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let mut lines = out.lines();
    let heading = lines.next().unwrap();
    assert!(heading.contains(&format!(", log index {applied}; ")), "{out}");
    assert!(heading.ends_with(&format!("with node {leader} by the order of messages")), "{out}");
    assert!(out.contains(" ordered, node ") && out.contains(" appended, node "), "{out}");
    let chrome: Value = serde_json::from_str(&std::fs::read_to_string(chrome).unwrap()).unwrap();
    let events = chrome["traceEvents"].as_array().unwrap();
    let kind = |kind: &str| events.iter().filter(|event| event["ph"] == kind).count();
    assert_eq!((kind("X"), kind("i")), (3, out.lines().count() - 2), "a line for every step");
    assert!(events.iter().all(|event| event["ts"].as_f64().unwrap_or(0.0) >= 0.0));

    let (code, _, err) = trace(&files, &["--request", "9:9"]);
    assert!(code == Some(1) && err.contains("too long ago"), "{err}");
    let (code, _, err) = trace(&files, &["--request", "nonsense"]);
    assert!(code == Some(2) && err.contains("session:number"), "{err}");
    assert_eq!(trace(&files, &[]).0, Some(2));
    assert_eq!(trace(&files, &["--last", "1", "--index", "1"]).0, Some(2));

    let gone = leader % 3;
    drop(nodes.remove(usize::from(gone)));
    let (code, out, err) = trace(&files, &["--index", &applied]);
    assert!(code == Some(3) && out.contains("executed"), "{out}");
    assert!(err.starts_with(&format!("node {}: no answer: ", gone + 1)), "{err}");
    nodes.clear();
    assert_eq!(trace(&files, &["--index", &applied]).0, Some(4));
}

#[test]
fn a_trace_that_is_off_says_so() {
    let files = Files::new(1, "mode: unreplicated, idle: sleep, trace: (events: 0)");
    let _nodes = files.start_all();
    increment(&mut files.client(), b"n", 1);
    let (code, _, err) = trace(&files, &["--last", "1"]);
    assert!(code == Some(4) && err.contains("keeps no trace"), "{code:?}: {err}");
}
