//! What the UDP back end costs for each packet, for callgrind and strace: two drivers that sleep, as nodes do, and send
//! packets to and fro over loopback. Each listens to a group as well, to which nothing is sent.
//!
//! ```text
//! udp_turns OPEN ROUNDS
//! strace -c -f target/release/examples/udp_turns 1 10000
//! valgrind --tool=callgrind target/release/examples/udp_turns 1 10000
//! ```
//!
//! One sends `OPEN` packets of 64 bytes and, for each that comes back, another one, until it has sent `OPEN` * `ROUNDS`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Duration;

use dataplane::backend::Queue as _;
use dataplane::error::BackendError;
use dataplane::udp::{Udp, UdpConfig};

const WAIT: Duration = Duration::from_millis(100);

/// The driver's loop: each packet that comes is answered while `left` says so; ends when `left` packets have come.
fn drive(queue: &mut Udp, mut left: u64, answers: impl Fn(u64) -> bool) {
    let mut from: Vec<SocketAddr> = Vec::with_capacity(64);
    while left > 0 {
        let count = queue.receive(&mut |arrival| from.push(arrival.from));
        for from in from.drain(..) {
            left -= 1;
            if answers(left) {
                queue.send(from, &[7; 64], &[]);
            }
        }
        queue.flush();
        if count == 0 {
            queue.wait(WAIT);
        }
    }
}

fn open(host: u8) -> Result<Udp, BackendError> {
    let group = SocketAddr::from(([239, 255, 71, 250], 8_123));
    let own = SocketAddr::from(([127, 71, 250, host], 8_123));
    Udp::open(UdpConfig { groups: vec![group], ..UdpConfig::new(own) })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let [packets, rounds] = numbers?[..] else { return Err("usage: udp_turns OPEN ROUNDS".into()) };
    let (mut one, mut other) = (open(1)?, open(2)?);
    let total = packets * rounds;
    std::thread::scope(|scope| {
        let to = other.own();
        scope.spawn(|| drive(&mut other, total, |_| true));
        for _ in 0..packets {
            one.send(to, &[7; 64], &[]);
        }
        one.flush();
        drive(&mut one, total, |left| left >= packets);
    });
    println!("{} packets, each sent and received", 2 * total);
    Ok(())
}
