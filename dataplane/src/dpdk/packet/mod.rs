//! Packet buffers: pools of them ([`Pool`]), one packet ([`Mbuf`]), a payload that many packets share ([`Payload`]), and
//! what moves in one call ([`Burst`]).
//!
//! Invariants:
//! - B1. A packet has one owner, and its buffers go home when the owner lets go: no path can lose one.
//! - B2. A shared payload is written by nobody.
//! - B3. A pool's memory lives as long as any packet of it.

#[allow(unsafe_code, reason = "calls DPDK; see its header")]
mod ffi;

use thiserror::Error;

pub(super) use ffi::CACHE;
pub use ffi::{Burst, Mbuf, Payload, Pool};

/// Packets of one call.
pub const BURST: usize = 32;

/// A pool or a ring was not made.
#[derive(Debug, Error)]
#[error(
    "{count} packet buffers of {bytes} bytes on socket {socket:?}: {cause}; give EAL more memory (-m {megabytes})"
)]
pub struct PoolError {
    /// Buffers asked for.
    pub count: u32,
    /// Bytes of each, with what DPDK keeps beside.
    pub bytes: u32,
    /// NUMA socket; none: any.
    pub socket: Option<u32>,
    /// The answer.
    pub cause: std::io::Error,
    /// Megabytes that it takes, and as much again for the rest.
    pub megabytes: u64,
}

/// What a device says of the checksums of a packet that it received.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeviceChecksums {
    /// Of the IPv4 header.
    pub ipv4: Verdict,
    /// Of UDP.
    pub udp: Verdict,
}

/// A device's judgement of one checksum.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verdict {
    /// It did not look.
    #[default]
    Unknown,
    /// Right.
    Good,
    /// Wrong.
    Bad,
    /// There is none to look at, but the data is known to be right (a packet that never left the machine).
    Trusted,
}
