//! Real nodes on DPDK at a switch that is a process, which is killed with -9. (`quickstart.rs` kills leaders there.)
//!
//! One test after the other, since each cluster wants the machine for itself. The programs are those of
//! `cargo build --release --features hovercraft-node/dpdk`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hovercraft_config::Idle;
use hovercraft_lab::cluster::{Lab, Plan};
use hovercraft_lab::network::Network;
use hovercraft_lab::process;
use hovercraft_lab::wire::Wire;
use support::{alone, program, real};

/// Nodes of each cluster.
const NODES: u8 = 3;

/// How long anything may take that is to come by itself.
const PATIENCE: Duration = Duration::from_secs(20);

fn plan(test: &str) -> Option<Plan> {
    real(test, Wire::Vhost)
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
