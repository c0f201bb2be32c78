//! A short bench of real clusters: every cell is there, and its figures are possible.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hovercraft_lab::network;
use serde_json::Value;

/// Builds what is measured, as the quickstart does; where it is then.
fn programs() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release", "--locked"]).current_dir(&root);
    build.args(["-p", "hovercraft-node", "-p", "lancet-rs", "-p", "hovercraft-lab"]);
    assert!(build.status().unwrap().success());
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release")
}

/// The figure of this name.
fn figure(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("{name}: {row}"))
}

fn check(row: &Value) {
    for name in [
        "rate",
        "p50_us",
        "p99_us",
        "cpu_us_per_op",
        "client_cpu_us_per_op",
        "floor_rate",
        "floor_p50_us",
        "floor_p99_us",
        "floor_cpu_us_per_op",
    ] {
        assert!(figure(row, name) > 0.0, "{name}: {row}");
    }
    assert!(figure(row, "p50_us") <= figure(row, "p99_us"), "{row}");
    assert!(figure(row, "floor_p50_us") <= figure(row, "floor_p99_us"), "{row}");
    assert!(figure(row, "answered") > 100.0 && row["answered"] == row["sent"], "{row}");
    // No cluster answers for less than an echo costs; and no core gives more than a second in a second.
    assert!(figure(row, "cpu_us_per_op") > figure(row, "floor_cpu_us_per_op"), "{row}");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let busy = figure(row, "cpu_us_per_op") * figure(row, "rate") / 1e6;
    assert!(busy < 1.5 * f64::from(u32::try_from(cores).unwrap()), "{busy} cores busy: {row}");
    // What is open, and how long half of it takes at least, bounds the rate (Little's law).
    let open = figure(row, "rate") * figure(row, "p50_us") / 1e6;
    assert!(open < 2.0 * figure(row, "open"), "{open} open: {row}");
}

#[test]
fn a_short_bench_measures_every_cell_beside_the_floor() {
    let name = format!("t{}-bench", std::process::id());
    let file = std::env::temp_dir().join(format!("{name}.json"));
    let mut command = Command::new(programs().join("hovercraft-lab"));
    command.args(["--name", &name, "bench", "--modes", "unreplicated,hovercraft"]);
    command.args(["--open", "1,16", "--rounds", "1", "--seconds", "0.3", "--json"]).arg(&file);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(file).unwrap();
    let cells: Vec<(&str, &str, u64)> = rows
        .iter()
        .map(|row| {
            let open = row["open"].as_u64().unwrap();
            (row["where"].as_str().unwrap(), row["mode"].as_str().unwrap(), open)
        })
        .collect();
    let of = |place| {
        [
            (place, "unreplicated", 1),
            (place, "unreplicated", 16),
            (place, "hovercraft", 1),
            (place, "hovercraft", 16),
        ]
    };
    match network::namespaces_possible() {
        Ok(()) => assert_eq!(cells, [of("namespaces"), of("loopback")].concat()),
        Err(_) => {
            assert_eq!(cells, of("loopback"));
            assert!(complained.contains(": loopback only"), "{complained}");
        }
    }
    rows.iter().for_each(check);
    assert_eq!(said.lines().count(), rows.len() + 2, "{said}");
    assert!(!support::directory(&name).exists(), "something is left");
}
