//! Clusters on one machine: namespaces, processes, faults.
//!
//! ```text
//! cli ─┬> run ───> load (lancet), evidence (for history-checker), report
//!      ├> bench ─> floor (the kernel's own echo)
//!      └────────> cluster ──> network (namespaces or loopback), state (what is left on disk), admin (asking nodes)
//!                    ├────────────> process, ffi (system calls)
//!                    └────────────> inproc (all nodes and the load in one process)
//! ```
//!
//! Invariants:
//! 1. Nothing of the host's network or firewall is touched (network.rs).
//! 2. Only processes that a lab started are ended, known by number and start time (process.rs).
//! 3. What `run` starts ends with it: by a guard on errors, panics and signals, by the kernel when it is killed, and by
//!    the next run when even that failed (cluster.rs, state.rs).
#![deny(unsafe_code)]

pub mod admin;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod evidence;
pub mod ffi;
pub mod floor;
pub mod inproc;
pub mod load;
pub mod network;
pub mod process;
pub mod report;
pub mod run;
pub mod state;
pub mod wire;
