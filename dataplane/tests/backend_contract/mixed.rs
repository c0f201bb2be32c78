//! DPDK beside the kernel's UDP on one network: clients on sockets talk to nodes on DPDK, and the other way about.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::process::Command;

use dataplane::backend::{ArrivedAt, BackendCounters};
use dataplane::clock::Clock;

use super::dpdk::Bridged;
use super::labs::{Inbox, Lab, Peer, expect, open_udp};
use super::skipped;

#[test]
fn dpdk_and_kernel_udp_hear_each_other() {
    const TEST: &str = "dpdk_and_kernel_udp_hear_each_other";
    let mut lab = match Bridged::new() {
        Ok(lab) => lab,
        Err(why) => return skipped(TEST, &why),
    };
    let group = lab.group();
    let mut node = lab.open(&[group], Inbox::Large);
    let host = lab.host(1);
    host.ip("address add 10.77.0.2/24 dev net").unwrap();
    // A veth's kernel leaves checksums to a card that is not there, and the packet socket's driver does not say so.
    let off = || Command::new("ethtool").args(["-K", "net", "tx", "off"]).output();
    match host.inside(off) {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("ethtool: {}", String::from_utf8_lossy(&output.stderr)),
        Err(why) => return skipped(TEST, &why),
    }
    let own = Ipv4Addr::new(10, 77, 0, 2);
    let mut client = host.inside(|| open_udp(own, &[group], Inbox::Large, Clock::start()));
    for (to, at) in [(node.own, ArrivedAt::Own), (group, ArrivedAt::Group(0))] {
        for len in [0, 1, 64, 1_472] {
            let bytes = vec![7; len];
            assert!(client.queue.send(to, &bytes, &[]));
            client.queue.flush();
            // A member hears its own multicast on kernel sockets.
            client.queue.receive(&mut |_| ());
            let came = expect(&mut lab, &mut node, 1);
            assert_eq!((came[0].from, came[0].to, &came[0].bytes), (client.own, at, &bytes));
            let to = if at == ArrivedAt::Own { client.own } else { group };
            assert!(node.queue.send(to, b"answer to ", &bytes[..len.min(1_000)]));
            node.queue.flush();
            let answer = [&b"answer to "[..], &bytes[..len.min(1_000)]].concat();
            let came = expect(&mut lab, &mut client, 1);
            assert_eq!((came[0].from, came[0].to, &came[0].bytes), (node.own, at, &answer));
        }
    }
    drop(client);
    lab.close(vec![node]);
}

/// The interface goes down under load, and up again; then it is taken away.
#[test]
fn a_link_that_goes_down_stops_nobody() {
    const TEST: &str = "a_link_that_goes_down_stops_nobody";
    let mut lab = match Bridged::new() {
        Ok(lab) => lab,
        Err(why) => return skipped(TEST, &why),
    };
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    let mut asked = 0;
    let mut flood = |sender: &mut Peer, lab: &mut Bridged| {
        let begin = std::time::Instant::now();
        for _ in 0..5_000 {
            sender.queue.send(receiver.own, &[1; 1_000], &[]);
        }
        sender.queue.flush();
        assert!(begin.elapsed() < Duration::from_secs(5));
        asked += 5_000;
        let BackendCounters { sent, dropped_send, .. } = sender.queue.counters();
        assert_eq!(sent + dropped_send, asked, "D2");
        lab.pass_time();
        let mut came = 0;
        while let count @ 1.. = receiver.queue.receive(&mut |_| ()) {
            came += count;
        }
        came
    };
    assert!(flood(&mut sender, &mut lab) > 0);
    lab.host(0).ip("link set net down").unwrap();
    assert_eq!(flood(&mut sender, &mut lab), 0);
    lab.host(0).ip("link set net up").unwrap();
    // The bridge hears of it a moment later.
    assert!((0..200).any(|_| flood(&mut sender, &mut lab) > 0));
    lab.host(0).ip("link delete net").unwrap();
    assert_eq!(flood(&mut sender, &mut lab), 0);
    lab.close(vec![sender, receiver]);
}
