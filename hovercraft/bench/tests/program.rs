//! The program as users run it, with small numbers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hovercraft-bench")).args(args).output().unwrap()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn rows(name: &str, args: &[&str]) -> Vec<Value> {
    let file = file(name);
    let json = ["--json", file.to_str().unwrap(), "--ops", "1000", "--rounds", "1"];
    let output = bench(&[args, &json].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    json["rows"].as_array().unwrap().clone()
}

fn near(row: &Value, field: &str, expected: f64) {
    let value = row[field].as_f64().unwrap();
    assert!((value - expected).abs() < 0.02, "{field} = {value}, not {expected}: {row}");
}

/// The leader's packets are those of Table 1 (design, section 2) at one request per append, and less in batches.
#[test]
fn the_leaders_packets_are_those_of_table_1() {
    for row in table("memory", "3,5") {
        assert_eq!(row["wire"], "memory");
    }
}

#[cfg(feature = "dpdk")]
#[test]
fn the_leaders_packets_are_those_of_table_1_on_dpdk() {
    for row in table("inproc", "3,5") {
        assert_eq!(row["wire"], "inproc");
    }
}

fn table(wire: &str, nodes: &str) -> Vec<Value> {
    let size = ["--request", "24", "--reply", "8", "--no-instructions"];
    let args = [&["--wire", wire, "--nodes", nodes], &size[..]].concat();
    let rows = rows(&format!("table-{wire}.json"), &args);
    assert_eq!(rows.len(), 8);
    for row in &rows {
        let nodes = row["nodes"].as_f64().unwrap();
        let raft = row["mode"] == "raft";
        if row["batch"] == 1 {
            near(row, "leader_rx_per_op", nodes);
            let answers = if raft { 1.0 } else { 1.0 / nodes };
            near(row, "leader_tx_per_op", nodes - 1.0 + answers);
        } else {
            assert!(row["leader_rx_per_op"].as_f64().unwrap() < 2.0, "{row}");
        }
        let (whole, leader) = (row["cpu_ns_per_op"].as_f64(), row["leader_ns_per_op"].as_f64());
        assert!(0.0 < leader.unwrap() && leader < whole, "{row}");
        assert!(row["leader_instructions_per_op"].is_null());
    }
    rows
}

/// Turns of more than one burst, replies of several packets.
#[cfg(feature = "dpdk")]
#[test]
fn long_bursts_pass_dpdk() {
    let args = ["--wire", "inproc", "--nodes", "3", "--request", "512", "--batch", "64"];
    assert_eq!(rows("bursts.json", &[&args[..], &["--no-instructions"]].concat()).len(), 4);
}

/// The same work behind DPDK as in memory, and the path's own stages beside it.
#[cfg(feature = "dpdk")]
#[test]
fn stages_on_dpdk_are_those_in_memory_and_the_paths_own() {
    assert!(measure::callgrind::available(), "{}", measure::callgrind::Error::Missing);
    let args = ["--mode", "hovercraft", "--nodes", "3", "--request", "24", "--reply", "8"];
    let [memory, inproc] = ["memory", "inproc"].map(|wire| {
        let args = [&args[..], &["--batch", "16", "--wire", wire]].concat();
        rows(&format!("stages-{wire}.json"), &args).remove(0)
    });
    let leader = |row: &Value| row["leader_instructions_per_op"].as_f64().unwrap();
    let sum = |row: &Value| -> f64 {
        row["stages"].as_object().unwrap().values().map(|cost| cost.as_f64().unwrap()).sum()
    };
    assert!((sum(&inproc) / leader(&inproc) - 1.0).abs() < 0.02, "{inproc}");
    for (stage, cost) in memory["stages"].as_object().unwrap() {
        // These two have the wires' own parts in them.
        if stage != "send" && stage != "receive" {
            let (cost, here) = (cost.as_f64().unwrap(), inproc["stages"][stage].as_f64().unwrap());
            assert!((here - cost).abs() < 0.1 * cost + 20.0, "{stage}: {cost}, on DPDK {here}");
        }
    }
    for stage in ["poll", "net", "checksum", "frame", "buffers", "transmit", "driver"] {
        assert!(inproc["stages"][stage].as_f64().unwrap() > 1.0, "{stage}: {inproc}");
        assert!(memory["stages"][stage].is_null(), "{stage}: {memory}");
    }
}

#[cfg(not(feature = "dpdk"))]
#[test]
fn without_dpdk_its_wire_explains_itself() {
    let output = bench(&["--wire", "inproc"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("built without DPDK"), "{said}");
}

/// Long replies, other repliers, messages without a MAC.
#[test]
fn every_shape_runs() {
    let paced = ["--nodes", "3", "--reply", "6000", "--batch", "16,64", "--no-instructions"];
    assert_eq!(rows("paced.json", &paced).len(), 12);
    let args = ["--nodes", "3", "--request", "512", "--batch", "1", "--no-instructions"];
    for replier in ["jbsq", "random", "leader"] {
        let more = ["--replier", replier, "--no-key", "--mode", "hovercraft"];
        let rows = rows(&format!("{replier}.json"), &[&args[..], &more[..]].concat());
        assert_eq!(rows.len(), 2);
        let share = if replier == "leader" { 1.0 } else { 1.0 / 3.0 };
        let long = f64::ceil(6_000.0 / 1_392.0);
        for (row, packets) in rows.iter().zip([1.0, long]) {
            assert_eq!((&row["replier"], &row["key"]), (&replier.into(), &false.into()));
            let tx = row["leader_tx_per_op"].as_f64().unwrap();
            assert!((tx - 2.0 - share * packets).abs() < 0.35, "{row}");
        }
    }
}

/// Instructions are counted, split, and compared with an earlier run.
#[test]
fn instructions_are_counted_and_compared() {
    assert!(measure::callgrind::available(), "{}", measure::callgrind::Error::Missing);
    let shape = ["--mode", "hovercraft", "--nodes", "3", "--request", "24", "--reply", "8"];
    let args = [&shape[..], &["--batch", "16", "--split"]].concat();
    let found = rows("first.json", &args);
    let leader = found[0]["leader_instructions_per_op"].as_f64().unwrap();
    let whole = found[0]["instructions_per_op"].as_f64().unwrap();
    assert!(
        1_000.0 < leader && 2.0 * leader < whole,
        "{whole} instructions, {leader} the leader's"
    );
    let stages = found[0]["stages"].as_object().unwrap();
    let sum: f64 = stages.values().map(|cost| cost.as_f64().unwrap()).sum();
    assert!((sum / leader - 1.0).abs() < 0.02, "{sum} in stages of {leader}");
    assert!(stages.values().all(|cost| cost.as_f64().unwrap() > 0.0), "{stages:?}");

    let against = |name: &str| {
        let file = file(name);
        bench(
            &[&args[..], &["--ops", "1000", "--rounds", "1", "--against", file.to_str().unwrap()]]
                .concat(),
        )
    };
    assert!(against("first.json").status.success());
    let text = std::fs::read_to_string(file("first.json")).unwrap();
    let cheaper = text.replace(&format!("{leader}"), &format!("{}", leader * 0.8));
    assert_ne!(text, cheaper);
    std::fs::write(file("cheaper.json"), cheaper).unwrap();
    let output = against("cheaper.json");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("leader"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_with_its_bound() {
    for (args, bound) in [
        (["--request", "23"], "must be 24 to 1024"),
        (["--reply", "7"], "must be 8 to"),
        (["--batch", "0"], "must be 1 to 64"),
        (["--nodes", "10"], "1..=9"),
    ] {
        let output = bench(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(bound), "{args:?}: {said}");
    }
}
