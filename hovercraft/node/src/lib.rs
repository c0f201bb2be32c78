//! A node: the driver around the two pure halves of `hovercraft` (design, section 5).
//!
//! A replicated service of your own is a `r2p2::service::Service` and a `main`:
//!
//! ```no_run
//! # use kv::Kv as Counter;
//! fn main() -> std::process::ExitCode {
//!     hovercraft_node::run("counter", Counter::default)
//! }
//! ```
//!
//! started as `counter -- --config cluster.ron --id 1`, with `service: counter` in the file.
//!
//! | thread | does | file |
//! |---|---|---|
//! | network | packets, consensus, R2P2 | `network.rs` |
//! | application | executes, answers | `application.rs` |
//! | control | signals, logs | `control.rs` |
//! | admin | HTTP for tools | [`admin`] |
//!
//! Beside it, the switch that joins nodes of one machine where no card does: [`switch`]; and nodes without threads, of which
//! one thread takes the turns: [`stepped`].
//!
//! Invariants:
//! - The first two share nothing but a ring, a few numbers and mailboxes (`link.rs`), and never log.
//! - The other two never touch the first two's values: they ask, and get an answer at the end of a turn ([`Handle`]).
#![deny(unsafe_code)]

pub mod admin;
mod application;
mod audit;
#[doc(hidden)]
pub mod bench;
mod board;
mod cli;
mod control;
pub mod ctl;
mod doctor;
#[cfg(feature = "dpdk")]
mod dpdk;
#[allow(unsafe_code, reason = "the one door to libc; see its header")]
mod ffi;
mod handle;
mod health;
mod hex;
mod link;
mod logs;
mod network;
mod node;
mod plan;
pub mod report;
mod services;
mod settings;
pub mod stepped;
pub mod switch;
mod sync;
#[cfg(test)]
mod testing;
mod threads;
mod traces;
mod turn;
mod words;

pub use handle::{AskError, Handle, StateReport};
pub use node::{Node, StartError, Wire};
pub use plan::{DpdkOptions, Plan, PlanError};
pub use services::{Services, main, run};
pub use threads::Started;
