//! The program itself, with nodes that never elect anybody, ended in the ways that people and machines end it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hovercraft_lab::cluster;
use hovercraft_lab::process::{Identity, wait_for_end};
use hovercraft_lab::state;
use support::{Idle, directory};

const LONG: Duration = Duration::from_secs(20);

/// `hovercraft-lab run` with idle nodes, and its processes once all are started.
fn run(idle: &Idle, nodes: u8) -> (Child, Vec<Identity>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hovercraft-lab"));
    command.args([
        "run",
        "--wire",
        "udp",
        "--name",
        &idle.plan.name,
        "--nodes",
        &nodes.to_string(),
    ]);
    command.arg("--node-program").arg(&idle.plan.node_program);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (child.unwrap(), started(idle, nodes))
}

/// The processes of a lab, once all are started.
fn started(idle: &Idle, nodes: u8) -> Vec<Identity> {
    let deadline = Instant::now() + LONG;
    loop {
        if let Ok((_, state)) = state::look(&idle.plan.name)
            && state.nodes.len() == usize::from(nodes)
        {
            let holder = state.namespaces.iter().map(|namespaces| namespaces.holder);
            return state.nodes.iter().map(|&(_, process)| process).chain(holder).collect();
        }
        assert!(Instant::now() < deadline, "the nodes do not start");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)] {
        let idle = Idle::new(&format!("stop{signal}"), 3, false);
        let (mut child, processes) = run(&idle, 3);
        assert!(Identity::of(child.id()).unwrap().signal(signal).unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(wait_for_end(&processes, Duration::ZERO), []);
        assert!(!directory(&idle.plan.name).exists());
    }
}

#[test]
fn a_run_that_is_killed_takes_its_processes_along() {
    let idle = Idle::new("killed", 2, false);
    let (mut child, processes) = run(&idle, 2);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    assert_eq!(wait_for_end(&processes, LONG), []);
    assert_eq!(cluster::down(&idle.plan.name).unwrap(), 0);
    assert!(!directory(&idle.plan.name).exists());
}

/// Whoever reads what `up` says reads its end when `up` has ended, though the lab goes on: also through a descriptor that
/// the caller left open. (These nodes never elect a leader, so `up` is ended by force.)
#[test]
fn what_up_leaves_running_holds_nothing_of_its_caller() {
    for (test, network) in [("pipe", "--wire=udp"), ("loopback-pipe", "--loopback")] {
        let idle = Idle::new(test, 3, false);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec 7>&1; exec "$0" "$@""#, env!("CARGO_BIN_EXE_hovercraft-lab")]);
        command.args(["up", "--name", &idle.plan.name, network, "--node-program"]);
        command.arg(&idle.plan.node_program).stdin(Stdio::null());
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        let processes = started(&idle, 3);
        child.kill().unwrap();
        child.wait().unwrap();
        let (ended, end) = mpsc::channel();
        thread::spawn(move || ended.send(std::io::copy(&mut reader, &mut std::io::sink()).is_ok()));
        let end = end.recv_timeout(LONG);
        let living = processes.iter().filter(|process| process.is_alive()).count();
        assert_eq!(cluster::down(&idle.plan.name).unwrap(), processes.len());
        assert_eq!((end, living), (Ok(true), processes.len()), "{network}");
    }
}

#[test]
fn a_lab_that_is_not_up_has_no_status() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hovercraft-lab"));
    let output = command.args(["status", "--name", "nobodys"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "hovercraft-lab: no lab nobodys is up; start one with `hovercraft-lab up`\n");
}
