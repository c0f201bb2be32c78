//! The network stack below DPDK's back end: any frame is counted once and has a bounded answer (E1, E2 of `dataplane::net`).

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use dataplane::net::{
    Checksum, DeviceSays, HEADERS_MAX, MacAddress, Offload, Stack, StackConfig, StackEvent,
};

use crate::draw::Draw;

const FRAME_MAX: usize = 1_600;
/// Frames of one run, at most.
const FRAMES_MAX: usize = 300;
/// Frames that one that came may cause, at most: answers, and what waited for a neighbour.
const ANSWERS_MAX: usize = 64;
const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const PEER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);

fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

/// The body of fuzz target `frames`: whether frames are tagged, then frames, each after a time and with what the device says of it.
/// True when a datagram was handed up.
///
/// # Panics
///
/// When a frame is counted twice or never, or answered without bounds.
#[must_use]
pub fn frames(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let vlan = draw.one_in(3).then_some(5);
    let groups = vec![SocketAddrV4::new(Ipv4Addr::new(239, 129, 2, 3), 7_000)];
    let own = StackConfig::new(OWN, SocketAddrV4::new(ip(1), 8_000), 24);
    let config = StackConfig { groups, vlan, ..own };
    let Ok(mut stack) = Stack::new(config, Duration::ZERO) else { return false };
    let mut addressing = stack.addressing(Offload::default());
    let (mut now, mut handed_up) = (Duration::ZERO, false);
    for _ in 0..FRAMES_MAX {
        if draw.is_empty() {
            break;
        }
        now += Duration::from_micros(u64::from(draw.u8()).pow(2));
        let says = device(&mut draw, vlan);
        let frame = draw.framed(FRAME_MAX);
        let before = stack.counters();
        handed_up |= stack.take(now, frame, says).is_some();
        let after = stack.counters();
        let raised = |event: StackEvent| after.of(event) - before.of(event);
        let of_frames = |&&event: &&StackEvent| (event as usize) < StackEvent::OwnDropped as usize;
        let fates: u64 = StackEvent::ALL.iter().filter(of_frames).map(|&event| raised(event)).sum();
        // OwnDropped stands for an answer that found no room.
        assert_eq!(fates + raised(StackEvent::OwnDropped), 1, "{frame:02x?}");
        if draw.one_in(4) {
            let to = SocketAddrV4::new(ip(draw.u8()), 8_000);
            let mut headers = [0; HEADERS_MAX];
            let payload = addressing.payload(b"answer", b"", 1);
            if payload
                .is_some_and(|payload| addressing.write(to.into(), payload, &mut headers).is_err())
            {
                let _kept = addressing.hold(now, to.into(), b"answer", b"");
            }
        }
        let mut answers = 0;
        let mut emit = |frame: &[u8]| {
            assert!((14..=FRAME_MAX).contains(&frame.len()), "{} bytes", frame.len());
            answers += 1;
        };
        stack.poll(now, &mut emit);
        addressing.release(now, &mut emit);
        assert!(answers <= ANSWERS_MAX, "{answers} frames at one time");
    }
    handed_up
}

fn device(draw: &mut Draw<'_>, vlan: Option<u16>) -> DeviceSays {
    const SAYS: [Checksum; 3] = [Checksum::Good, Checksum::Bad, Checksum::Unknown];
    let choice = draw.u8();
    let tag = if choice >= 192 { Some(u16::from(draw.u8())) } else { vlan };
    DeviceSays {
        ipv4: SAYS[usize::from(choice % 3)],
        udp: SAYS[usize::from(choice / 3 % 3)],
        vlan: tag,
    }
}

/// Frames of all protocols, as [`frames`] reads them: the device vouches for their checksums.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let group = Ipv4Addr::new(239, 129, 2, 3);
    let all = Ipv4Addr::new(224, 0, 0, 1);
    let own = (OWN, ip(1));
    let frames = [
        ipv4(own, 17, &udp(8_000, b"a request of some length")),
        ipv4((MacAddress::of_group(group), group), 17, &udp(7_000, &[7; 1_400])),
        ipv4(own, 1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]),
        ipv4(own, 1, &[3, 4, 0xfc, 0xfb, 0, 0, 0, 0]),
        ipv4((MacAddress::of_group(all), all), 2, &[0x11, 0, 0xee, 0xff, 0, 0, 0, 0]),
        ipv4((MacAddress::of_group(all), all), 2, &[0x11, 10, 0xee, 0xf5, 0, 0, 0, 0, 0, 0, 0, 0]),
        arp(MacAddress::BROADCAST, 1),
        arp(OWN, 2),
    ];
    let framed = |frames: &[Vec<u8>]| {
        // Not tagged; a little later, checksums good, no packet of our own.
        let mut bytes = vec![0];
        for frame in frames {
            bytes.extend([9, 0]);
            bytes.extend(u16::try_from(frame.len()).unwrap_or_default().to_le_bytes());
            bytes.extend(frame);
            bytes.push(0);
        }
        bytes
    };
    let mut seeds: Vec<Vec<u8>> = frames.chunks(1).map(framed).collect();
    seeds.push(framed(&frames));
    seeds
}

fn ethernet(to: MacAddress, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &PEER.0, &kind, payload].concat()
}

fn ipv4(to: (MacAddress, Ipv4Addr), protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap_or_default().to_be_bytes();
    let head = [0x45, 0, len[0], len[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    let packet = [&head[..], &ip(2).octets(), &to.1.octets(), payload].concat();
    ethernet(to.0, [8, 0], &packet)
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap_or_default();
    let head = [4_000, port, len, 0].map(u16::to_be_bytes).concat();
    [&head, payload].concat()
}

fn arp(to: MacAddress, operation: u8) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    let packet = [&head[..], &PEER.0, &ip(2).octets(), &OWN.0, &ip(1).octets()].concat();
    ethernet(to, [8, 6], &packet)
}
