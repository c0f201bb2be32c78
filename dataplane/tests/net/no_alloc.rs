//! A warm stack allocates nothing (design HC12), nor does a tap.

use std::time::Duration;

use dataplane::capture::{Capture, CaptureConfig, Direction};
use dataplane::clock::Clock;
use dataplane::net::{DeviceSays, HEADERS_MAX, Offload, Refused};

use super::ffi::allocations_in;
use super::frames::{IpFrame, arp_reply, arp_request, group, host, ip, mac, seconds, stack};

#[test]
fn hc12_a_warm_stack_allocates_nothing() {
    let mut stack = stack(1);
    let mut addressing = stack.addressing(Offload::default());
    let frames = [
        IpFrame::udp(2, 1, &[1; 1_000]).bytes(),
        IpFrame::udp(3, 1, b"odd").bytes(),
        arp_request(2, 1),
        arp_reply((mac(9), ip(9)), 1),
        vec![0; 60],
    ];
    let (mut came, mut released, mut sent, mut own) = (0, 0, 0, 0);
    let mut turns = |from: u64| {
        for second in from..from + 700 {
            let now = seconds(second);
            for frame in &frames {
                came += usize::from(stack.take(now, frame, DeviceSays::default()).is_some());
            }
            for to in [host(2), host(3), group(), host(20 + (second % 200) as u8)] {
                let payload = addressing.payload(b"head", &[2; 800], 1).unwrap();
                let mut headers = [0; HEADERS_MAX];
                match addressing.write(to.into(), payload, &mut headers) {
                    Ok(_) => sent += 1,
                    Err(Refused::Unresolved) => {
                        let _kept = addressing.hold(now, to.into(), b"head", &[2; 800]);
                    }
                    Err(Refused::Unreachable) => panic!("{to}"),
                }
            }
            stack.poll(now, &mut |_| own += 1);
            addressing.release(now + Duration::from_millis(1), &mut |_| released += 1);
        }
    };
    turns(0);
    assert_eq!(allocations_in(|| turns(700)), 0);
    assert!(came >= 2_800 && sent >= 4_000 && own >= 700, "{came} {sent} {own} {released}");
}

#[test]
fn hc12_a_tap_allocates_nothing() {
    let file = std::env::temp_dir().join(format!("dataplane-tap-{}.pcapng", std::process::id()));
    let config = CaptureConfig { frames: 64, ..CaptureConfig::new(&file, "x") };
    let (capture, mut taps) = Capture::start(config, Clock::start(), 1).unwrap();
    let allocations = allocations_in(|| {
        for n in 0..10_000 {
            taps[0].frame(Duration::from_nanos(n), Direction::Out, &[&[1; 42], &[2; 1_000]]);
        }
    });
    let totals = capture.stop().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(allocations, 0);
    assert_eq!(totals.written + totals.dropped, 10_000);
}
