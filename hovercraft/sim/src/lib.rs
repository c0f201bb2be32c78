//! The simulator: whole clusters of the real replicas, both halves of each, with clients, in one thread under a seed (design,
//! section 8).
//!
//! ```text
//!   seed ─► Knobs, Plan ─► Cluster ─► step, step, step … ─► calm ─► histories
//!                             │                               │         │
//!                             └── checks after every step ────┴─────────┴──► Outcome
//! ```
//!
//! [`run::run`] runs one seed; [`shrink`] makes the faults of a failing one fewer; [`plants`] sees that planted bugs are found.
//! The binary is `cargo xtask sim` and `cargo xtask plant`.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "each says which invariant of the simulator it holds by: a broken one ends the run as a finding"
)]

pub mod batch;
pub mod checks;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod coverage;
pub mod faults;
pub mod history;
pub mod knobs;
pub mod node;
pub mod plants;
pub mod random;
pub mod report;
pub mod run;
pub mod shrink;
