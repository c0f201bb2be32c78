//! Stacks on one segment, in virtual time: over a perfect wire, and over one that loses, doubles and delays.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dataplane::backend::ArrivedAt;
use dataplane::net::{
    Addressing, AddressingEvent, DeviceSays, HEADERS_MAX, Offload, Refused, Stack, StackEvent,
};

use super::frames::{group, host, mac, read, seconds, stack};

/// A host as a back end drives it.
struct Host {
    stack: Stack,
    addressing: Addressing,
    came: Vec<(SocketAddr, ArrivedAt, Vec<u8>)>,
}

/// Hosts 1, 2, … and the frames between them.
struct Segment {
    now: Duration,
    hosts: Vec<Host>,
    under_way: VecDeque<(Duration, Vec<u8>)>,
    random: u64,
    loss_percent: u64,
    frames: u64,
}

impl Segment {
    fn new(hosts: u8, seed: u64, loss_percent: u64) -> Self {
        let host = |n| {
            let stack = stack(n);
            let addressing = stack.addressing(Offload::default());
            Host { stack, addressing, came: Vec::new() }
        };
        let hosts = (1..=hosts).map(host).collect();
        let (now, under_way) = (Duration::ZERO, VecDeque::new());
        Self { now, hosts, under_way, random: seed, loss_percent, frames: 0 }
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random >> 33
    }

    fn send(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) -> bool {
        let (now, host) = (self.now, &mut self.hosts[from]);
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let payload = host.addressing.payload(head, tail, 1).unwrap();
        let mut headers = [0; HEADERS_MAX];
        match host.addressing.write(to, payload, &mut headers) {
            Ok(len) => {
                let frame = [&headers[..len], bytes].concat();
                self.put(vec![frame]);
                true
            }
            Err(Refused::Unresolved) => host.addressing.hold(now, to, head, tail),
            Err(Refused::Unreachable) => false,
        }
    }

    fn put(&mut self, frames: Vec<Vec<u8>>) {
        for frame in frames {
            read(&frame); // by the independent library, checksums and all
            self.frames += 1;
            let copies = if self.loss_percent == 0 {
                1
            } else {
                1 + u64::from(self.draw().is_multiple_of(20))
            };
            for _ in 0..copies {
                if self.draw() % 100 >= self.loss_percent {
                    let delay = Duration::from_micros(5 + self.draw() % 200);
                    self.under_way.push_back((self.now + delay, frame.clone()));
                }
            }
        }
    }

    /// A segment is a hub: everybody gets every frame, its sender too.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let mut still = VecDeque::new();
            for (at, frame) in std::mem::take(&mut self.under_way) {
                if at > self.now {
                    still.push_back((at, frame));
                    continue;
                }
                for host in &mut self.hosts {
                    let datagram = host.stack.take(self.now, &frame, DeviceSays::default());
                    if let Some(datagram) = datagram {
                        host.came.push((datagram.from, datagram.to, datagram.bytes.to_vec()));
                    }
                }
            }
            self.under_way = still;
            let mut frames = Vec::new();
            for host in &mut self.hosts {
                host.stack.poll(self.now, &mut |frame| frames.push(frame.to_vec()));
                host.addressing.release(self.now, &mut |frame| frames.push(frame.to_vec()));
            }
            self.put(frames);
            self.now += Duration::from_micros(100);
        }
    }
}

#[test]
fn on_a_perfect_wire_everything_arrives_once_from_the_first_packet_on() {
    let mut segment = Segment::new(3, 1, 0);
    for round in 0..200_u8 {
        assert!(segment.send(0, host(2).into(), &[round, 1]));
        assert!(segment.send(1, host(1).into(), &[round, 2]));
        assert!(segment.send(2, host(1).into(), &[round, 3]));
        assert!(segment.send(0, group().into(), &[round, 4]));
        segment.pass(Duration::from_millis(1));
    }
    segment.pass(Duration::from_millis(10));
    let came: Vec<usize> = segment.hosts.iter().map(|host| host.came.len()).collect();
    assert_eq!(came, [400, 400, 200]);
    for round in 0..200_u8 {
        let first = (SocketAddr::V4(host(1)), ArrivedAt::Own, vec![round, 1]);
        assert!(segment.hosts[1].came.contains(&first), "{round}");
        let to_all = (SocketAddr::V4(host(1)), ArrivedAt::Group(1), vec![round, 4]);
        assert!(segment.hosts[2].came.contains(&to_all), "{round}");
    }
    let asked: u64 =
        segment.hosts.iter().map(|host| host.stack.counters().of(StackEvent::ArpAsked)).sum();
    assert!((1..=10).contains(&asked), "{asked} questions");
}

/// An hour in which two hosts talk every now and then; a third of the frames is lost.
#[test]
fn on_a_lossy_wire_neighbours_are_found_again_and_again() {
    let mut lost_neighbours = 0;
    for seed in 0..8 {
        let mut segment = Segment::new(2, seed, 33);
        let (mut sent, mut refused) = (0_usize, 0);
        for _ in 0..360 {
            for from in [0, 1] {
                let to = host(if from == 0 { 2 } else { 1 });
                let accepted = segment.send(from, to.into(), b"now and then");
                sent += usize::from(accepted);
                refused += usize::from(!accepted);
            }
            // A long time in few steps.
            segment.pass(Duration::from_millis(2));
            for _ in 0..10 {
                segment.now += seconds(1);
                segment.pass(Duration::from_millis(1));
            }
        }
        let came: usize = segment.hosts.iter().map(|host| host.came.len()).sum();
        let expired: u64 = segment
            .hosts
            .iter()
            .map(|host| host.addressing.counters().of(AddressingEvent::HeldExpired))
            .sum();
        assert_eq!(refused, 0, "seed {seed}");
        // Two of three arrive, some twice; a neighbour is rarely missed thrice.
        assert!(came * 10 > sent * 5, "seed {seed}: {came} of {sent} came");
        assert!(expired < 60, "seed {seed}: {expired} kept in vain");
        for host in &segment.hosts {
            lost_neighbours += host.stack.counters().of(StackEvent::NeighbourLost);
            assert_eq!(host.addressing.held(), 0);
        }
    }
    assert!(lost_neighbours > 0, "the wire was not bad enough");
}

/// A host is replaced by another machine with its address, without a word; the other one is found.
#[test]
fn a_replaced_machine_is_found_by_the_next_questions() {
    let mut segment = Segment::new(2, 3, 0);
    assert!(segment.send(0, host(2).into(), b"before"));
    segment.pass(Duration::from_millis(5));
    assert_eq!(segment.hosts[1].came.len(), 1);
    let config = dataplane::net::StackConfig { mac: mac(99), ..super::frames::config(2) };
    let mut other = Stack::new(config, segment.now).unwrap();
    other.poll(segment.now, &mut |_| ()); // its announcements are lost
    segment.hosts[1].addressing = other.addressing(Offload::default());
    segment.hosts[1].stack = other;
    let came = (0..50).position(|_| {
        assert!(segment.send(0, host(2).into(), b"after"));
        segment.pass(Duration::from_millis(2));
        segment.now += seconds(1);
        segment.hosts[1].came.len() > 1
    });
    assert!(came.is_some_and(|seconds| seconds < 40), "{came:?}");
}

/// The same seed, the same frames: nothing here asks a clock or a source of chance.
#[test]
fn the_same_seed_makes_the_same_run() {
    let run = |seed| {
        let mut segment = Segment::new(3, seed, 20);
        for round in 0..50_u8 {
            segment.send(usize::from(round % 3), host(1 + (round + 1) % 3).into(), b"x");
            segment.pass(Duration::from_millis(3));
        }
        (segment.frames, segment.hosts.iter().map(|host| host.came.clone()).collect::<Vec<_>>())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
