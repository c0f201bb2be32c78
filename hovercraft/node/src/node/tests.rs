//! Both halves of three nodes in virtual time, on the simulated back end, stepped by one thread.

use std::sync::{Mutex, PoisonError};

use std::collections::BTreeSet;

use dataplane::sim::{SimNetwork, SimQueue, Weather};
use hovercraft::replica::{Role, Status};
use hovercraft::spans::{Histogram, Span};
use hovercraft::trace::{Phase, TraceReader};
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::header::Policy;
use raft_core::ids::NodeId;
use synthetic::{Pace, Synthetic};

use super::*;
use crate::testing::cluster;

#[path = "../../../../r2p2/tests/support/ffi.rs"]
#[allow(unsafe_code, reason = "an allocator that counts; see its header")]
mod ffi;
mod threads;

/// Time between two turns.
const STEP: Duration = Duration::from_micros(20);

struct World {
    network: Arc<Mutex<SimNetwork>>,
    nodes: Vec<Halves<Synthetic, SimQueue>>,
    client: Client,
    client_queue: SimQueue,
    now: Duration,
    answered: u64,
    submitted: u64,
    /// Allocations of the nodes' turns, in all.
    allocations: u64,
}

impl World {
    fn new(mode: &str, weather: Weather) -> Self {
        // Small: followers keep applied bodies until a limit is reached (HC1d), and are warm only then.
        let fields = format!(
            "mode: {mode}, timing: (heartbeat: \"10ms\", election_min: \"50ms\", election_max: \"100ms\"), \
             resources: (log_entries: 1024, log_reserve: 16, unordered_max: 256, in_system_max: 256)"
        );
        let cluster = cluster(3, &fields);
        let group = &cluster.groups[0];
        let network = Arc::new(Mutex::new(SimNetwork::new(7, weather)));
        let mut lock = network.lock().unwrap();
        let multicast = group.multicast.filter(|_| mode == "hovercraft");
        let joined: Vec<SocketAddr> = multicast.into_iter().collect();
        let add = |member: &hovercraft_config::Member| lock.add_endpoint(member.data, &joined);
        let endpoints: Vec<_> = group.members.iter().map(add).collect();
        let own = lock.add_endpoint("10.9.9.9:4000".parse().unwrap(), &[]);
        drop(lock);
        let node = |(member, endpoint): (&hovercraft_config::Member, _)| {
            let id = member.id.number();
            let plan = Plan::new(cluster.clone(), None, Some(id)).unwrap();
            let queue = SimQueue::new(&network, endpoint);
            let application = queue.transmit_queue();
            let service = Synthetic::new(Pace::NONE);
            let ends =
                Ends { network: queue, application, wake_network: None, wake_application: None };
            halves(plan, service, ends)
        };
        let nodes = group.members.iter().zip(endpoints).map(node).collect();
        let servers = group.members.iter().map(|member| member.data).collect();
        let config = ClientConfig { group: multicast, ..ClientConfig::new(Mode::Session, servers) };
        Self {
            client: Client::new(config, 7, Duration::ZERO).unwrap(),
            client_queue: SimQueue::new(&network, own),
            network,
            nodes,
            now: Duration::ZERO,
            answered: 0,
            submitted: 0,
            allocations: 0,
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.network.lock().unwrap_or_else(PoisonError::into_inner).advance_to(self.now);
        let before = ffi::allocations();
        for node in &mut self.nodes {
            let turn = node.network.turn();
            assert_eq!((turn.now, turn.stop), (self.now, false));
            node.application.turn();
        }
        self.allocations += ffi::allocations() - before;
        let (client, now) = (&mut self.client, self.now);
        self.client_queue.receive(&mut |arrival| client.receive(now, arrival.from, arrival.bytes));
        self.client.tick(now);
        while let Some(packet) = self.client.poll_transmit() {
            self.client_queue.send(packet.to, packet.head, packet.tail);
        }
        self.client_queue.flush();
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Answered { body, .. } => {
                    assert_eq!(body.len(), 8 + 24, "a reply as long as was asked for");
                    self.answered += 1;
                }
                Event::SessionOpened { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Keeps some requests open, writes and reads in turn, until `count` more are answered.
    fn serve(&mut self, count: u64) {
        let mut request = Vec::new();
        synthetic::Request { service_time_us: 0, reply_size: 24, body: &[1; 24] }
            .encode(&mut request);
        let until = self.answered + count;
        let end = self.now + Duration::from_secs(60);
        while self.answered < until {
            assert!(self.now < end, "{} of {until} were answered in time", self.answered);
            if self.client.session().is_some() && self.client.open() < 16 {
                let policy = [Policy::Replicated, Policy::ReplicatedRead];
                let policy = policy[usize::from(self.submitted % 2 == 1)];
                self.client.submit(self.now, policy, &request, self.submitted).unwrap();
                self.submitted += 1;
            }
            self.step();
        }
    }

    /// Steps on until all nodes have applied the same, all of it.
    fn settle(&mut self) -> Vec<Status> {
        for _ in 0..1_000_000 {
            self.step();
            let statuses: Vec<Status> = self.nodes.iter().map(status).collect();
            let (last, open) = (statuses[0].last, self.client.open());
            if open == 0 && statuses.iter().all(|s| s.applied == last && s.last == last) {
                return statuses;
            }
        }
        panic!("the nodes do not agree");
    }
}

/// What a node says; asked as the control thread would ask, but for the wait.
fn status(node: &Halves<Synthetic, SimQueue>) -> Status {
    node.network.status()
}

fn leads(node: &Halves<Synthetic, SimQueue>) -> bool {
    status(node).role == Role::Leader
}

#[test]
fn three_nodes_in_virtual_time_serve_in_calm_and_in_bad_weather() {
    for mode in ["raft", "hovercraft"] {
        for loss_ppm in [0, 50_000] {
            let mut world = World::new(mode, Weather { loss_ppm, ..Weather::CALM });
            world.serve(2_000);
            let statuses = world.settle();
            let leaders = statuses.iter().filter(|status| status.role.name() == "leader");
            assert_eq!(leaders.count(), 1, "{mode}, loss {loss_ppm}: {statuses:?}");
            for node in &world.nodes {
                let executed = node.application.executed();
                assert!(executed >= 1_000, "{mode}, loss {loss_ppm}: {executed} writes");
                assert!(executed <= world.submitted.div_ceil(2), "HC7: none twice");
                let rings = &node.handle.boards().traces;
                let events = rings.iter().flat_map(TraceReader::read);
                let phases: BTreeSet<Phase> = events.map(|event| event.phase).collect();
                let lost = loss_ppm > 0 && mode == "hovercraft";
                let missed = [Phase::Missed, Phase::Recovered].map(|one| phases.contains(&one));
                assert!(!lost || missed == [true; 2] || leads(node), "{phases:?}");
            }
        }
    }
}

/// Packets are 10 us under way and every node turns each 20 us: from the leader to a member and back takes two turns.
#[test]
fn spans_are_those_of_virtual_time() {
    const THERE_AND_BACK: Duration = Duration::from_micros(40);
    for mode in ["raft", "hovercraft"] {
        let mut world = World::new(mode, Weather::CALM);
        world.serve(2_000);
        let requests = world.settle().iter().map(|status| status.last.to_wire()).max().unwrap();
        let mean =
            |counted: Histogram| counted.sum.checked_div(u32::try_from(counted.count()).unwrap());
        let (mut answered, mut executed) = (0, 0);
        for node in &world.nodes {
            let read = |span| {
                let threads = node.handle.boards().spans.iter().map(|spans| spans.read(span));
                threads.fold(Histogram::default(), |all, one| all.and(&one))
            };
            answered += read(Span::Answered).count();
            executed += read(Span::Applied).count();
            assert_eq!(read(Span::Applied).sum, Duration::ZERO, "virtual time stands still");
            let committed = read(Span::Committed);
            assert!((2_000..=requests).contains(&committed.count()), "{mode}: {committed:?}");
            let round_trips = NodeId::all().map(|id| read(Span::RoundTrip(id)));
            let round_trips: Vec<_> = round_trips.filter(|one| one.count() > 0).collect();
            if leads(node) {
                assert_eq!(read(Span::Ordered).count(), committed.count());
                assert_eq!(mean(committed), Some(THERE_AND_BACK), "{mode}");
                assert!(round_trips.len() == 2 && round_trips[0].count() >= 2, "{mode}");
                for round_trip in round_trips {
                    assert_eq!(mean(round_trip), Some(THERE_AND_BACK), "{mode}");
                }
            } else {
                assert_eq!((read(Span::Ordered).count(), round_trips.len()), (0, 0), "{mode}");
            }
        }
        // Every second one is a read, and every node executes writes.
        let (reads, writes) = (world.answered / 2, world.answered.div_ceil(2));
        assert_eq!((answered, executed), (world.answered, reads + 3 * writes), "{mode}");
    }
}

/// HC12, for the driver and all that stands below it. A node is warm when its first kept replies have left the plain window: a
/// place of theirs that held a short one grows when it gets a longer one.
#[test]
fn hc12_warm_turns_allocate_nothing() {
    for mode in ["raft", "hovercraft"] {
        let mut world = World::new(mode, Weather::CALM);
        let plain_window = world.nodes[0].handle.plan().group.limits.plain_window;
        while world.now < 2 * plain_window {
            world.serve(2_000);
        }
        assert!(world.allocations > 0, "the warm-up allocates, and the counter counts");
        // What may still grow is the simulated network, when more is under way than ever before.
        let counts: Vec<u64> = (0..4)
            .map(|_| {
                world.allocations = 0;
                world.serve(20_000);
                world.allocations
            })
            .collect();
        let few = counts.iter().sum::<u64>() < 20;
        assert!(few && counts.contains(&0), "{mode}: {counts:?}");
    }
}
