//! A warm queue allocates nothing (design HC12).

use core::time::Duration;

use dataplane::backend::Queue;

use super::ffi::allocations_in;
use super::labs::{Inbox, Lab, Loopback, Simulated};

/// Sends bursts to a group and to single members, and reads them, `rounds` times.
fn traffic(lab: &mut dyn Lab) -> impl FnMut(&mut dyn Lab, u32) + use<> {
    let group = lab.group();
    let mut sender = lab.open(&[], Inbox::Large);
    let mut member = lab.open(&[group], Inbox::Large);
    move |lab, rounds| {
        let mut came = 0;
        for _ in 0..rounds {
            for _ in 0..50 {
                assert!(sender.queue.send(member.own, b"head", b"tail"));
            }
            assert_eq!(sender.queue.send_all(&[member.own, group], b"head", b"tail"), 2);
            sender.queue.flush();
            lab.pass_time();
            member.queue.wait(Duration::from_millis(1));
            while read(&mut *member.queue, &mut came) > 0 {}
        }
        assert!(came > u64::from(rounds) * 40, "{came} packets of 8 bytes came");
    }
}

fn read(queue: &mut dyn Queue, came: &mut u64) -> usize {
    queue.receive(&mut |arrival| *came += u64::from(arrival.bytes.len() == 8))
}

fn allocates_nothing_warm(lab: &mut dyn Lab) {
    let mut traffic = traffic(lab);
    traffic(lab, 50); // whatever grows, grows now
    assert_eq!(allocations_in(|| traffic(lab, 500)), 0, "{}", lab.name());
}

#[test]
fn hc12_a_warm_udp_queue_allocates_nothing() {
    allocates_nothing_warm(&mut Loopback::new());
}

#[test]
fn hc12_a_warm_simulated_queue_allocates_nothing() {
    allocates_nothing_warm(&mut Simulated::new());
}

#[cfg(feature = "dpdk")]
#[test]
fn hc12_a_warm_dpdk_queue_allocates_nothing() {
    allocates_nothing_warm(&mut super::dpdk::Cabled::new());
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_in(|| drop(std::hint::black_box(Box::new(1_u8)))), 1);
}
