//! Packets in and out, and the time. Knows no protocol.
//!
//! [`backend::Queue`] is what a thread sees of the network; the back ends give it:
//!
//! | back end | what it is | needs |
//! |---|---|---|
//! | [`udp`] | the kernel's UDP sockets, in bursts | Linux |
//! | `dpdk` | DPDK's devices, polled, and [`net`] on top | Linux, feature `dpdk`, libdpdk |
//! | [`sim`] | a network in memory, under a seed, in virtual time | nothing |
//!
//! What every back end promises is written at the trait and asked of each of them by `tests/backend_contract.rs`.
#![deny(unsafe_code)]

pub mod backend;
pub mod capture;
pub mod clock;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod error;
pub mod net;
mod not_before;
pub mod sim;
mod sync;
pub mod udp;
