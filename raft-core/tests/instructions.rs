//! A bound on instructions per committed entry: three nodes in one thread, commands of 24 bytes (design 8; peers.md 0).
//!
//! The work is that of `cargo bench -p raft-core`. Callgrind counts it while this program runs again under it, with one of
//! the two pieces of work below as its only test. The bounds leave 15 percent above what was measured: whoever makes the
//! core dearer than that says so here; whoever makes it cheaper lowers them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../benches/consensus/ours.rs"]
mod ours;

use std::env;

use measure::callgrind;
use ours::Ours;
use raft_core_peers::Run;

/// Entries before counting begins: the log's ring has gone round.
const WARM: u64 = 8_192;
/// Entries that are counted.
const COUNTED: u64 = 4_096;

fn work(batch: u64) {
    let mut run = Run::<Ours>::warm(usize::try_from(batch).unwrap(), WARM / batch);
    run.measured(COUNTED / batch);
    run.check();
}

#[test]
fn work_at_batch_1() {
    work(1);
}

#[test]
fn work_at_batch_64() {
    work(64);
}

/// Instructions per entry, of all nodes and of the leader, of one of the tests above.
fn per_entry(work: &str) -> (u64, u64) {
    let program = env::current_exe().unwrap();
    let arguments = [work, "--exact", "--test-threads=1"];
    let counts = callgrind::instructions(&program, &arguments, Some("*::measured*"));
    let counts = counts.unwrap_or_else(|error| panic!("the bound cannot be checked: {error}"));
    let leader = counts.function("Ours::lead").inclusive;
    println!("{work}: {} of all nodes, {} of the leader", counts.total / COUNTED, leader / COUNTED);
    (counts.total / COUNTED, leader / COUNTED)
}

#[test]
fn an_entry_at_batch_1_costs_no_more_than_it_did() {
    let (all, leader) = per_entry("work_at_batch_1");
    assert!(leader > 0 && leader < all);
    assert!(all <= 5_900 && leader <= 2_800, "{all} instructions, {leader} of the leader");
}

#[test]
fn an_entry_at_batch_64_costs_no_more_than_it_did() {
    let (all, leader) = per_entry("work_at_batch_64");
    assert!(leader > 0 && leader < all);
    assert!(all <= 490 && leader <= 277, "{all} instructions, {leader} of the leader");
}
