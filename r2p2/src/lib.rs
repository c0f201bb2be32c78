//! R2P2: request/response pairs over datagrams (Kogias et al., USENIX ATC 2019), with the session extension.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ack;
pub mod buffer;
pub mod drops;
pub mod extension;
pub mod feedback;
pub mod header;
pub mod opening;
pub mod packet;
pub mod refusal;
pub mod request_id;
pub mod service;

/// A moment: time since the epoch of the node or process (monotonic, never a wall clock).
pub type Instant = core::time::Duration;
