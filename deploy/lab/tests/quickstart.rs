//! The quickstart itself, with real nodes and real load: its leader is killed, and nothing that was acknowledged may be
//! lost, nothing executed twice.
//!
//! One test, since each of these clusters wants the machine for itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hovercraft_lab::process::{Identity, wait_for_end};
use hovercraft_lab::state;
use serde_json::Value;
use support::{FAILOVER_MAX_MS, FAILOVER_MIN_MS};

fn name(test: &str) -> String {
    format!("t{}-{test}", std::process::id())
}

fn quickstart(name: &str, arguments: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../quickstart.sh");
    let mut command = Command::new(script);
    command.args(["--name", name]).args(arguments.split(' ')).stdin(Stdio::null());
    command
}

/// Runs it to the end; its JSON.
fn result(test: &str, arguments: &str) -> Value {
    let name = name(test);
    let file: PathBuf = std::env::temp_dir().join(format!("{name}.json"));
    let output = quickstart(&name, arguments).arg("--json").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {}\n{said}\n{complained}", output.status);
    println!("{arguments}\n{said}");
    let json = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(file).unwrap();
    assert!(!support::directory(&name).exists(), "{arguments}: something is left");
    json
}

/// The names that programs read, all there; the phases' too.
fn names(json: &Value) -> (Vec<&str>, Vec<&str>) {
    let keys = |value: &Value| -> Vec<&'static str> {
        const ALL: [&str; 15] = [
            "phases",
            "failover_ms",
            "operations",
            "undecided",
            "acknowledged_lost",
            "executed_twice",
            "linearizable",
            "name",
            "offered_rps",
            "achieved_rps",
            "p50_us",
            "p99_us",
            "p999_us",
            "nacks",
            "retries",
        ];
        ALL.into_iter().filter(|key| value.get(key).is_some()).collect()
    };
    (keys(json), keys(&json["phases"][0]))
}

fn kills_leader_and_loses_nothing(test: &str, wire: &str, arguments: &str) {
    let json = result(test, arguments);
    let (fields, phase_fields) = names(&json);
    assert_eq!((fields.len(), phase_fields.len()), (7, 8), "{json}");
    assert_eq!(json["wire"], wire, "{arguments}");
    let phases = json["phases"].as_array().unwrap();
    let phase_names: Vec<&str> =
        phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(phase_names, ["before", "leader killed", "after"]);
    for phase in phases {
        let (offered, achieved) = (&phase["offered_rps"], &phase["achieved_rps"]);
        let share = achieved.as_f64().unwrap() / offered.as_f64().unwrap();
        assert!(share > 0.9, "{arguments}: {json}");
        assert!(phase["p50_us"].as_f64().unwrap() > 0.0, "{arguments}: {json}");
    }
    for nothing in ["undecided", "acknowledged_lost", "executed_twice"] {
        assert_eq!(json[nothing], 0, "{arguments}: {json}");
    }
    assert_eq!(json["linearizable"], true, "{arguments}: {json}");
    let failover = json["failover_ms"].as_f64().unwrap();
    assert!((FAILOVER_MIN_MS..FAILOVER_MAX_MS).contains(&failover), "{arguments}: {json}");
    assert!(json["operations"].as_u64().unwrap() > 2_000, "{arguments}: {json}");
}

fn one_server_has_no_leader_to_kill() {
    let json = result("alone", "--mode unreplicated --seconds 3 --rate 500 --service synthetic");
    assert_eq!(json["phases"].as_array().unwrap().len(), 1);
    assert_eq!((&json["failover_ms"], &json["acknowledged_lost"]), (&Value::Null, &0.into()));
}

fn interrupted_under_load_it_leaves_nothing(wire: &str) {
    let name = name("interrupted");
    let mut command = quickstart(&name, &format!("--seconds 60 --rate 500{wire}"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let history = support::directory(&name).join("history.jsonl");
    let deadline = Instant::now() + Duration::from_secs(300);
    while std::fs::metadata(&history).map_or(0, |file| file.len()) == 0 {
        assert!(Instant::now() < deadline, "no load begins");
        thread::sleep(Duration::from_millis(20));
    }
    let (_, state) = state::look(&name).unwrap();
    let processes: Vec<Identity> = state.nodes.iter().map(|&(_, process)| process).collect();
    assert_eq!(processes.len(), 3);
    Identity::of(child.id()).unwrap().signal(libc::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(wait_for_end(&processes, Duration::ZERO), []);
    assert!(!support::directory(&name).exists());
}

const RAFT: &str = "--mode raft --nodes 3";
const HOVERCRAFT: &str = "--mode hovercraft --nodes 3";
const SYNTHETIC: &str = "--mode hovercraft --nodes 3 --service synthetic";

/// What each cluster's packets go over, and what asks for it.
fn clusters() -> Vec<(&'static str, String)> {
    let namespaces = hovercraft_lab::network::namespaces_possible();
    let (best, udp) =
        if namespaces.is_ok() { ("af_packet", "udp") } else { ("loopback", "loopback") };
    let mut clusters = vec![
        (best, format!("{RAFT} --threads split")),
        (udp, "--mode raft --nodes 5 --threads inline --wire udp".to_owned()),
        (best, HOVERCRAFT.to_owned()),
        (udp, "--mode hovercraft --nodes 5 --threads split --wire udp".to_owned()),
        (best, format!("{SYNTHETIC} --threads split")),
        ("loopback", format!("{HOVERCRAFT} --threads split --loopback")),
    ];
    // As root the quickstart sees to DPDK.
    match namespaces {
        Ok(()) => clusters.extend(["vhost", "inproc"].into_iter().flat_map(|wire| {
            let on_it = |cluster| (wire, format!("{cluster} --wire {wire}"));
            [RAFT, HOVERCRAFT, SYNTHETIC].map(on_it)
        })),
        Err(why) => eprintln!("NOT RUN: vhost, inproc: {why:#}"),
    }
    clusters
}

#[test]
fn the_quickstart() {
    one_server_has_no_leader_to_kill();
    for (place, (wire, arguments)) in clusters().into_iter().enumerate() {
        let arguments = format!("{arguments} --seconds 6 --rate 500");
        kills_leader_and_loses_nothing(&format!("q{place}"), wire, &arguments);
    }
    interrupted_under_load_it_leaves_nothing("");
    if hovercraft_lab::network::namespaces_possible().is_ok() {
        interrupted_under_load_it_leaves_nothing(" --wire inproc");
    }
}
