//! A node of the services that come with HovercRaft.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use hovercraft_node::Services;
use kv::Kv;
use synthetic::{Pace, Synthetic};

fn main() -> ExitCode {
    let services = Services::new()
        .with("kv", |_| Kv::default())
        .with("synthetic", |_| Synthetic::new(Pace::measure()));
    hovercraft_node::main("hovercraft-node", &services)
}
