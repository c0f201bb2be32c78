//! A switch for nodes on one machine; see `hovercraft_node::switch`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    hovercraft_node::switch::main()
}
