//! The promises of `dataplane::backend`, asked of every back end that this machine has.
//!
//! A [`labs::Lab`] makes peers on one network of its back end; [`promises`] are written against it once. Where a back
//! end needs what the machine does not give (namespaces need root), the test says so on standard error and names why.
#![deny(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "functions that only tests call")]

#[cfg(feature = "dpdk")]
mod ages;
#[cfg(feature = "dpdk")]
mod dpdk;
#[cfg(feature = "dpdk")]
#[path = "../dpdk/support.rs"]
mod dpdk_support;
#[allow(unsafe_code, reason = "a counting allocator and namespaces; see its header")]
mod ffi;
mod labs;
#[cfg(feature = "dpdk")]
mod mixed;
mod namespaces;
mod no_alloc;
mod promises;
mod udp;

use std::io::Write;

use labs::{Lab, Loopback, Simulated};
use namespaces::Bridged;

/// Every promise, on one back end.
fn keeps_every_promise(lab: &mut dyn Lab) {
    for (name, promise) in promises::ALL {
        println!("{}: {name}", lab.name());
        promise(lab);
    }
}

#[test]
fn udp_on_loopback_keeps_every_promise() {
    keeps_every_promise(&mut Loopback::new());
}

#[test]
fn sim_keeps_every_promise() {
    keeps_every_promise(&mut Simulated::new());
}

#[cfg(feature = "dpdk")]
#[test]
fn dpdk_on_cables_keeps_every_promise() {
    keeps_every_promise(&mut dpdk::Cabled::new());
}

#[cfg(feature = "dpdk")]
#[test]
fn dpdk_on_vhost_keeps_every_promise() {
    keeps_every_promise(&mut dpdk::Switched::new());
}

#[cfg(feature = "dpdk")]
#[test]
fn dpdk_on_af_packet_keeps_every_promise() {
    match dpdk::Bridged::new() {
        Ok(mut lab) => keeps_every_promise(&mut lab),
        Err(why) => skipped("dpdk_on_af_packet_keeps_every_promise", &why),
    }
}

#[test]
fn udp_between_namespaces_keeps_every_promise() {
    match Bridged::new(6) {
        Ok(mut lab) => keeps_every_promise(&mut lab),
        Err(why) => skipped("udp_between_namespaces_keeps_every_promise", &why),
    }
}

/// Says that a test checked nothing.
fn skipped(test: &str, why: &std::io::Error) {
    say(&format!("SKIPPED {test}: no network namespaces here: {why}"));
}

/// Says that a test checked everything but this.
fn not_checked(what: &str, why: &str) {
    say(&format!("NOT CHECKED {what}: {why}"));
}

/// Past the test harness' capture.
#[allow(clippy::explicit_write, reason = "what `eprintln` says of a passing test is not shown")]
fn say(what: &str) {
    writeln!(std::io::stderr(), "{what}").unwrap();
}
