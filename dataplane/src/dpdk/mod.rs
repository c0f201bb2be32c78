//! DPDK: the back end that never enters the kernel.

pub mod cable;
mod eal;
pub mod packet;
pub mod port;

pub use eal::{Eal, EalError, Lcore, RegisteredThread};
