//! Any frame, from anyone: counted, and never a panic, a loop, or more than a bounded answer (E1, E2).
//!
//! Noise, and frames that were good once. The ordinary run takes 300,000; `FUZZ_RUNS=n` as many as it says.

use std::time::Duration;

use dataplane::net::{
    Checksum, DeviceSays, HEADERS_MAX, MacAddress, Offload, Stack, StackConfig, StackEvent,
};
use etherparse::IpNumber;

use super::frames::{IpFrame, arp_reply, arp_request, config, group, host, ip, mac, read};

fn frames() -> u64 {
    std::env::var("FUZZ_RUNS").map_or(300_000, |runs| runs.parse().unwrap())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 24
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn noise(&mut self) -> Vec<u8> {
        let most = if self.below(8) == 0 { 1_600 } else { 80 };
        let len = self.below(most);
        let mut bytes: Vec<u8> = (0..len).map(|_| self.byte()).collect();
        for (place, value) in mac(1).0.into_iter().enumerate() {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        let kinds = [[8, 0], [8, 6], [0x81, 0]];
        let kind = kinds[self.below(3)];
        if bytes.len() > 14 {
            bytes[12..14].copy_from_slice(&kind);
        }
        bytes
    }

    /// A frame that was good, with a few bytes changed; IPv4's checksum put right in half of them.
    fn mutated(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = good[self.below(good.len())].clone();
        for _ in 0..1 + self.below(4) {
            let place = self.below(bytes.len().min(64));
            match self.below(4) {
                0 => bytes[place] = self.byte(),
                1 => bytes[place] = [0, 0xff, 0x7f, 0x80][self.below(4)],
                2 => bytes[place] ^= 1 << self.below(8),
                _ => bytes.truncate(place.max(1)),
            }
        }
        bytes
    }

    fn device(&mut self, vlan: Option<u16>) -> DeviceSays {
        let says = [Checksum::Good, Checksum::Bad, Checksum::Unknown];
        let tag = if self.below(4) == 0 {
            Some(u16::from_be_bytes([self.byte(), self.byte()]))
        } else {
            vlan
        };
        DeviceSays { ipv4: says[self.below(3)], udp: says[self.below(3)], vlan: tag }
    }
}

fn good() -> Vec<Vec<u8>> {
    let to_group = (MacAddress::of_group(*group().ip()), group());
    let all = "224.0.0.1".parse().unwrap();
    let all = (MacAddress::of_group(all), all);
    let from = (mac(2), ip(2));
    let ours = (mac(1), ip(1));
    vec![
        IpFrame::udp(2, 1, b"a request of some length").bytes(),
        IpFrame { vlan: Some(5), ..IpFrame::udp(2, 1, b"tagged") }.bytes(),
        IpFrame::udp_between((mac(2), host(2)), to_group, &[7; 1_400]).bytes(),
        arp_request(2, 1),
        arp_reply((mac(3), ip(3)), 1),
        IpFrame::new(from, ours, IpNumber::ICMP, vec![8, 0, 0xf7, 0xff, 0, 0, 0, 0]).bytes(),
        IpFrame::new(from, ours, IpNumber::ICMP, vec![3, 4, 0xfc, 0xfb, 0, 0, 0, 0]).bytes(),
        IpFrame::new(from, all, IpNumber::IGMP, vec![0x11, 0, 0xee, 0xff, 0, 0, 0, 0]).bytes(),
        IpFrame::new(from, all, IpNumber::IGMP, vec![0x11, 10, 0xee, 0xf5, 0, 0, 0, 0, 0, 0, 0, 0])
            .bytes(),
    ]
}

#[test]
fn any_frame_is_counted_and_harms_nobody() {
    let good = good();
    let mut random = Random(1);
    for vlan in [None, Some(5)] {
        let mut stack = Stack::new(StackConfig { vlan, ..config(1) }, Duration::ZERO).unwrap();
        let mut addressing = stack.addressing(Offload::default());
        let (mut handed_up, mut answers, mut now) = (0_u64, 0_u64, Duration::ZERO);
        for run in 0..frames() / 2 {
            now += Duration::from_micros(random.next() % 2_000);
            let frame = if run % 4 == 0 { random.noise() } else { random.mutated(&good) };
            let before = stack.counters();
            let datagram = stack.take(now, &frame, random.device(vlan));
            handed_up += u64::from(datagram.is_some());
            let own = |event: StackEvent| event as usize >= StackEvent::OwnDropped as usize;
            let fates = StackEvent::ALL.iter().filter(|&&event| !own(event));
            let after = stack.counters();
            let raised: u64 = fates.map(|&event| after.of(event) - before.of(event)).sum();
            // OwnDropped stands for an answer that found no room.
            let full = after.of(StackEvent::OwnDropped) - before.of(StackEvent::OwnDropped);
            assert_eq!(raised + full, 1, "{frame:02x?}");
            if run % 16 == 0 {
                let to = host(u8::try_from(2 + random.below(250)).unwrap());
                let payload = addressing.payload(b"answer", b"", 1).unwrap();
                let mut headers = [0; HEADERS_MAX];
                if addressing.write(to.into(), payload, &mut headers).is_err() {
                    let _kept = addressing.hold(now, to.into(), b"answer", b"");
                }
            }
            if run % 8 == 0 {
                stack.poll(now, &mut |frame| {
                    answers += 1;
                    read(frame); // whatever came in, what goes out is right
                });
                addressing.release(now, &mut |frame| drop(read(frame)));
            }
        }
        assert!(handed_up > frames() / 400, "{handed_up} were good after all");
        assert!(answers > 0 && answers < frames(), "{answers} answers");
        // It still works.
        let good = IpFrame { vlan, ..IpFrame::udp(2, 1, b"and now?") }.bytes();
        let came = stack.take(now, &good, DeviceSays::default());
        assert_eq!(came.unwrap().bytes, b"and now?");
    }
}
