//! Whole replicas, both halves of each, and clients, stepped in one thread over the simulated network.
//!
//! One seed decides everything: weather, faults, pauses, what clients ask and when. Every node has a clock of its own epoch.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use dataplane::backend::ArrivedAt;
use dataplane::sim::{EndpointId, SimNetwork, Weather};
use hovercraft::application::{Application, ApplicationSettings};
use hovercraft::audit::AuditEntry;
use hovercraft::command::Command;
use hovercraft::limits::Limits;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Mode, Replica, Role, Settings, Status};
use hovercraft::replier::ReplierPolicy;
use hovercraft::store::StoreSettings;
use hovercraft::wire::{GroupConfig, MacKey, MemberAddress};
use kv::Kv;
use raft_core::ids::{Incarnation, NodeId};

use crate::client::SimClient;
use crate::random::Random;

pub(crate) const GROUP: &str = "239.1.1.1:8000";

/// One machine.
pub(crate) struct Node {
    pub endpoint: EndpointId,
    pub replica: Replica,
    pub application: Application<Kv>,
    commands: VecDeque<Command>,
    /// Own epoch: the node's clock shows `cluster time + offset`.
    pub offset: Duration,
    pub network_paused_until: Duration,
    pub application_paused_until: Duration,
    application_due: Option<Duration>,
    pub touched: bool,
    pub alive: bool,
    pub lives: u64,
    highest_commit: u64,
    /// Lives that ended, with what they decided.
    pub past_audits: Vec<Vec<AuditEntry>>,
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub nodes: u8,
    pub mode: Mode,
    pub replier: ReplierPolicy,
    pub bound: u32,
    pub key: bool,
    /// Longest time that the application half takes to notice commands.
    pub application_delay: Duration,
}

pub(crate) struct Cluster {
    pub seed: u64,
    pub shape: Shape,
    pub network: SimNetwork,
    pub nodes: Vec<Node>,
    pub clients: Vec<SimClient>,
    pub now: Duration,
    pub random: Random,
    /// Leaders by term, to find two in one.
    leaders: Vec<(u64, u8)>,
    /// Datagrams delivered to nodes, the first so many: for tests that repeat and spoil them.
    pub tapped: Vec<Vec<u8>>,
    pub tap_max: usize,
}

pub(crate) fn address(node: u8) -> SocketAddr {
    format!("10.0.0.{node}:8000").parse().unwrap()
}

impl Cluster {
    pub(crate) fn new(seed: u64, shape: Shape, weather: Weather) -> Self {
        let mut network = SimNetwork::new(seed, weather);
        let mut random = Random::new(seed ^ 0x5EED);
        let group: SocketAddr = GROUP.parse().unwrap();
        let mut nodes = Vec::new();
        for id in 1..=shape.nodes {
            let endpoint = network.add_endpoint(address(id), &[group]);
            let offset = Duration::from_micros(random.below(1_000_000_000));
            nodes.push(Node::new(id, endpoint, &shape, seed, 0, offset, Duration::ZERO));
        }
        let clients = Vec::new();
        let leaders = Vec::new();
        let now = Duration::ZERO;
        let (tapped, tap_max) = (Vec::new(), 0);
        Self { seed, shape, network, nodes, clients, now, random, leaders, tapped, tap_max }
    }

    /// Runs until `end`; then the time is `end`.
    pub(crate) fn run_until(&mut self, end: Duration) {
        // What was submitted since leaves now.
        self.step_clients();
        loop {
            let next = self.next_event().max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            // A turn of a busy poll: nothing happens twice within a microsecond, so time always passes.
            self.now = next.max(self.now + Duration::from_micros(1));
            self.deliver();
            self.step_applications();
            self.step_nodes();
            self.step_clients();
            self.check_always();
        }
    }

    /// Runs until `done` says so, asked every millisecond; false when `limit` passed first.
    pub(crate) fn run_while(
        &mut self,
        limit: Duration,
        mut go_on: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if !go_on(self) {
                return true;
            }
            self.run_until(self.now + Duration::from_millis(1));
        }
        !go_on(self)
    }

    pub(crate) fn status(&self, node: u8) -> Status {
        self.nodes[usize::from(node - 1)].replica.status()
    }

    pub(crate) fn leader(&self) -> Option<u8> {
        let leading = self.nodes.iter().filter(|node| node.alive).map(|node| node.replica.status());
        let leading = leading.filter(|status| status.role == Role::Leader);
        leading.max_by_key(|status| status.term).map(|status| status.id.number())
    }

    /// Runs until a leader has committed an entry of its term.
    pub(crate) fn settle(&mut self) -> u8 {
        let settled = self.run_while(Duration::from_secs(20), |cluster| {
            cluster.leader().is_none_or(|leader| cluster.status(leader).commit.to_wire() < 2)
        });
        assert!(settled, "seed {}: no leader within 20 s", self.seed);
        self.leader().unwrap()
    }

    /// The first client puts as many small values, each when the one before was answered and nothing more is under way.
    pub(crate) fn put_one_by_one(&mut self, count: u64) {
        for number in 0..count {
            self.clients[0].put(self.now, b"key", &number.to_be_bytes());
            let answered = |cluster: &Self| !cluster.clients[0].is_idle();
            assert!(self.run_while(Duration::from_secs(5), answered), "put {number} of {count}");
        }
    }

    /// What the node's own clock shows.
    pub(crate) fn own_time(&self, node: u8) -> Duration {
        self.now + self.nodes[usize::from(node - 1)].offset
    }

    /// The node's memory is gone.
    pub(crate) fn crash(&mut self, node: u8) {
        let place = usize::from(node - 1);
        let dead = &mut self.nodes[place];
        dead.alive = false;
        dead.past_audits.push(dead.replica.audit().iter().copied().collect());
        dead.commands.clear();
        self.network.clear_inbox(dead.endpoint);
    }

    /// It comes back, with a fresh life (HC11a).
    pub(crate) fn restart(&mut self, node: u8) {
        let (shape, seed, now) = (self.shape, self.seed, self.now);
        let place = usize::from(node - 1);
        let old = &mut self.nodes[place];
        let offset = Duration::from_micros(self.random.below(1_000_000_000));
        let mut fresh = Node::new(node, old.endpoint, &shape, seed, old.lives + 1, offset, now);
        fresh.past_audits = core::mem::take(&mut old.past_audits);
        *old = fresh;
        let endpoint = self.nodes[place].endpoint;
        self.network.clear_inbox(endpoint);
    }

    fn next_event(&self) -> Duration {
        let mut next = self.network.next_due().unwrap_or(Duration::MAX);
        for node in self.nodes.iter().filter(|node| node.alive) {
            let own = node.replica.deadline().saturating_sub(node.offset);
            next = next.min(own.max(node.network_paused_until));
            let long = node.application.deadline().map(|at| at.saturating_sub(node.offset));
            for due in node.application_due.into_iter().chain(long) {
                next = next.min(due.max(node.application_paused_until));
            }
        }
        let clients = self.clients.iter().map(SimClient::deadline).min();
        next.min(clients.unwrap_or(Duration::MAX))
    }

    fn deliver(&mut self) {
        while let Some(delivery) = self.network.pop_due(self.now) {
            let arrival = delivery.arrival();
            if self.tapped.len() < self.tap_max {
                self.tapped.push(arrival.bytes.to_vec());
            }
            if let Some(node) = self.nodes.iter_mut().find(|node| node.endpoint == delivery.to) {
                if node.alive {
                    let now = self.now + node.offset;
                    node.touched = true;
                    node.replica.receive(
                        now,
                        &Arrival {
                            from: arrival.from,
                            group: arrival.to != ArrivedAt::Own,
                            not_before: (arrival.not_before + node.offset).min(now),
                            bytes: arrival.bytes,
                        },
                    );
                }
            } else if let Some(client) =
                self.clients.iter_mut().find(|client| client.endpoint == delivery.to)
            {
                client.receive(self.now, arrival.from, arrival.bytes);
            }
            self.network.recycle(delivery);
        }
    }

    fn step_nodes(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            if self.now < node.network_paused_until {
                continue;
            }
            let now = self.now + node.offset;
            let due = node.replica.deadline() <= now;
            if due {
                node.replica.tick(now);
            }
            if due || core::mem::take(&mut node.touched) {
                node.replica.end_burst(now);
            }
            let delay = self.random.below(1 + micros(self.shape.application_delay));
            node.drain(self.now, &mut self.network, Duration::from_micros(delay));
        }
    }

    /// The application halves work at their own pace: some commands now, the rest later.
    fn step_applications(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            let now = self.now + node.offset;
            if self.now < node.application_paused_until {
                continue;
            }
            let (endpoint, network, cluster_now) = (node.endpoint, &mut self.network, self.now);
            let mut transmit = |to: SocketAddr, head: &[u8], payload: &[u8]| {
                network.send(cluster_now, endpoint, to, &[head, payload].concat());
            };
            let heard = node.replica.heard_us();
            node.application.tick(now, heard, &mut transmit);
            if node.application_due.is_none_or(|due| due > self.now) {
                continue;
            }
            let batch = 1 + self.random.below(64);
            for _ in 0..batch {
                let Some(command) = node.commands.pop_front() else { break };
                node.application.handle(now, heard, command, &mut transmit);
            }
            let rest = Duration::from_micros(1 + self.random.below(20));
            node.application_due = (!node.commands.is_empty()).then(|| self.now + rest);
            let completion = node.application.take_completion();
            node.replica.completed(now, completion);
            node.touched = true;
        }
    }

    fn step_clients(&mut self) {
        for client in &mut self.clients {
            client.step(self.now, &mut self.network);
        }
    }

    /// What must hold at every moment.
    fn check_always(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            let status = node.replica.status();
            let (term, id) = (status.term.to_wire(), status.id.number());
            if status.role == Role::Leader {
                match self.leaders.iter().find(|leader| leader.0 == term) {
                    Some(&(_, other)) => assert_eq!(other, id, "two leaders in term {term}"),
                    None => self.leaders.push((term, id)),
                }
            }
            let commit = status.commit.to_wire();
            assert!(commit >= node.highest_commit, "HC2b: commit fell on {id}");
            node.highest_commit = commit;
            assert!(status.applied <= status.commit, "n{id} applied what is not committed");
        }
    }
}

impl Node {
    fn new(
        id: u8,
        endpoint: EndpointId,
        shape: &Shape,
        seed: u64,
        lives: u64,
        offset: Duration,
        now: Duration,
    ) -> Self {
        let settings = settings(id, shape, seed, lives);
        let application = ApplicationSettings {
            answer_ttl: settings.group.limits.answer_ttl,
            long_answer_bytes: 32 << 20,
            reply_max: settings.group.limits.reply_max,
            seed,
        };
        Self {
            endpoint,
            replica: Replica::new(settings, now + offset),
            application: Application::new(Kv::default(), application),
            commands: VecDeque::new(),
            offset,
            network_paused_until: Duration::ZERO,
            application_paused_until: Duration::ZERO,
            application_due: None,
            touched: true,
            alive: true,
            lives,
            highest_commit: 0,
            past_audits: Vec::new(),
        }
    }

    fn drain(&mut self, now: Duration, network: &mut SimNetwork, delay: Duration) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, .. } => {
                    for node in nodes.iter() {
                        network.send(now, self.endpoint, address(node.number()), packet);
                    }
                }
                Output::ToClient { to, packet } => network.send(now, self.endpoint, to, packet),
                Output::Command(command) => {
                    self.commands.push_back(command);
                    self.application_due.get_or_insert(now + delay);
                }
            }
        }
    }
}

fn settings(id: u8, shape: &Shape, seed: u64, lives: u64) -> Settings {
    let limits = Limits::default();
    let timing = raft_core::config::Settings {
        heartbeat_interval: Duration::from_millis(40),
        election_timeout_min: Duration::from_millis(150),
        election_timeout_max: Duration::from_millis(300),
        log_capacity: 1 << 14,
        log_reserve: 64,
        append_bytes: 1_300,
        append_entries_max: 20,
        inflight_max: 64,
    };
    let member = |id| MemberAddress {
        id: NodeId::new(id).unwrap(),
        data: address(id),
        admin: format!("10.0.1.{id}:9000").parse().unwrap(),
    };
    let cluster_key = shape.key.then_some([7; 32]);
    Settings {
        me: NodeId::new(id).unwrap(),
        incarnation: Incarnation::from_wire(1 + (lives << 20) + (seed << 32) + u64::from(id)),
        mode: shape.mode,
        group: GroupConfig {
            limits,
            addresses: (1..=shape.nodes).map(member).collect(),
            name: "sim".into(),
            wrapped_hash_key: [0; 16],
        },
        mac: cluster_key.as_ref().map(MacKey::derive),
        cluster_key,
        replier: shape.replier,
        bound: shape.bound,
        raft: timing.try_into().unwrap(),
        election_timeout_max: Duration::from_millis(300),
        log_entries: 1 << 14,
        store: StoreSettings {
            bodies_max: 1 << 15,
            unordered_max: 4_096,
            unordered_bytes: 64 << 20,
        },
        body_bytes: 128 << 20,
        in_system_max: 4_096,
        parked_max: 64,
        wants_max: 512,
        reassembly_max: 256,
        reassembly_bytes: 32 << 20,
        reassembly_ttl: Duration::from_millis(5),
        commands_max: 1_024,
        audit_max: 1 << 20,
        seed: seed ^ u64::from(id) << 48 ^ lives << 40,
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}
