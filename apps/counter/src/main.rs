//! A node that serves a [`Counter`]: `counter -- --config cluster.ron --id 1`, with `service: counter` in the file.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use counter::Counter;

fn main() -> ExitCode {
    hovercraft_node::run("counter", Counter::default)
}
