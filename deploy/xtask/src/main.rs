//! `cargo xtask NAME …`: the proofs by their names. Each is a program of its own; this one builds and runs it, with the features that
//! it needs, optimised.
#![forbid(unsafe_code)]

use std::env;
use std::process::{Command, ExitCode};

/// One proof.
struct Task {
    name: &'static str,
    what: &'static str,
    package: &'static str,
    /// Cargo features of the package.
    features: &'static str,
    /// Arguments before the user's own.
    arguments: &'static [&'static str],
}

const TASKS: &[Task] = &[
    Task {
        name: "sim",
        what: "whole clusters under faults, by seed",
        package: "hovercraft-sim",
        features: "",
        arguments: &["run"],
    },
    Task {
        name: "plant",
        what: "bugs planted one by one, each to be found by the simulator",
        package: "hovercraft-sim",
        features: "planted",
        arguments: &["plant"],
    },
    Task {
        name: "model",
        what: "every order of events of a small cluster of the real replicas",
        package: "hovercraft-model",
        features: "planted",
        arguments: &[],
    },
    Task {
        name: "fuzz",
        what: "any bytes into every parser and into the replica, under libFuzzer",
        package: "hovercraft-fuzz",
        features: "driver",
        arguments: &[],
    },
    Task {
        name: "loom",
        what: "algorithms without locks, in every order of their steps",
        package: "hovercraft-loom",
        features: "",
        arguments: &[],
    },
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("usage: cargo xtask NAME [ARGUMENT…]; each explains itself with --help\n");
        for task in TASKS {
            eprintln!("  {:8} {}", task.name, task.what);
        }
        return ExitCode::from(2);
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--profile", "proof", "--package", task.package]);
    if !task.features.is_empty() {
        command.args(["--features", task.features]);
    }
    let status = command.arg("--").args(task.arguments).args(arguments).status();
    match status {
        Ok(status) => match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) => ExitCode::from(code),
            None => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("xtask: cargo does not start: {error}");
            ExitCode::FAILURE
        }
    }
}
