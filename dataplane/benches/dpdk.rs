//! What a packet costs on its way through `dataplane::dpdk`, in nanoseconds of CPU time of one warm core.
//!
//! ```text
//! cargo bench -p dataplane --features dpdk --bench dpdk
//! ```
//!
//! Two hosts on a cable in one thread; what moves frames between them is not timed. The least and the median of several
//! repetitions. EAL runs on ordinary memory: with huge pages the same costs less where many buffers are in turn.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use dataplane::backend::Queue;
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{Plug, PlugConfig, Wire};
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig, Eal};
use measure::thread_cpu;

const REPETITIONS: usize = 15;
/// Packets between two looks at the clock: their buffers fit in the second cache, as those of a node that keeps up do.
const PACKETS: usize = 128;
const ROUNDS: usize = 400;
const SIZES: [usize; 6] = [64, 256, 511, 512, 1_024, 1_400];

struct Host {
    queue: Dpdk,
    plug: Plug,
}

fn main() {
    let arguments =
        ["--no-huge", "-m", "512", "--no-pci", "--no-shconf", "--no-telemetry", "--lcores", "0@0"];
    let eal = Eal::start(&arguments.map(str::to_owned)).unwrap();
    let pool = Pool::new(&eal, 16_000, 2_112, None).unwrap();
    let mut wire = Wire::new(pool.clone());
    let [mut a, mut b] = [1, 2].map(|number| host(&eal, &mut wire, &pool, number));
    acquaint(&mut wire, &mut a, &mut b);
    print!("{:<42}", "least / median, ns per packet; bytes:");
    SIZES.iter().for_each(|size| print!("{size:>14}"));
    println!();
    let to = address(2);
    row("send, flush for each", 1, &mut a, |a, payload| {
        a.queue.send(to, payload, &[]);
        a.queue.flush();
    });
    row("send, flush for 32", 32, &mut a, |a, payload| {
        (0..32).for_each(|_| _ = a.queue.send(to, payload, &[]));
        a.queue.flush();
    });
    row("one payload to 4: send_all", 4, &mut a, |a, payload| {
        a.queue.send_all(&[to; 4], payload, &[]);
        a.queue.flush();
    });
    row("one payload to 4: send", 4, &mut a, |a, payload| {
        (0..4).for_each(|_| _ = a.queue.send(to, payload, &[]));
        a.queue.flush();
    });
    receiving(&mut wire, &mut a, &mut b);
    println!(
        "{:<42}{:>14}",
        "poll that finds nothing",
        times(|| _ = black_box(b.queue.receive(&mut |_| ())), 1)
    );
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, number], 8_000))
}

fn host(eal: &Eal, wire: &mut Wire, pool: &Pool, number: u8) -> Host {
    let plug = wire.plug_in(PlugConfig::default()).unwrap();
    let device = Device::Plugged(plug.clone());
    let config = DpdkConfig {
        port: PortConfig { is_watched: false, ..PortConfig::new(device.clone()) },
        pools: Some(Pools { receive: pool.clone(), transmit: pool.clone() }),
        clock: Clock::start(),
        ..DpdkConfig::new(address(number), 24, device)
    };
    Host { queue: Dpdk::open(eal, config).unwrap(), plug }
}

fn acquaint(wire: &mut Wire, a: &mut Host, b: &mut Host) {
    a.queue.send(address(2), b"hello", &[]);
    for _ in 0..20 {
        for host in [&mut *a, &mut *b] {
            host.queue.wait(Duration::from_micros(50));
            host.queue.receive(&mut |_| ());
            wire.settle();
        }
    }
}

/// A line: `work` sends `packets`.
fn row(name: &str, packets: usize, host: &mut Host, mut work: impl FnMut(&mut Host, &[u8])) {
    print!("{name:<42}");
    for size in SIZES {
        let payload = vec![0x5a; size];
        let cost = rounds(|| {
            let begin = thread_cpu();
            for _ in 0..PACKETS / packets {
                work(host, black_box(&payload));
            }
            let spent = thread_cpu().saturating_sub(begin);
            while host.plug.take().is_some() {}
            spent
        });
        print!("{cost:>14}");
    }
    println!();
}

fn receiving(wire: &mut Wire, a: &mut Host, b: &mut Host) {
    print!("{:<42}", "receive, bursts of 32");
    for size in SIZES {
        let payload = vec![0x5a; size];
        let cost = rounds(|| {
            for _ in 0..PACKETS {
                a.queue.send(address(2), &payload, &[]);
            }
            a.queue.flush();
            wire.settle();
            let (begin, mut came) = (thread_cpu(), 0);
            while came < PACKETS {
                came += b.queue.receive(&mut |arrival| _ = black_box(arrival.bytes.len()));
            }
            thread_cpu().saturating_sub(begin)
        });
        print!("{cost:>14}");
    }
    println!();
}

/// Nanoseconds per packet of what `round` spends on [`PACKETS`].
fn rounds(mut round: impl FnMut() -> Duration) -> String {
    // What looking at the clock twice costs.
    let begin = thread_cpu();
    (0..ROUNDS).for_each(|_| _ = black_box(thread_cpu()));
    let looks = thread_cpu().saturating_sub(begin);
    let mut costs: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let spent: Duration = (0..ROUNDS).map(|_| round()).sum();
            spent.saturating_sub(looks).as_secs_f64() * 1e9 / (ROUNDS * PACKETS) as f64
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    format!("{:.1} / {:.1}", costs[0], costs[REPETITIONS / 2])
}

fn times(mut work: impl FnMut(), each: usize) -> String {
    rounds(|| {
        let begin = thread_cpu();
        (0..PACKETS / each).for_each(|_| work());
        thread_cpu().saturating_sub(begin)
    })
}
