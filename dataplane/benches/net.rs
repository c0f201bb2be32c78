//! What the network stack of `dataplane::net` costs per packet, in nanoseconds of CPU time of one warm core.
//!
//! ```text
//! cargo bench -p dataplane --bench net
//! cargo bench -p dataplane --bench net -- receive     rows with this in their names
//! ```
//!
//! The least and the median of several repetitions; beside it what `etherparse` takes to find its way to the payload of
//! the same frame, without looking at UDP's checksum or deciding whose it is.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use dataplane::capture::{Capture, CaptureConfig, Direction};
use dataplane::clock::Clock;
use dataplane::net::{
    Checksum, DeviceSays, HEADERS_MAX, MacAddress, Offload, Stack, StackConfig, Sum,
};
use etherparse::SlicedPacket;
use measure::thread_cpu;

const REPETITIONS: usize = 15;
const ROUNDS: u32 = 200_000;
const SIZES: [usize; 3] = [64, 512, 1_400];
const NOW: Duration = Duration::from_secs(1);

fn main() {
    println!("{:<44}{:>16}{:>16}{:>16}   (least / median, ns)", "", "64 bytes", "512", "1400");
    let payloads = SIZES.map(|size| vec![0x5a_u8; size]);
    row("checksum", |n| {
        black_box(Sum::of(black_box(&payloads[n])));
    });
    row("checksum of two parts, the first odd", |n| {
        let (head, tail) = black_box(&payloads[n]).split_at(41);
        black_box(Sum::of_both(head, tail));
    });
    sending(&payloads);
    receiving(&payloads);
    tapping(&payloads);
}

fn mac(n: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, n])
}

fn host(n: u8) -> SocketAddr {
    format!("10.0.0.{n}:8000").parse().unwrap()
}

fn stack(n: u8) -> Stack {
    let SocketAddr::V4(own) = host(n) else { unreachable!("an IPv4 address") };
    Stack::new(StackConfig::new(mac(n), own, 24), Duration::ZERO).unwrap()
}

/// What host 2 sends to host 1, or the other way: host 1 has answered host 2's questions.
fn frame(payload: &[u8]) -> Vec<u8> {
    let (mut one, mut two) = (stack(1), stack(2));
    let mut addressing = two.addressing(Offload::default());
    assert!(addressing.hold(Duration::ZERO, host(1), payload, b""));
    exchange(&mut two, &mut one);
    exchange(&mut one, &mut two);
    let mut sent = Vec::new();
    addressing.release(Duration::ZERO, &mut |frame| sent = frame.to_vec());
    sent
}

fn exchange(from: &mut Stack, to: &mut Stack) {
    from.poll(Duration::ZERO, &mut |frame| {
        to.take(Duration::ZERO, frame, DeviceSays::default());
    });
}

fn sending(payloads: &[Vec<u8>; 3]) {
    let (mut one, mut two) = (stack(1), stack(2));
    exchange(&mut two, &mut one);
    assert!(one.take(NOW, &frame(b"hello"), DeviceSays::default()).is_some());
    for (name, offload) in [
        ("headers, checksums in software", Offload::default()),
        ("headers, checksums by the device", Offload { ipv4: true, udp: true, vlan: false }),
    ] {
        let mut addressing = one.addressing(offload);
        let mut headers = [0; HEADERS_MAX];
        row(&format!("send: {name}"), |n| {
            let payload = addressing.payload(&payloads[n][..40], &payloads[n][40..], 1).unwrap();
            addressing.write(host_2(), payload, &mut headers).unwrap();
            black_box(&headers);
        });
        let sums = [0, 1, 2].map(|n: usize| addressing.payload(&payloads[n], b"", 1).unwrap());
        row(
            &format!(
                "send: .. further destination, {}",
                if offload.udp { "device" } else { "software" }
            ),
            |n| {
                addressing.write(host_2(), black_box(sums[n]), &mut headers).unwrap();
                black_box(&headers);
            },
        );
    }
}

fn host_2() -> SocketAddr {
    black_box(SocketAddr::from(([10, 0, 0, 2], 8000)))
}

fn receiving(payloads: &[Vec<u8>; 3]) {
    let frames = [0, 1, 2].map(|n: usize| frame(&payloads[n]));
    let mut one = stack(1);
    let good = DeviceSays { ipv4: Checksum::Good, udp: Checksum::Good, vlan: None };
    for (name, device) in
        [("checksums in software", DeviceSays::default()), ("checksums by the device", good)]
    {
        row(&format!("receive: {name}"), |n| {
            black_box(one.take(NOW, black_box(&frames[n]), device).unwrap());
        });
    }
    let mut other = frames.clone();
    other.iter_mut().for_each(|frame| frame[5] = 9);
    row("receive: another host's frame", |n| {
        black_box(one.take(NOW, black_box(&other[n]), DeviceSays::default()));
    });
    row("etherparse: to the payload, unchecked", |n| {
        black_box(SlicedPacket::from_ethernet(black_box(&frames[n])).unwrap());
    });
    let mut now = NOW;
    row("poll with nothing to do", |_| {
        now += Duration::from_nanos(1);
        one.poll(black_box(now), &mut |frame| drop(black_box(frame.to_vec())));
    });
}

fn tapping(payloads: &[Vec<u8>; 3]) {
    let unbounded =
        CaptureConfig { bytes_max: u64::MAX, ..CaptureConfig::new("/dev/null", "bench") };
    let config = CaptureConfig { frames: 65_536, ..unbounded };
    let (capture, mut taps) = Capture::start(config, Clock::start(), 1).unwrap();
    let mut taken = 0;
    row("tap (a frame to the capture's thread)", |n| {
        // The writing thread is waited for before there is no free buffer; that is sleep, and not measured.
        if taken % 60_000 == 0 {
            while capture.totals().written < taken {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        taken += 1;
        taps[0].frame(NOW, Direction::In, &[black_box(&payloads[n])]);
    });
    assert_eq!(capture.stop().unwrap().dropped, 0);
}

/// `work` at each of the sizes, if the row is asked for.
fn row(name: &str, mut work: impl FnMut(usize)) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    print!("{name:<44}");
    for size in 0..SIZES.len() {
        let mut times: Vec<f64> = (0..REPETITIONS)
            .map(|_| {
                let before = thread_cpu();
                for _ in 0..ROUNDS {
                    work(size);
                }
                thread_cpu().saturating_sub(before).as_secs_f64() * 1e9 / f64::from(ROUNDS)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        print!("{:>16}", format!("{:.1} / {:.1}", times[0], times[REPETITIONS / 2]));
    }
    println!();
}
