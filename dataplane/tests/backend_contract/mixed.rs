//! DPDK beside the kernel's UDP on one network: clients on sockets talk to nodes on DPDK, and the other way about.

use core::net::Ipv4Addr;
use std::process::Command;

use dataplane::backend::ArrivedAt;
use dataplane::clock::Clock;

use super::dpdk::Bridged;
use super::labs::{Inbox, Lab, expect, open_udp};
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
