//! What holds on every wire, and what is of one process with all nodes alone.
//!
//! Programs of other processes are those of `cargo build --release --features hovercraft-node/dpdk`, as the quickstart builds
//! them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hovercraft_lab::cluster::{self, Lab};
use hovercraft_lab::process::wait_for_end;
use hovercraft_lab::run;
use hovercraft_lab::wire::Wire;
use support::{alone, program, real};

/// How long anything may take that is to come by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nodes that lie (`examples/stale.rs`).
fn stale() -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_hovercraft-lab")).parent().unwrap();
    let stale = programs.join("examples/stale");
    assert!(stale.is_file(), "no {}: run the tests with `--examples`, too", stale.display());
    stale
}

fn lab(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hovercraft-lab"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), said)
}

/// A cluster whose nodes now and then answer what was true before is found out, whatever carries its packets.
#[test]
fn a_stale_answer_is_found_on_every_wire() {
    let _alone = alone();
    for wire in [Wire::Udp, Wire::AfPacket, Wire::Vhost, Wire::Inproc] {
        let Some(mut plan) = real("stale", wire) else { continue };
        (plan.node_program, plan.lab_program) = match wire {
            Wire::Inproc => (plan.node_program, stale()),
            _ => (stale(), plan.lab_program),
        };
        let name = plan.name.clone();
        let json = std::env::temp_dir().join(format!("{name}.json"));
        let plan = run::Plan {
            cluster: plan,
            load_program: program("lancet"),
            rate: 500,
            length: Duration::from_secs(3),
            keep: false,
            json: Some(json.clone()),
        };
        assert!(!run::run(&plan, &|| false).unwrap(), "{wire:?}: nobody saw the lie");
        let outcome: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        std::fs::remove_file(json).unwrap();
        assert_eq!(outcome["linearizable"], false, "{wire:?}: {outcome}");
        // Reads lie; writes are as they should be.
        assert_eq!(
            (&outcome["acknowledged_lost"], &outcome["executed_twice"]),
            (&0.into(), &0.into())
        );
        // The logs of a run that found something stay.
        assert!(support::directory(&name).exists());
        cluster::down(&name).unwrap();
    }
}

#[test]
fn a_node_killed_in_one_process_is_gone_and_the_others_go_on() {
    let _alone = alone();
    let Some(plan) = real("one", Wire::Inproc) else { return };
    let name = plan.name.clone();
    let mut lab_up = Lab::up(&plan, &mut |line| eprintln!("{line}")).unwrap();
    let leader = lab_up.wait_for_leader(PATIENCE, &|| false).unwrap().unwrap();
    let view = lab_up.view.clone();
    let process = view.process(leader).unwrap();
    assert!(view.nodes().all(|node| view.process(node).unwrap() == process), "one process");
    let admin = view.state.network.admin(leader);
    assert!(TcpStream::connect(admin).is_ok());
    let refused = view.kill(leader, libc::SIGSTOP).unwrap_err().to_string();
    assert!(refused.contains("a single one can be killed"), "{refused}");
    // By another command, as somebody would who looks on.
    let number = leader.to_string();
    let killed = lab(&["--name", &name, "kill", "--node", &number]);
    assert_eq!(killed, (Some(0), format!("sent signal 9 to node {leader}\n")));
    assert!(TcpStream::connect(admin).is_err(), "who answers for the dead?");
    let again = lab(&["--name", &name, "kill", "--node", &number]);
    assert_eq!(again.1, format!("hovercraft-lab: node {leader} is dead already\n"));
    let others: Vec<u8> = view.nodes().filter(|&node| node != leader).collect();
    assert_eq!(view.living(), others);
    assert!(view.status(leader).unwrap_err().to_string().contains("is dead"));
    let next = lab_up.wait_for_leader(PATIENCE, &|| false).unwrap().unwrap();
    assert!(others.contains(&next));
    assert!(process.is_alive());
    let talked = lab(&["--name", &name, "exec", "--", "true"]);
    assert!(talked.1.contains("nobody else reaches the nodes"), "{talked:?}");
    lab_up.down().unwrap();
    assert_eq!(wait_for_end(&[process], Duration::ZERO), []);
    assert!(!support::directory(&name).exists());
}

#[test]
fn what_one_process_has_not_got_is_refused() {
    let up = lab(&["--name", "refused", "up", "--wire", "inproc"]);
    assert!(up.1.starts_with("hovercraft-lab: --wire inproc: nodes and client are one"), "{up:?}");
    for option in ["--keep", "--threads=split", "--node-program=x", "--load-program=x"] {
        let (code, said) = lab(&["--name", "refused", "run", "--wire", "inproc", option]);
        let wanted = format!(
            "hovercraft-lab: {}: not with --wire",
            option.replace("=x", "").replace('=', " ")
        );
        assert!(code == Some(1) && said.starts_with(&wanted), "{option}: {said}");
    }
}

/// A program without DPDK says what to do.
#[cfg(not(feature = "dpdk"))]
#[test]
fn without_dpdk_it_says_how_to_have_it() {
    let (code, said) = lab(&["--name", "without", "run", "--wire", "inproc"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("built without DPDK: build it with `--features hovercraft-lab/dpdk`"),
        "{said}"
    );
    assert!(!support::directory("without").join("state.json").exists());
}
