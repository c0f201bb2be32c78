//! HC12 on the real threads, over kernel UDP: what a warm node allocates per request, told by the thread that does.

use core::sync::atomic::{AtomicU64, Ordering};

use dataplane::backend::{Arrival, BackendCounters, Instant};
use hovercraft_client::{Client, Kind, Options};
use kv::{Kv, Request};

use super::*;
use crate::testing::cluster;

/// Requests of one count.
const REQUESTS: u64 = 10_000;

/// Counts of which one must be none.
const COUNTS_MAX: u32 = 20;

/// Keys that are written again and again.
const KEYS: u64 = 100;

/// A queue that tells, at every flush, how much its thread has allocated.
#[derive(Debug)]
struct Watched {
    queue: Udp,
    allocations: Arc<AtomicU64>,
}

impl Queue for Watched {
    fn now(&self) -> Instant {
        self.queue.now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        self.queue.receive(take)
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        self.queue.send(to, head, tail)
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        self.queue.send_all(to, head, tail)
    }

    fn flush(&mut self) {
        self.queue.flush();
        self.allocations.store(ffi::allocations(), Ordering::Relaxed);
    }

    fn wait(&mut self, for_at_most: Duration) {
        self.queue.wait(for_at_most);
    }

    fn counters(&self) -> BackendCounters {
        self.queue.counters()
    }
}

/// What each thread of each node has allocated, network and application by turns.
type Counts = Vec<Arc<AtomicU64>>;

fn start(mode: &str, threads: &str) -> (hovercraft_config::Cluster, Vec<Node>, Counts) {
    let nodes = if mode == "unreplicated" { 1 } else { 3 };
    // Small: followers keep applied bodies until a limit is reached (HC1d), and are warm only then.
    let cluster = cluster(
        nodes,
        &format!(
            "mode: {mode}, threads: {threads}, idle: sleep, \
             timing: (heartbeat: \"50ms\", election_min: \"500ms\", election_max: \"1s\"), \
             resources: (log_entries: 1024, log_reserve: 16, unordered_max: 256, in_system_max: 256)"
        ),
    );
    let mut counts = Vec::new();
    let mut watched = |queue| {
        let allocations = Arc::new(AtomicU64::new(0));
        counts.push(Arc::clone(&allocations));
        Watched { queue, allocations }
    };
    let mut start = |id| {
        let plan = Plan::new(cluster.clone(), None, Some(id)).unwrap();
        let network = Udp::open(plan.udp.clone()).unwrap();
        let application = network.transmit_queue().unwrap();
        let buffers = network.buffers();
        let (wake_network, wake_application) = (Some(network.waker()), Some(application.waker()));
        let (network, application) = (watched(network), watched(application));
        let ends = Ends { network, application, wake_network, wake_application };
        Node::start_on(plan, Kv::default(), ends, &[], Wire::Udp(buffers)).unwrap()
    };
    let nodes = (1..=nodes).map(&mut start).collect();
    (cluster, nodes, counts)
}

/// Puts and gets by turns, sixteen open at a time.
fn serve(client: &mut Client, count: u64) {
    let mut body = Vec::new();
    let (mut submitted, mut answered) = (0, 0);
    while answered < count {
        while submitted < count && client.open() < 16 {
            let (key, value) = ((submitted % KEYS).to_be_bytes(), submitted.to_be_bytes());
            body.clear();
            let is_write = (submitted / KEYS).is_multiple_of(2);
            if is_write {
                Request::Put { key: &key, value: &value }.encode(&mut body).unwrap();
            } else {
                Request::Get { key: &key }.encode(&mut body).unwrap();
            }
            let kind = if is_write { Kind::Write } else { Kind::Read };
            client.submit(kind, &body, submitted).unwrap();
            submitted += 1;
        }
        for completion in client.poll(Duration::from_millis(100)) {
            completion.result.unwrap_or_else(|error| panic!("{error}"));
            answered += 1;
        }
    }
}

/// A count of none shows that no request allocates. Replies are kept for the plain window, so that a node is warm when that
/// has passed; a burst may still be longer, and a window fuller, than any before, on a machine that has other things to do:
/// what grows to its greatest size ends some day, what each request allocates never.
fn allocates_nothing(mode: &str, threads: &str) {
    let (cluster, _nodes, counts) = start(mode, threads);
    let wait = Duration::from_secs(60);
    let options = Options { connect_timeout: wait, request_timeout: wait, ..Options::default() };
    let mut client = Client::connect(&cluster, &options).unwrap_or_else(|error| panic!("{error}"));
    let begin = std::time::Instant::now();
    while begin.elapsed() < 2 * cluster.groups[0].limits.plain_window {
        serve(&mut client, REQUESTS);
    }
    let read = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let mut before = read();
    assert!(before.iter().all(|&count| count > 0), "the counter counts");
    for _ in 0..COUNTS_MAX {
        serve(&mut client, REQUESTS);
        let after = read();
        if after == before {
            return;
        }
        let grown: Vec<u64> = after.iter().zip(&before).map(|(now, then)| now - then).collect();
        eprintln!("{mode}, {threads}: allocations by thread in {REQUESTS} requests: {grown:?}");
        before = after;
    }
    panic!("{mode}, {threads}: a warm node allocates");
}

#[test]
fn hc12_warm_threads_allocate_nothing_unreplicated() {
    allocates_nothing("unreplicated", "split");
    allocates_nothing("unreplicated", "inline");
}

#[test]
fn hc12_warm_threads_allocate_nothing_raft() {
    allocates_nothing("raft", "split");
    allocates_nothing("raft", "inline");
}

#[test]
fn hc12_warm_threads_allocate_nothing_hovercraft() {
    allocates_nothing("hovercraft", "split");
    allocates_nothing("hovercraft", "inline");
}
