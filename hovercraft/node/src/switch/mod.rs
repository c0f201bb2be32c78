//! `hovercraft-switch`: joins nodes that are processes of their own on one machine, where no network card does.
//!
//! ```text
//!   node 1 (net_virtio_user) ── net_vhost1 ┐
//!   node 2 (net_virtio_user) ── net_vhost2 ┼─ one thread: learn, pass on, copy to groups
//!   clients in the kernel ── net_af_packet ┘
//! ```
//!
//! What it does with a frame is [`dataplane::net::Bridge`]; ports and copies are `dataplane::dpdk::forward`; here are the
//! program and its thread. An aggregator or a middlebox stands where that thread is.
//!
//! Invariants:
//! - W1. It survives the end of whoever is at its ports, killed or not: frames for a port where nobody is are dropped and
//!   counted, and the next one at the socket is served.
//! - W2. Started after a life that was killed it takes that one's sockets; at a socket where somebody listens it refuses to
//!   start.
//! - W3. The thread that forwards never waits, logs or allocates; metrics are read from what it publishes.

mod cli;
#[cfg(feature = "dpdk")]
mod report;
#[cfg(feature = "dpdk")]
mod run;

use std::process::ExitCode;

use crate::services::{not_followed, refuse};

/// Runs a switch until a signal ends it.
#[must_use]
pub fn main() -> ExitCode {
    let (eal, args) = match cli::parse(std::env::args_os().skip(1)) {
        Ok(read) => read,
        Err(error) => return not_followed(&error),
    };
    if let Err(error) = crate::logs::init(&args.log, args.log_json) {
        return refuse(&error);
    }
    serve(&eal, &args)
}

#[cfg(feature = "dpdk")]
fn serve(eal: &[String], args: &cli::SwitchArgs) -> ExitCode {
    match run::run(eal, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::services::fail(&error),
    }
}

/// Unreachable by a command line: `--dpdk` is refused before.
#[cfg(not(feature = "dpdk"))]
fn serve(_eal: &[String], _args: &cli::SwitchArgs) -> ExitCode {
    refuse(&crate::cli::CliError::NoDpdk)
}
