//! A node of the services that come with HovercRaft.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use hovercraft_node::Services;

fn main() -> ExitCode {
    hovercraft_node::main("hovercraft-node", &Services::new().with_ours())
}
