//! R2P2: request/response pairs over datagrams (Kogias et al., USENIX ATC 2019), with the session extension.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ack;
pub mod answer;
pub mod buffer;
pub mod client;
pub mod drops;
pub mod extension;
pub mod feedback;
pub mod fragment;
pub mod header;
pub mod opening;
pub mod pacing;
pub mod packet;
mod random;
pub mod reassembly;
pub mod refusal;
pub mod request_id;
pub mod server;
pub mod service;
mod table;

/// A moment: time since the epoch of the node or process (monotonic, never a wall clock).
pub type Instant = core::time::Duration;
