//! What only the DPDK back end has: EAL, pools, ports, cables. What every back end promises, `backend_contract` asks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "functions that only tests call")]

mod cables;
mod eal;
mod faults;
mod host;
mod packets;
mod queues;
mod support;
mod vhost;
