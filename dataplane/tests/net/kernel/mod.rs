//! Linux at the other end of the wire: its ARP, its checksums, its ICMP, its snooping bridge judge what the stack sends.
//!
//! The stack has one end of a tap device in a network namespace of the test's thread, the kernel has the other. Where the
//! machine gives neither, the tests say so on standard error.

#[allow(unsafe_code, reason = "one device; see its header")]
mod ffi;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use dataplane::net::{
    Addressing, DeviceSays, HEADERS_MAX, IgmpVersion, Offload, Refused, Stack, StackConfig,
    StackEvent,
};
use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type};
use socket2::{Domain, Protocol, Socket, Type};

use super::ffi::leave_network;
use super::frames::{config, group, host, ip, mac};

/// The stack is host 1; the kernel is host 2.
struct Wire {
    tap: File,
    stack: Stack,
    addressing: Addressing,
    start: Instant,
    came: Vec<(SocketAddr, Vec<u8>)>,
}

impl Wire {
    fn new(config: StackConfig) -> io::Result<Self> {
        leave_network()?;
        let tap = ffi::tap("tap")?;
        let stack = Stack::new(config, Duration::ZERO).unwrap();
        let addressing = stack.addressing(Offload::default());
        Ok(Self { tap, stack, addressing, start: Instant::now(), came: Vec::new() })
    }

    /// The kernel has its address on the device itself.
    fn straight() -> io::Result<Self> {
        let wire = Self::new(config(1))?;
        ip_command("link set lo up")?;
        ip_command("address add 10.0.0.2/24 dev tap")?;
        ip_command("link set tap up")?;
        Ok(wire)
    }

    /// Everything that is there to do, once.
    fn turn(&mut self) {
        let (now, mut frame) = (self.start.elapsed(), [0; 2_048]);
        while let Ok(len) = self.tap.read(&mut frame) {
            let datagram = self.stack.take(now, &frame[..len], DeviceSays::default());
            if let Some(datagram) = datagram {
                self.came.push((datagram.from, datagram.bytes.to_vec()));
            }
        }
        let mut tap = &self.tap;
        self.stack.poll(now, &mut |frame| tap.write_all(frame).unwrap());
        self.addressing.release(now, &mut |frame| tap.write_all(frame).unwrap());
    }

    /// Turns until `wanted` says that it is so; fails after ten seconds.
    fn until(&mut self, what: &str, mut wanted: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !wanted(self) {
            self.turn();
            assert!(Instant::now() < end, "not {what} in ten seconds: {:?}", self.stack.counters());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let payload = self.addressing.payload(bytes, b"", 1).unwrap();
        let mut headers = [0; HEADERS_MAX];
        match self.addressing.write(to, payload, &mut headers) {
            Ok(len) => self.tap.write_all(&[&headers[..len], bytes].concat()).unwrap(),
            Err(Refused::Unresolved) => {
                assert!(self.addressing.hold(self.start.elapsed(), to, bytes, b""));
            }
            Err(Refused::Unreachable) => panic!("{to}"),
        }
    }
}

fn ip_command(arguments: &str) -> io::Result<()> {
    command("ip", arguments).map(drop)
}

fn command(program: &str, arguments: &str) -> io::Result<String> {
    let output = Command::new(program).args(arguments.split_whitespace()).output()?;
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if output.status.success() {
        return Ok(said);
    }
    Err(io::Error::other(format!("{program} {arguments}: {}", complained.trim())))
}

/// Does `work` on a thread of its own, which alone moves to a namespace.
#[allow(clippy::explicit_write, reason = "what `eprintln` says of a passing test is not shown")]
fn with(
    test: &'static str,
    make: impl FnOnce() -> io::Result<Wire> + Send + 'static,
    work: impl FnOnce(Wire) + Send + 'static,
) {
    let thread = std::thread::spawn(move || match make() {
        Ok(wire) => work(wire),
        Err(why) => writeln!(io::stderr(), "SKIPPED {test}: no tap device here: {why}").unwrap(),
    });
    thread.join().unwrap();
}

#[test]
fn the_kernel_takes_what_we_send_and_we_what_it_sends() {
    with("the_kernel_takes_what_we_send_and_we_what_it_sends", Wire::straight, |mut wire| {
        let kernel = UdpSocket::bind("10.0.0.2:8000").unwrap();
        kernel.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2_048];
        // We first: the packet waits for the kernel's answer to our question.
        wire.send(host(2).into(), b"first");
        assert_eq!(wire.addressing.held(), 1);
        wire.until("heard", |_| {
            kernel.recv_from(&mut buffer).is_ok_and(|came| came == (5, host(1).into()))
        });
        assert_eq!(wire.addressing.held(), 0);
        for len in [0, 1, 2, 17, 64, 65, 511, 1_400, 1_471, 1_472] {
            let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
            kernel.send_to(&payload, host(1)).unwrap();
            wire.until("received", |wire| !wire.came.is_empty());
            assert_eq!(wire.came.pop(), Some((host(2).into(), payload.clone())));
            wire.send(host(2).into(), &payload);
            // Linux drops a datagram whose checksums are wrong.
            wire.until("answered", |_| {
                kernel.recv_from(&mut buffer).is_ok_and(|(came, _)| buffer[..came] == payload)
            });
        }
        let neighbours = command("ip", "neigh show 10.0.0.1").unwrap();
        assert!(neighbours.contains(&mac(1).to_string()), "{neighbours}");
        // Fragments of the kernel's are counted.
        kernel.send_to(&[7; 3_000], host(1)).unwrap();
        wire.until("fragments", |wire| wire.stack.counters().of(StackEvent::Fragment) == 3);
        // Nobody listens there: the kernel says so.
        wire.send("10.0.0.2:9999".parse().unwrap(), b"anybody?");
        wire.until("unreachable", |wire| wire.stack.counters().of(StackEvent::Unreachable) == 1);
        assert_eq!(wire.stack.counters().of(StackEvent::BadChecksum), 0);
    });
}

#[test]
fn the_kernel_is_answered_when_it_pings() {
    with("the_kernel_is_answered_when_it_pings", Wire::straight, |mut wire| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
        socket.set_nonblocking(true).unwrap();
        for len in [0, 56, 1_472] {
            let data: Vec<u8> = (0..=255).cycle().take(len).collect();
            let kind = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 77, seq: 3 });
            let packet = [&Icmpv4Header::with_checksum(kind, &data).to_bytes()[..], &data].concat();
            socket.send_to(&packet, &SocketAddr::from((ip(1), 0)).into()).unwrap();
            let mut buffer = [0; 2_048];
            wire.until("answered", |_| {
                let Ok(came) = (&socket).read(&mut buffer) else { return false };
                let (header, bytes) = Icmpv4Header::from_slice(&buffer[20..came]).unwrap();
                let reply = Icmpv4Type::EchoReply(IcmpEchoHeader { id: 77, seq: 3 });
                header.icmp_type == reply && bytes == data
            });
        }
    });
}

#[test]
fn the_kernel_and_we_are_members_of_one_group() {
    with("the_kernel_and_we_are_members_of_one_group", Wire::straight, |mut wire| {
        let kernel = UdpSocket::bind(group()).unwrap();
        kernel.set_nonblocking(true).unwrap();
        kernel.join_multicast_v4(group().ip(), &ip(2)).unwrap();
        let sender = Socket::from(UdpSocket::bind("10.0.0.2:8000").unwrap());
        sender.set_multicast_if_v4(&ip(2)).unwrap();
        sender.send_to(b"to all", &group().into()).unwrap();
        wire.until("received", |wire| wire.came == [(host(2).into(), b"to all".to_vec())]);
        wire.send(group().into(), b"to all of you");
        let mut buffer = [0; 64];
        // Its own copy comes back to it, too.
        wire.until("heard", |_| {
            kernel.recv_from(&mut buffer).is_ok_and(|came| came == (13, host(1).into()))
        });
        // The kernel's reports harmed nobody.
        wire.until("reports", |wire| wire.stack.counters().of(StackEvent::OtherAddress) > 0);
    });
}

/// A bridge that asks for members, answered in two versions; its own notes say what it understood.
#[test]
fn a_snooping_bridge_knows_our_groups_until_we_leave() {
    for version in [IgmpVersion::V3, IgmpVersion::V2] {
        let make = move || {
            let wire = Wire::new(StackConfig { igmp: Some(version), ..config(1) })?;
            let asked = if version == IgmpVersion::V3 { 3 } else { 2 };
            // Times in hundredths of a second.
            ip_command(&format!(
                "link add bridge type bridge mcast_snooping 1 mcast_querier 1 mcast_igmp_version {asked} \
                 mcast_query_response_interval 30 mcast_startup_query_interval 100 \
                 mcast_last_member_interval 10 mcast_query_interval 500"
            ))?;
            command("bridge", "mdb show")?;
            ip_command("link set tap master bridge up")?;
            ip_command("link set bridge up")?;
            Ok(wire)
        };
        with("a_snooping_bridge_knows_our_groups_until_we_leave", make, |mut wire| {
            let is_known = |group: Ipv4Addr| {
                let known = command("bridge", "mdb show").unwrap();
                known.lines().any(|line| line.contains("tap") && line.contains(&group.to_string()))
            };
            let groups = wire.stack.config().groups.clone();
            wire.until("known", |_| groups.iter().all(|group| is_known(*group.ip())));
            let asked = |wire: &mut Wire| wire.stack.counters().of(StackEvent::IgmpQuery) >= 2;
            wire.until("asked", asked);
            let reports = wire.stack.counters().of(StackEvent::IgmpReport);
            wire.until("answered", |wire| {
                wire.stack.counters().of(StackEvent::IgmpReport) > reports.max(3)
            });
            let (now, mut tap) = (wire.start.elapsed(), &wire.tap);
            wire.stack.leave(now, &mut |frame| tap.write_all(frame).unwrap());
            let end = Instant::now() + Duration::from_secs(10);
            // Silent from here on: the bridge asks once more, and nobody answers.
            while groups.iter().any(|group| is_known(*group.ip())) {
                assert!(Instant::now() < end, "still known");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
}
