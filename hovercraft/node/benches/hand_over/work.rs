//! The work: commands through the link alone, and requests through a node's halves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant as Wall};

use dataplane::backend::{Arrival, ArrivedAt, BackendCounters, Instant, Queue};
use hovercraft_config::Cluster;
use hovercraft_node::Plan;
use hovercraft_node::bench::{ApplicationTurns, NetworkTurns, halves, link};
use measure::thread_cpu;
use r2p2::extension::HEAD_MAX;
use r2p2::header::{Header, MessageKind, Place, Policy};
use r2p2::packet::emit_head;
use synthetic::{Pace, Synthetic};

/// Commands that the ring has room for: as in a node.
const RING: usize = 1_024;

/// What a run took, set-up and warm-up left out.
pub(crate) struct Spent {
    /// CPU time of the thread that gives, or that does both.
    pub(crate) giving: Duration,
    /// CPU time of the one that takes.
    pub(crate) taking: Option<Duration>,
    pub(crate) wall: Duration,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Entries given before the other side has its turn, where one thread does both; else per poll.
    pub(crate) burst: u64,
    /// So large bursts, so many entries.
    pub(crate) run: fn(u64, u64) -> Spent,
}

impl Case {
    const fn new(name: &'static str, burst: u64, run: fn(u64, u64) -> Spent) -> Self {
        Self { name, burst, run }
    }

    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.name, self.burst)
    }
}

pub(crate) const CASES: &[Case] = &[
    Case::new("ring, one thread", 1, ring_alone),
    Case::new("ring, one thread", 32, ring_alone),
    Case::new("ring, two threads", 32, ring_between),
    Case::new("halves, inline", 1, inline),
    Case::new("halves, inline", 32, inline),
    Case::new("inline, no trace", 1, inline_untraced),
    Case::new("inline, no trace", 32, inline_untraced),
    Case::new("halves, split", 32, split),
];

/// Measures `work` on this thread, with what another one says it took.
fn spent(work: impl FnOnce() -> Option<Duration>) -> Spent {
    let (cpu, wall) = (thread_cpu(), Wall::now());
    let taking = work();
    Spent { giving: thread_cpu().saturating_sub(cpu), taking, wall: wall.elapsed() }
}

fn ring_alone(burst: u64, entries: u64) -> Spent {
    let (mut giving, mut taking) = link(RING);
    spent(|| {
        let (mut given, mut done) = (0, 0);
        while done < entries {
            for _ in 0..burst.min(entries - given) {
                assert!(giving.give(given));
                given += 1;
            }
            while let Some(number) = taking.take() {
                assert!(number < given);
            }
            done += u64::from(giving.done());
        }
        None
    })
}

fn ring_between(burst: u64, entries: u64) -> Spent {
    let (mut giving, mut taking) = link(RING);
    let taker = thread::spawn(move || {
        let begin = thread_cpu();
        let mut next = 0;
        while next < entries {
            match taking.take() {
                Some(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                None => std::hint::spin_loop(),
            }
        }
        thread_cpu().saturating_sub(begin)
    });
    spent(|| {
        let (mut given, mut done) = (0, 0);
        while done < entries {
            // L2: never more under way than the ring has room for.
            let room = (RING as u64 - (given - done)).min(burst).min(entries - given);
            for _ in 0..room {
                assert!(giving.give(given));
                given += 1;
            }
            done += u64::from(giving.done());
        }
        Some(taker.join().unwrap())
    })
}

/// Requests out of nowhere and answers into nothing. Time passes by the requests, so that the window of plain ids has as many
/// in it as on a busy server.
#[derive(Debug)]
struct Memory {
    /// Requests given so far, told to the other half's clock.
    given: Arc<AtomicU64>,
    /// 0 on the half that only sends.
    burst: u64,
    until: u64,
    sent: Arc<AtomicU64>,
    packet: Vec<u8>,
}

/// Requests that may be open: fewer than the node refuses above.
const OPEN_MAX: u64 = 512;

impl Queue for Memory {
    fn now(&self) -> Instant {
        Duration::from_micros(10 * self.given.load(Ordering::Relaxed))
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        let given = self.given.load(Ordering::Relaxed);
        let open = given - self.sent.load(Ordering::Relaxed);
        let room = OPEN_MAX.saturating_sub(open);
        let burst = self.burst.min(self.until.saturating_sub(given)).min(room);
        let not_before = self.now();
        for number in given..given + burst {
            let [low, high, rest @ ..] = number.to_le_bytes();
            self.packet[4..6].copy_from_slice(&[high, low]);
            // A port of its own for every 65,536 requests: no id comes twice within the window.
            let port = 1_024 + u16::from(rest[0]);
            let from = SocketAddr::from(([10, 0, 0, 9], port));
            take(Arrival { from, to: ArrivedAt::Own, not_before, bytes: &self.packet });
        }
        self.given.store(given + burst, Ordering::Relaxed);
        usize::try_from(burst).unwrap()
    }

    fn send(&mut self, _: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        assert_eq!(head[2] >> 4, MessageKind::Response as u8, "no refusal");
        std::hint::black_box(tail);
        self.sent.store(self.sent.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        true
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _: Duration) {}

    fn counters(&self) -> BackendCounters {
        BackendCounters::default()
    }
}

struct Node {
    network: NetworkTurns<Memory>,
    application: ApplicationTurns<Synthetic, Memory>,
    sent: Arc<AtomicU64>,
}

/// Trace events of each half, as by default.
const TRACE: u64 = 16_384;

/// Requests before anything is measured.
const WARM: u64 = 100_000;

/// A server that gets so many requests after its warm-up, and stands before them.
fn node(burst: u64, entries: u64, trace_events: u64) -> Node {
    let text = format!(
        "(groups: [(mode: unreplicated, service: synthetic, trace: (events: {trace_events}), \
         members: [(id: 1, data: \"127.0.0.1:8000\", admin: \"127.0.0.1:9000\")])])"
    );
    let cluster = Cluster::from_str_at(Path::new("/nowhere/cluster.ron"), &text).unwrap();
    let plan = Plan::new(cluster, None, Some(1)).unwrap();
    let (given, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let place = Place::First { packets: 1 };
    let header =
        Header { kind: MessageKind::Request, policy: Policy::Replicated, request_id: 0, place };
    let mut head = [0; HEAD_MAX];
    let len = emit_head(&header, None, &mut head);
    let mut body = Vec::new();
    synthetic::Request { service_time_us: 0, reply_size: 8, body: &[] }.encode(&mut body);
    let packet = [&head[..len], &body].concat();
    let queue = |burst| Memory {
        given: Arc::clone(&given),
        burst,
        until: WARM + entries,
        sent: Arc::clone(&sent),
        packet: packet.clone(),
    };
    let service = Synthetic::new(Pace::NONE);
    let (mut network, mut application) = halves(plan, service, [queue(burst), queue(0)]);
    while sent.load(Ordering::Relaxed) < WARM {
        network.turn();
        while application.turn() {}
    }
    Node { network, application, sent }
}

fn inline(burst: u64, entries: u64) -> Spent {
    by_turns(node(burst, entries, TRACE), entries)
}

fn inline_untraced(burst: u64, entries: u64) -> Spent {
    by_turns(node(burst, entries, 0), entries)
}

fn by_turns(node: Node, entries: u64) -> Spent {
    let Node { mut network, mut application, sent } = node;
    spent(|| {
        while sent.load(Ordering::Relaxed) < WARM + entries {
            network.turn();
            application.turn();
        }
        None
    })
}

fn split(burst: u64, entries: u64) -> Spent {
    let Node { mut network, mut application, sent } = node(burst, entries, TRACE);
    let all = WARM + entries;
    let answered = Arc::clone(&sent);
    let applier = thread::spawn(move || {
        let begin = thread_cpu();
        while answered.load(Ordering::Relaxed) < all {
            application.turn();
        }
        thread_cpu().saturating_sub(begin)
    });
    spent(|| {
        while sent.load(Ordering::Relaxed) < all {
            network.turn();
        }
        Some(applier.join().unwrap())
    })
}
