//! Whole replicas, both halves of each, and clients, stepped in one thread over the simulated network.
//!
//! One seed decides everything: weather, faults, pauses, what clients ask and when. Every node has a clock of its own. After each
//! step the checks look ([`crate::checks`]); the first thing wrong ends the run.

use core::net::SocketAddr;
use core::time::Duration;

use dataplane::backend::ArrivedAt;
use dataplane::sim::{SimNetwork, Weather};
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Mode, Role, Status};
use hovercraft::wire::MacKey;
use r2p2::client::{ClientConfig, Mode as ClientMode};
use raft_core::ids::NodeId;

use crate::checks::{Checks, Found, Served, Violation};
use crate::client::{Habits, SimClient};
use crate::clock::TRUE_RATE;
use crate::knobs::Knobs;
use crate::node::{Node, mac_key};
use crate::random::Random;

/// The cluster's multicast address.
pub const GROUP: &str = "239.1.1.1:8000";

/// A run.
pub struct Cluster {
    /// What it is made of.
    pub knobs: Knobs,
    /// All links.
    pub network: SimNetwork,
    /// By id, from 1.
    pub nodes: Vec<Node>,
    /// Who asks.
    pub clients: Vec<SimClient>,
    /// The true time.
    pub now: Duration,
    /// What the stepping draws from.
    pub random: Random,
    /// What is watched.
    pub checks: Checks,
    mac: Option<MacKey>,
    /// The first so many datagrams delivered to nodes, for tests that repeat and spoil them.
    pub tapped: Vec<Vec<u8>>,
    /// How many.
    pub tap_max: usize,
    /// Turns of the loop: a run that does not end is a finding.
    turns: u64,
}

/// Turns that a run may take.
const TURNS_MAX: u64 = 4_000_000;

/// A node's own data address.
#[must_use]
pub fn address(node: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node], 8_000))
}

/// The group's address.
fn group() -> SocketAddr {
    SocketAddr::from(([239, 1, 1, 1], 8_000))
}

impl Cluster {
    /// All nodes fresh, at time zero, without clients.
    #[must_use]
    pub fn new(knobs: Knobs, weather: Weather) -> Self {
        let mut network = SimNetwork::new(knobs.seed, weather);
        let mut random = Random::new(knobs.seed ^ 0x5EED);
        let mut nodes = Vec::new();
        for id in (1..=knobs.nodes).filter_map(NodeId::new) {
            let endpoint = network.add_endpoint(address(id.number()), &[group()]);
            network.set_inbox_max(endpoint, knobs.room.inbox_max);
            let epoch = random.time_below(Duration::from_secs(1_000));
            nodes.push(Node::new(id, endpoint, &knobs, 0, epoch, Duration::ZERO));
        }
        Self {
            checks: Checks::new(&knobs),
            mac: mac_key(&knobs),
            knobs,
            network,
            nodes,
            clients: Vec::new(),
            now: Duration::ZERO,
            random,
            tapped: Vec::new(),
            tap_max: 0,
            turns: 0,
        }
    }

    /// One more client.
    ///
    /// # Panics
    ///
    /// Habits that make no client.
    pub fn add_client(&mut self, habits: Habits) {
        let name = self.clients.len() as u64;
        let host = u8::try_from(name + 1).expect("few clients");
        let own = SocketAddr::from(([10, 0, 2, host], 4_000));
        let endpoint = self.network.add_endpoint(own, &[]);
        let servers = (1..=self.knobs.nodes).map(address).collect();
        let multicast = self.knobs.mode == Mode::Hovercraft && !habits.at_nodes;
        let limits = &self.knobs.limits;
        let longest = limits.plain_window.saturating_sub(limits.packet_life);
        let give_up_after = match habits.mode {
            // HC7c, as README asks of plain clients: what waits on a node may yet be ordered.
            ClientMode::Plain => {
                habits.give_up_after.min(longest.saturating_sub(limits.unordered_expiry))
            }
            _ => habits.give_up_after,
        };
        let config = ClientConfig {
            group: multicast.then(group),
            pool_bytes: 16 << 20,
            plain_window: limits.plain_window,
            packet_life: limits.packet_life,
            ..ClientConfig::new(habits.mode, servers)
        };
        let habits = Habits { give_up_after, ..habits };
        let (seed, at) = (self.knobs.seed, (endpoint, own));
        let client = SimClient::new(name, seed, at, config, habits, self.now);
        self.clients.push(client.expect("habits that make a client"));
    }

    /// Runs until `end`; then the time is `end`.
    ///
    /// # Errors
    ///
    /// The first thing that a check finds wrong.
    pub fn run_until(&mut self, end: Duration) -> Found {
        // What was submitted since leaves now.
        self.step_clients();
        loop {
            let next = self.next_event().max(self.now);
            if next > end {
                // The last turn may have ended a little later.
                self.now = self.now.max(end);
                return Ok(());
            }
            // A turn of a busy poll: nothing happens twice within a microsecond, so time always passes.
            self.now = next.max(self.now + Duration::from_micros(1));
            self.turns += 1;
            if self.turns > TURNS_MAX {
                let text = format!("{TURNS_MAX} turns, and no end: somebody never rests");
                return Err(Violation::new("HC12", text));
            }
            self.wake();
            self.deliver();
            self.step_applications()?;
            self.step_nodes()?;
            self.step_clients();
        }
    }

    /// Runs until `go_on` says no, asked every millisecond; `Ok(false)` when `limit` passed first.
    ///
    /// # Errors
    ///
    /// The first thing that a check finds wrong.
    pub fn run_while(
        &mut self,
        limit: Duration,
        mut go_on: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + limit;
        while self.now < end {
            if !go_on(self) {
                return Ok(true);
            }
            self.run_until(self.now + Duration::from_millis(1))?;
        }
        Ok(!go_on(self))
    }

    /// How a node stands.
    #[must_use]
    pub fn status(&self, node: u8) -> Status {
        self.nodes[usize::from(node - 1)].replica.status()
    }

    /// The living leader of the highest term.
    #[must_use]
    pub fn leader(&self) -> Option<u8> {
        let leads = |node: &&Node| {
            node.alive && matches!(node.replica.status().role, Role::Leader | Role::Alone)
        };
        let leading = self.nodes.iter().filter(leads);
        let newest = leading.max_by_key(|node| node.replica.status().term);
        newest.map(|node| node.id.number())
    }

    /// Runs until a leader has committed an entry of its term.
    ///
    /// # Errors
    ///
    /// Nobody leads after 20 s, or something is wrong.
    pub fn settle(&mut self) -> Result<u8, Violation> {
        if self.knobs.mode == Mode::Unreplicated {
            return Ok(1);
        }
        let led = |cluster: &Self| {
            cluster.leader().is_none_or(|leader| cluster.status(leader).commit.to_wire() < 2)
        };
        let settled = self.run_while(Duration::from_secs(20), led)?;
        let leader = self.leader().filter(|_| settled);
        leader.ok_or_else(|| Violation::new("liveness", "no leader within 20 s of the birth"))
    }

    /// The first client puts as many small values, each when the one before was answered and nothing more is under way.
    ///
    /// # Errors
    ///
    /// One is not answered within 5 s, or something is wrong.
    pub fn put_one_by_one(&mut self, count: u64) -> Found {
        for number in 0..count {
            self.clients[0].put(self.now, b"key", &number.to_be_bytes());
            let waits = |cluster: &Self| !cluster.clients[0].is_idle();
            if !self.run_while(Duration::from_secs(5), waits)? {
                let text = format!("put {number} of {count} is not answered");
                return Err(Violation::new("liveness", text));
            }
        }
        Ok(())
    }

    /// What the node's own clock shows.
    #[must_use]
    pub fn own_time(&self, node: u8) -> Duration {
        self.nodes[usize::from(node - 1)].clock.own(self.now)
    }

    /// The node's memory is gone.
    pub fn crash(&mut self, node: u8) {
        let place = usize::from(node - 1);
        let dead = &mut self.nodes[place];
        self.checks.coverage.add_totals(dead);
        dead.die();
        self.network.set_paused(dead.endpoint, false);
        self.network.clear_inbox(dead.endpoint);
    }

    /// It comes back, with a fresh life (HC11a).
    pub fn restart(&mut self, node: u8) {
        let place = usize::from(node - 1);
        let epoch = self.random.time_below(Duration::from_secs(1_000));
        let old = &mut self.nodes[place];
        let lives = old.lives + 1;
        let mut fresh = Node::new(old.id, old.endpoint, &self.knobs, lives, epoch, self.now);
        fresh.past_audits = core::mem::take(&mut old.past_audits);
        *old = fresh;
        self.checks.begins_anew(place);
        let endpoint = self.nodes[place].endpoint;
        self.network.clear_inbox(endpoint);
    }

    /// It stands still; its packets wait.
    pub fn pause(&mut self, node: u8, until: Duration) {
        let node = &mut self.nodes[usize::from(node - 1)];
        node.paused_until = node.paused_until.max(until);
        self.network.set_paused(node.endpoint, true);
    }

    /// All clocks run, at their own rates or truly; nobody stands still any more.
    pub fn calm(&mut self) {
        self.network.heal();
        self.network.set_weather(Weather::CALM);
        for node in &mut self.nodes {
            node.paused_until = self.now;
            node.application_paused_until = self.now;
            node.clock.set_rate(self.now, TRUE_RATE);
            self.network.set_paused(node.endpoint, false);
        }
        for client in &mut self.clients {
            client.paused_until = self.now;
            self.network.set_paused(client.endpoint, false);
        }
    }

    fn next_event(&self) -> Duration {
        let network = self.network.next_due().unwrap_or(Duration::MAX);
        let nodes = self.nodes.iter().map(Node::next_event);
        // Whoever stands still wakes up when it is time, to find what waits.
        let sleeping = self.nodes.iter().filter(|node| node.paused_until > self.now);
        let wakes = sleeping.map(|node| node.paused_until);
        let clients = self.clients.iter().map(SimClient::deadline);
        nodes.chain(wakes).chain(clients).fold(network, Duration::min)
    }

    fn wake(&mut self) {
        for node in self.nodes.iter().filter(|node| node.paused_until <= self.now) {
            self.network.set_paused(node.endpoint, false);
        }
        for client in self.clients.iter().filter(|client| client.paused_until <= self.now) {
            self.network.set_paused(client.endpoint, false);
        }
    }

    fn deliver(&mut self) {
        while let Some(delivery) = self.network.pop_due(self.now) {
            let arrival = delivery.arrival();
            let place = delivery.to.place();
            if self.tapped.len() < self.tap_max {
                self.tapped.push(arrival.bytes.to_vec());
            }
            if let Some(node) = self.nodes.get_mut(place) {
                if node.alive {
                    let now = node.clock.own(self.now);
                    let stamp = if self.knobs.stamps { arrival.not_before } else { node.looked };
                    node.touched = true;
                    node.replica.receive(
                        now,
                        &Arrival {
                            from: arrival.from,
                            group: arrival.to != ArrivedAt::Own,
                            not_before: node.clock.own(stamp).min(now),
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

    fn step_nodes(&mut self) -> Found {
        for place in 0..self.nodes.len() {
            let node = &mut self.nodes[place];
            if !node.alive || self.now < node.paused_until {
                continue;
            }
            node.looked = self.now;
            let now = node.clock.own(self.now);
            let due = node.replica.deadline() <= now;
            if due {
                node.replica.tick(now);
            }
            if due || core::mem::take(&mut node.touched) {
                node.replica.end_burst(now);
                self.checks.look(self.now, node)?;
                self.drain(place)?;
            }
        }
        Ok(())
    }

    fn drain(&mut self, place: usize) -> Found {
        let node = &mut self.nodes[place];
        let delay = self.random.time_below(node.application_delay);
        while let Some(output) = node.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, .. } => {
                    self.checks.says(self.now, place, nodes, packet, self.mac.as_ref())?;
                    for to in nodes.iter() {
                        self.network.send(self.now, node.endpoint, address(to.number()), packet);
                    }
                }
                Output::ToClient { to, packet } => {
                    self.network.send(self.now, node.endpoint, to, packet);
                }
                Output::Command(command) => {
                    self.checks.hands(self.now, place, &command)?;
                    node.commands.push_back(command);
                    node.application_due.get_or_insert(self.now + delay);
                }
            }
        }
        Ok(())
    }

    /// The application halves work at their own pace: some commands now, the rest later.
    fn step_applications(&mut self) -> Found {
        for place in 0..self.nodes.len() {
            let node = &mut self.nodes[place];
            if !node.alive || self.now < node.application_paused_until.max(node.paused_until) {
                continue;
            }
            let now = node.clock.own(self.now);
            let heard = node.replica.heard_us();
            let (endpoint, network, cluster_now) = (node.endpoint, &mut self.network, self.now);
            let mut answered = None;
            let mut transmit = |to: SocketAddr, head: &[u8], payload: &[u8]| {
                answered = Some(to);
                network.send(cluster_now, endpoint, to, &[head, payload].concat());
            };
            node.application.tick(now, heard, &mut transmit);
            if node.application_due.is_none_or(|due| due > self.now) {
                continue;
            }
            for _ in 0..=self.random.below(64) {
                let Some(command) = node.commands.pop_front() else { break };
                answered = None;
                let served = Served::before(&command);
                let mut transmit = |to: SocketAddr, head: &[u8], payload: &[u8]| {
                    answered = Some(to);
                    self.network.send(cluster_now, endpoint, to, &[head, payload].concat());
                };
                node.application.handle(now, heard, command, &mut transmit);
                let service = node.application.service();
                self.checks.serves(cluster_now, place, &served, answered, service)?;
            }
            let rest = Duration::from_micros(1 + self.random.below(20));
            node.application_due = (!node.commands.is_empty()).then(|| self.now + rest);
            let completion = node.application.take_completion();
            node.replica.completed(now, completion);
            node.touched = true;
        }
        Ok(())
    }

    fn step_clients(&mut self) {
        for client in &mut self.clients {
            client.step(self.now, &mut self.network);
            let checks = &mut self.checks;
            let now = self.now;
            client.take_submitted(|body| checks.submitted(now, body));
        }
    }
}
