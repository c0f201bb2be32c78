//! Real nodes on DPDK at a switch that is a process, whose leader, and whose switch, is killed with -9.
//!
//! One test after the other, since each cluster wants the machine for itself. The programs are those of
//! `cargo build --release --features hovercraft-node/dpdk`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hovercraft_config::{Idle, Mode};
use hovercraft_lab::cluster::{Lab, Plan};
use hovercraft_lab::network::Network;
use hovercraft_lab::wire::{self, Wire};
use hovercraft_lab::{process, run};

/// Nodes of each cluster.
const NODES: u8 = 3;

/// Longest gap between acknowledged writes that is still a fail-over and not a stall: ten election timeouts, for the
/// machine may be busy with other things.
const FAILOVER_MAX_MS: f64 = 3_000.0;

/// How long anything may take that is to come by itself.
const PATIENCE: Duration = Duration::from_secs(20);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where release builds go, as `deploy/quickstart.sh` has it.
fn program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    target.unwrap_or_else(ours).join("release").join(name)
}

/// A plan for real nodes; none, with the reason on standard error, where there is no root or no DPDK.
fn plan(test: &str) -> Option<Plan> {
    let plan = Plan {
        name: format!("t{}-{test}", std::process::id()),
        mode: Mode::Hovercraft,
        nodes: NODES,
        service: "kv".to_owned(),
        threads: "inline".to_owned(),
        idle: "yield".to_owned(),
        audit: true,
        small_tables: false,
        loopback: false,
        wire: Some(Wire::Vhost),
        node_program: program("hovercraft-node"),
        switch_program: program("hovercraft-switch"),
        lab_program: env!("CARGO_BIN_EXE_hovercraft-lab").into(),
        ends_with_us: true,
    };
    match wire::choose(&plan) {
        Ok((network, _)) => {
            assert_eq!(network, Network::Vhost);
            Some(plan)
        }
        Err(why) => {
            eprintln!("NOT RUN: {why:#}");
            None
        }
    }
}

fn up(plan: &Plan) -> Lab {
    let mut lab = Lab::up(plan, &mut |line| eprintln!("{line}")).unwrap();
    let led = lab.wait_for_leader(PATIENCE, &|| false);
    assert!(led.is_ok(), "{led:?}\n{}", log(&lab));
    lab
}

fn log(lab: &Lab) -> String {
    std::fs::read_to_string(lab.view.path.join("switch.log")).unwrap_or_default()
}

/// `kvctl` where clients are; what it printed, if it went well.
fn kvctl(lab: &Lab, words: &[&str]) -> Result<String, String> {
    let mut command = lab.client_command(program("kvctl").as_os_str()).unwrap();
    command.current_dir(&lab.view.path).args(["--config", "cluster.ron"]).args(words);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Tries until it goes; how long that took.
fn at_last(lab: &Lab, words: &[&str]) -> Duration {
    let begin = Instant::now();
    loop {
        match kvctl(lab, words) {
            Ok(_) => return begin.elapsed(),
            Err(why) => assert!(begin.elapsed() < PATIENCE, "{words:?}: {why}\n{}", log(lab)),
        }
    }
}

fn metric(lab: &Lab, line: &str) -> u64 {
    let body = lab.view.ask_switch("/metrics").unwrap().body;
    let text = String::from_utf8(body).unwrap();
    let found = text.lines().find_map(|known| known.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in\n{text}"))
}

#[test]
fn a_leader_killed_under_load_loses_nothing() {
    let _alone = alone();
    let Some(cluster) = plan("leader") else { return };
    let json = std::env::temp_dir().join(format!("{}.json", cluster.name));
    let directory = support::directory(&cluster.name);
    let plan = run::Plan {
        cluster,
        load_program: program("lancet"),
        rate: 500,
        length: Duration::from_secs(6),
        keep: false,
        json: Some(json.clone()),
    };
    // A switch that had died with the leader would be an error here.
    assert!(run::run(&plan, &|| false).unwrap());
    let outcome: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    std::fs::remove_file(json).unwrap();
    for nothing in ["undecided", "acknowledged_lost", "executed_twice"] {
        assert_eq!(outcome[nothing], 0, "{outcome}");
    }
    assert_eq!((&outcome["linearizable"], &outcome["wire"]), (&true.into(), &"vhost".into()));
    assert!(outcome["failover_ms"].as_f64().unwrap() < FAILOVER_MAX_MS, "{outcome}");
    assert!(outcome["operations"].as_u64().unwrap() > 2_000, "{outcome}");
    assert!(!directory.exists(), "something is left");
}

#[test]
fn a_switch_killed_and_started_again_carries_the_same_cluster() {
    let _alone = alone();
    let Some(plan) = plan("switch") else { return };
    let mut lab = up(&plan);
    at_last(&lab, &["put", "before", "1"]);
    let port = |number: u8| format!("received_frames_total{{port=\"net_vhost{number}\"}}");
    for node in 1..=NODES {
        assert!(metric(&lab, &format!("hovercraft_switch_{}", port(node))) > 0);
    }
    assert!(metric(&lab, "hovercraft_switch_addresses") > u64::from(NODES));
    let first = lab.view.switch().unwrap();
    assert!(first.signal(libc::SIGKILL).unwrap());
    assert_eq!(process::wait_for_end(&[first], PATIENCE), []);
    assert!(lab.view.check_switch().is_err());
    // The nodes live on, and nobody is served.
    let unheard = kvctl(&lab, &["--timeout", "1", "put", "meanwhile", "2"]);
    assert!(unheard.is_err(), "who carried this? {unheard:?}");
    assert_eq!(lab.view.living().len(), usize::from(NODES));
    lab.start_switch(&plan.switch_program, true).unwrap();
    let took = at_last(&lab, &["put", "after", "3"]);
    println!("the switch's next life carries a write after {took:?}");
    lab.wait_for_leader(PATIENCE, &|| false).unwrap();
    assert_eq!(kvctl(&lab, &["get", "before"]).unwrap(), "1");
    assert_eq!(kvctl(&lab, &["get", "after"]).unwrap(), "3");
    for node in 1..=NODES {
        assert!(metric(&lab, &format!("hovercraft_switch_{}", port(node))) > 0, "node {node}");
    }
    lab.down().unwrap();
}

#[test]
fn a_second_switch_is_refused_and_an_asked_one_ends_tidily() {
    let _alone = alone();
    let Some(plan) = plan("second") else { return };
    let lab = up(&plan);
    let nodes = 1..=NODES;
    let words = Network::Vhost.switch_arguments(&lab.view.path, nodes, Idle::Yield).unwrap();
    let second = Command::new(&plan.switch_program).args(words).stdin(Stdio::null()).output();
    let second = second.unwrap();
    let said = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("switch-1.sock a living process listens already"), "{said}");
    // The first one was not harmed by the look.
    at_last(&lab, &["put", "key", "value"]);
    let live = lab.view.ask_switch("/livez?verbose").unwrap();
    let live = String::from_utf8(live.body).unwrap();
    assert_eq!(live, "[+]switch-thread ok\nlivez check passed\n");
    let switch = lab.view.switch().unwrap();
    let socket = lab.view.path.join("switch-1.sock");
    assert!(socket.exists());
    switch.signal(libc::SIGTERM).unwrap();
    assert_eq!(process::wait_for_end(&[switch], PATIENCE), []);
    assert!(log(&lab).trim_end().ends_with("ended"), "{}", log(&lab));
    assert!(!socket.exists(), "a switch that ends takes its sockets along");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(lab.view.living().len(), usize::from(NODES));
    lab.down().unwrap();
}
