//! The network stack of one interface, from bytes that another library (`etherparse`) built, and read back by it; and with
//! Linux at the other end of the wire.
#![deny(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_bytes;
mod arp;
mod config;
mod echo;
mod exchange;
#[allow(dead_code, reason = "namespaces serve other tests")]
#[allow(unsafe_code, reason = "a counting allocator; see its header")]
#[path = "../backend_contract/ffi.rs"]
mod ffi;
mod frames;
mod igmp;
mod kernel;
mod no_alloc;
mod receive;
mod send;
