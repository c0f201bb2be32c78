//! Raft over small copyable entries, pure: fed with messages and time, drained of outputs.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod entry;
pub mod ids;
pub mod message;
pub mod output;

/// A moment: time since the epoch of the node (monotonic, never a wall clock).
pub type Instant = core::time::Duration;
