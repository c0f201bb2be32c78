//! Any bytes into everything that reads bytes from outside, and into the replica (HC13).
//!
//! Each fuzz target is an ordinary function of bytes that panics when a property does not hold. Three callers have it:
//!
//! - the ordinary test run: bounded, from a seed (`tests/ordinary.rs`);
//! - libFuzzer, which looks for new ways through the code (`fuzz/`, driven by `cargo xtask fuzz`);
//! - regression tests, with bytes that once failed.
//!
//! | file | what is fed |
//! |---|---|
//! | [`mod@replica`] | one node of a group: arbitrary well-formed messages, packets of clients, bytes and time |
//! | [`mod@cluster`] | a group: which packet arrives when, and which never |
//! | [`mod@consensus`] | the consensus core: any messages and proposals |
//! | [`mod@wire`] | messages between nodes, configurations, MACs |
//! | [`mod@r2p2`] | R2P2's headers and payloads, reassembly, client and server endpoint |
//! | [`mod@frames`] | the network stack: Ethernet, VLAN, ARP, IPv4, UDP, ICMP, IGMP |
//! | [`mod@requests`] | what services read: requests, replies, snapshots |
//! | [`mod@texts`] | `cluster.ron`; histories, audits and states |
//!
//! Invariants:
//! - F1. A body depends on its bytes alone: no clock, no randomness, no file.
//! - F2. A body says whether its bytes got past the first check, so that a run which tries nothing is noticed.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod consensus;
mod draw;
mod forge;
pub mod frames;
mod group;
mod host;
pub mod ordinary;
pub mod r2p2;
pub mod replica;
pub mod requests;
pub mod texts;
pub mod wire;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What tools call it.
    pub name: &'static str,
    /// What it is fed.
    pub what: &'static str,
    /// The property: panics when it does not hold; true when the bytes were of use.
    pub body: fn(&[u8]) -> bool,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input that makes sense, in bytes.
    pub len_max: usize,
    /// Runs in the ordinary test run.
    pub runs: u32,
    /// Of a thousand of these, so many at least are of use.
    pub useful: u32,
}

/// For bodies that make sense of any bytes.
fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

/// All of them, what matters most first.
pub const TARGETS: &[Target] = &[
    Target {
        name: "replica",
        what: "one node of a group, fed with arbitrary well-formed messages and time",
        body: replica::replica,
        seeds: no_seeds,
        len_max: 4_096,
        runs: 2_000,
        useful: 100,
    },
    Target {
        name: "cluster",
        what: "a group whose network is the fuzzer",
        body: cluster::cluster,
        seeds: no_seeds,
        len_max: 4_096,
        runs: 2_000,
        useful: 100,
    },
    Target {
        name: "wire",
        what: "messages between nodes",
        body: wire::wire,
        seeds: wire::seeds,
        len_max: 1_473,
        runs: 50_000,
        useful: 100,
    },
    Target {
        name: "consensus",
        what: "the consensus core",
        body: consensus::consensus,
        seeds: no_seeds,
        len_max: 2_048,
        runs: 4_000,
        useful: 50,
    },
    Target {
        name: "codecs",
        what: "R2P2's packets",
        body: r2p2::codecs,
        seeds: r2p2::packets,
        len_max: 1_600,
        runs: 200_000,
        useful: 300,
    },
    Target {
        name: "reassembly",
        what: "R2P2's messages of several packets",
        body: r2p2::reassembly,
        seeds: r2p2::received,
        len_max: 32_768,
        runs: 500,
        useful: 300,
    },
    Target {
        name: "endpoints",
        what: "R2P2's client and server",
        body: r2p2::endpoints,
        seeds: r2p2::conversations,
        len_max: 32_768,
        runs: 500,
        useful: 300,
    },
    Target {
        name: "frames",
        what: "the network stack below DPDK",
        body: frames::frames,
        seeds: frames::seeds,
        len_max: 8_192,
        runs: 5_000,
        useful: 50,
    },
    Target {
        name: "requests",
        what: "requests and snapshots of services",
        body: requests::requests,
        seeds: requests::seeds,
        len_max: 4_096,
        runs: 5_000,
        useful: 300,
    },
    Target {
        name: "config",
        what: "cluster.ron",
        body: texts::config,
        seeds: texts::files,
        len_max: 2_048,
        runs: 5_000,
        useful: 5,
    },
    Target {
        name: "lines",
        what: "histories, audits and states",
        body: texts::lines,
        seeds: texts::evidence,
        len_max: 2_048,
        runs: 5_000,
        useful: 100,
    },
];
