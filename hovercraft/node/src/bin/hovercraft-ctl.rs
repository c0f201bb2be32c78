//! Looks at a cluster, and tells it what an operator wants; see `hovercraft_node::ctl`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    hovercraft_node::ctl::main()
}
