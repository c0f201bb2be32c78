//! `hovercraft-node doctor` as a process: exit status and output, on a machine that is made up of a few files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A machine with two cores and nothing else.
fn machine(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let cpus = root.join("sys/devices/system/cpu");
    fs::create_dir_all(&cpus).unwrap();
    fs::write(cpus.join("online"), "0-1\n").unwrap();
    root
}

/// Exit code, output and complaints.
fn doctor(args: &[&str]) -> (Option<i32>, String, String) {
    let mut node = Command::new(env!("CARGO_BIN_EXE_hovercraft-node"));
    let output = node.arg("doctor").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_exit_status_tells_for_the_back_end_asked_about() {
    let root = machine("doctor-status");
    let root = root.to_str().unwrap();
    let (code, out, err) = doctor(&["--root", root]);
    assert_eq!(
        (code, err.as_str()),
        (Some(0), ""),
        "without DPDK a node runs on kernel UDP: {out}"
    );
    assert!(out.contains("FAIL  DPDK (dpdk)") && out.contains("-> apt-get install dpdk"), "{out}");
    let (code, out, _) = doctor(&["--root", root, "--for", "dpdk"]);
    assert!(code == Some(1) && out.contains("must be put right"), "{code:?}: {out}");
    let (code, out, _) = doctor(&["--root", root, "--for", "udp", "--cores", "0,2"]);
    assert!(code == Some(1) && out.contains("the node wants 2; this machine has 0,1"), "{out}");
    let (code, out, _) = doctor(&["--root", root, "--for", "udp", "--cores", "0,1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["failures"]), (Some(0), &0.into()));
}

#[test]
fn wrong_usage_is_told_apart() {
    for args in [
        &["--for", "rdma"][..],
        &["--config", "/nowhere/cluster.ron"],
        &["--id", "1"],
        &["--cores", "two"],
        &["now"],
    ] {
        let (code, out, err) = doctor(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty(), "{args:?}");
    }
    let (code, out, _) = doctor(&["--help"]);
    assert!(code == Some(0) && out.contains("Exit codes: 0"), "{out}");
}

/// Whatever this machine is like.
#[test]
fn it_looks_at_this_machine() {
    let (code, out, err) = doctor(&["--json"]);
    assert!(matches!(code, Some(0 | 1)) && err.is_empty(), "{code:?}: {err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let cores = checks.iter().find(|check| check["name"] == "cores").unwrap();
    assert!(cores["found"].as_str().unwrap().contains("this machine has 0"), "{cores}");
}
