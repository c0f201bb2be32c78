//! A warm sending thread allocates nothing: the more requests, the same allocations.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../r2p2/tests/support/ffi.rs"]
mod ffi;
mod support;

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use dataplane::clock::Clock;
use hovercraft_client::Options;
use hovercraft_client::test_server::TestServer;
use hovercraft_config::Mode;
use lancet_rs::cli::{Arguments, Plan};
use lancet_rs::connections::Connections;
use lancet_rs::live::Gauge;
use lancet_rs::load::Load;
use lancet_rs::stop::Stop;

use support::{Folder, kv_server};

/// Allocations of a thread that sends `requests`, start and end included.
fn allocations(server: &TestServer, workload: &str, requests: u64) -> u64 {
    let folder = Folder::new();
    let config = folder.config(server);
    let line = format!(
        "lancet --config {} --seed 7 --rate 4000 --duration {}us --workload {workload}",
        config.display(),
        requests * 250,
    );
    let plan = Plan::new(&Arguments::try_parse_from(line.split_whitespace()).unwrap()).unwrap();
    let clock = Clock::start();
    let options = Options { clock, ..Options::default() };
    let tick = Duration::from_millis(1);
    let before = ffi::allocations();
    let connections = Connections::open(&plan.cluster, &options, (7, 0), 2, tick).unwrap();
    let gauge = Gauge::new();
    let stop = Stop::new();
    let load = Load {
        plan: &plan,
        thread: 0,
        connections,
        stop: &stop,
        gauge: &gauge,
        recorder: None,
        epoch_ns: 0,
    };
    // The first third of a second is silent: more requests are open then than in any later stall of the machine.
    let start = clock.now();
    let measures = thread::scope(|scope| {
        scope.spawn(|| {
            server.faults().silent.store(true, Relaxed);
            thread::sleep(Duration::from_millis(333));
            server.faults().silent.store(false, Relaxed);
        });
        load.run(start)
    });
    assert!(measures.total().counts.answered > requests * 9 / 10);
    ffi::allocations() - before
}

#[test]
fn more_requests_take_no_more_allocations() {
    let server = kv_server(Mode::Hovercraft);
    for workload in ["kv", "stss_0_24_8"] {
        let (few, many) =
            (allocations(&server, workload, 2_000), allocations(&server, workload, 8_000));
        // One allocation per request would make 6000 more; a longer stall makes some.
        assert!(many < few + 300, "{workload}: {few} for 2000 requests, {many} for 8000");
        assert!(few > 0, "the counter counts");
    }
}
