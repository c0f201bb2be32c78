//! A cluster and its client in one thread: every packet sent in one step arrives in the next.
//!
//! A steady stream: every second step the client submits a batch, so that the leader gets a batch in the same burst as the
//! acknowledgements of the batch before, and its next append carries their commit (Table 1 of the paper).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use hovercraft::application::{Application, ApplicationSettings};
use hovercraft::replica::{Replica, Role, Settings};
use hovercraft_config::Cluster;
use hovercraft_node::Plan;
use r2p2::Instant;
use r2p2::client::{Client, ClientConfig, Event, Mode as ClientMode};
use r2p2::header::Policy;
use r2p2::refusal::Reason;
use raft_core::ids::Incarnation;
use serde::{Deserialize, Serialize};
use synthetic::{Pace, Request, Synthetic};

use crate::machine::Machine;
use crate::network::{Network, Passed};
use crate::tape::Tape;

/// What one row of the table measures.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Shape {
    pub mode: Mode,
    pub nodes: u8,
    /// Bytes of a request's body, at least [`REQUEST_MIN`].
    pub request: usize,
    /// Bytes of a reply's body, at least [`REPLY_MIN`].
    pub reply: usize,
    /// Requests that arrive together.
    pub batch: usize,
    pub replier: Replier,
    /// Messages between nodes carry a MAC (HC13).
    pub key: bool,
    /// What packets go through.
    #[serde(default)]
    pub wire: Wire,
}

/// What packets go through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wire {
    /// Vectors.
    #[default]
    Memory,
    /// DPDK in this process: queues, network stack, ports on rings.
    Inproc,
}

/// How requests are replicated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Raft,
    Hovercraft,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Replier {
    Jbsq,
    Random,
    Leader,
}

impl Shape {
    /// Bursts in which the long replies of a batch leave, all of them from one node; a turn sends one. Zero for short ones.
    fn bursts(&self) -> u64 {
        let packets = self.reply.div_ceil(LONG_PAYLOAD) * self.batch;
        if packets == self.batch {
            return 0;
        }
        packets.div_ceil(r2p2::pacing::Settings::default().burst.into()) as u64
    }

    /// Steps from one batch to the next: what is paced must have left by then.
    fn period(&self) -> u64 {
        PERIOD.max(self.bursts() + 1)
    }

    /// Virtual time of a step.
    fn step_time(&self) -> Duration {
        if self.bursts() == 0 { STEP } else { r2p2::pacing::Settings::default().gap }
    }

    /// The command line that asks for this row.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { mode, nodes, request, reply, batch, replier, key, wire } = self;
        let named = [
            ("--mode", word(*mode)),
            ("--nodes", nodes.to_string()),
            ("--request", request.to_string()),
            ("--reply", reply.to_string()),
            ("--batch", batch.to_string()),
            ("--replier", word(*replier)),
            ("--wire", word(*wire)),
        ];
        let named = named.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        named.chain((!key).then(|| "--no-key".to_owned())).collect()
    }
}

/// As the command line and cluster.ron spell it.
pub(crate) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The header of a synthetic request.
pub(crate) const REQUEST_MIN: usize = 24;
/// The size field of a synthetic reply.
pub(crate) const REPLY_MIN: usize = 8;

/// Where requests go in mode `hovercraft`.
pub(crate) const GROUP: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 1, 1, 1)), 8_000);
/// The client's address.
pub(crate) const CLIENT: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1)), 4_000);
/// Virtual time of a step where nothing is paced.
const STEP: Duration = Duration::from_micros(2);
/// Bytes of a long reply in one packet, about.
const LONG_PAYLOAD: usize = 1_300;
/// Steps from one batch to the next, at least.
const PERIOD: u64 = 2;
/// Steps within which what is under way must be answered: many round trips.
const STEPS_MAX: u32 = 1_000;
/// Batches under way at most: some four steps of a round trip, and room.
const BATCHES_OPEN: usize = 8;

/// A cluster, its network and its client.
pub(crate) struct World<N> {
    shape: Shape,
    pub machines: Vec<Machine>,
    pub network: N,
    client: Client,
    body: Vec<u8>,
    pub now: Instant,
    step: u64,
    pub leader: usize,
    submitted: u64,
    pub answered: u64,
    not_kept: u64,
    /// Packets that the leader got and sent.
    pub leader_rx: u64,
    pub leader_tx: u64,
}

impl<N: Network> World<N> {
    /// An elected cluster and a client with its session open.
    pub(crate) fn start(shape: Shape) -> Result<Self> {
        let cluster = cluster(shape)?;
        let now = Duration::from_secs(1);
        let mut machines = Vec::new();
        for id in 1..=shape.nodes {
            machines.push(machine(&cluster, shape, id, now)?);
        }
        let mut world = Self {
            shape,
            machines,
            network: N::open(shape)?,
            client: client(shape, now)?,
            body: body(shape),
            now,
            step: 0,
            leader: 0,
            submitted: 0,
            answered: 0,
            not_kept: 0,
            leader_rx: 0,
            leader_tx: 0,
        };
        world.elect()?;
        Ok(world)
    }

    /// So many batches, a steady stream, and then what is still under way.
    ///
    /// # Errors
    ///
    /// A request that was not answered: nothing is lost here, so it is a fault of ours.
    pub(crate) fn run(&mut self, batches: u64, mut tape: Option<&mut Tape>) -> Result<()> {
        for _ in 0..batches {
            for _ in 0..self.shape.batch {
                let taken = self.client.submit(self.now, Policy::Replicated, &self.body, 0);
                taken.context("the client's window is full: answers do not come")?;
                self.submitted += 1;
            }
            for _ in 0..self.shape.period() {
                self.step(tape.as_deref_mut());
            }
        }
        for _ in 0..STEPS_MAX {
            if self.answered + self.not_kept == self.submitted {
                let (lost, all) = (self.not_kept, self.submitted);
                ensure!(lost * 1_000 <= all, "{lost} of {all} replies found no room");
                return Ok(());
            }
            self.step(tape.as_deref_mut());
        }
        let dropped: u64 =
            self.machines.iter().map(|one| one.application.counters.long_answers_dropped).sum();
        bail!(
            "{} of {} requests were answered; {dropped} long answers found no room; {:?}",
            self.answered,
            self.submitted,
            self.client.counters()
        )
    }

    /// [`Self::run`] under a name of its own, by which callgrind tells the part that counts.
    ///
    /// # Errors
    ///
    /// As `run`.
    #[inline(never)]
    pub(crate) fn run_counted(&mut self, batches: u64) -> Result<()> {
        self.run(batches, None)
    }

    /// Every node's service has executed the same.
    pub(crate) fn check(&self) -> Result<()> {
        let executed = |machine: &Machine| {
            (machine.application.counters.executed, machine.application.service().clone())
        };
        let (count, first) = executed(&self.machines[0]);
        for (place, machine) in self.machines.iter().enumerate() {
            let (other, state) = executed(machine);
            ensure!(
                other == count && state == first,
                "node {} executed {other} writes, node 1 {count}, or others",
                place + 1
            );
        }
        ensure!(count >= self.answered, "{count} executed, {} answered", self.answered);
        Ok(())
    }

    fn elect(&mut self) -> Result<()> {
        for _ in 0..5_000_000 {
            let role = |machine: &Machine| machine.replica.status().role;
            let leader = self.machines.iter().position(|machine| role(machine) == Role::Leader);
            if let Some(leader) = leader.filter(|_| self.client.session().is_some()) {
                self.leader = leader;
                return Ok(());
            }
            if self.network.is_idle() {
                let next = self.machines.iter().map(Machine::deadline).min();
                let next = next.into_iter().chain(self.client.deadline()).min();
                self.now = self.now.max(next.unwrap_or(self.now));
            }
            self.step(None);
        }
        bail!("no leader after five million steps")
    }

    /// Everybody takes what was sent in the step before.
    fn step(&mut self, mut tape: Option<&mut Tape>) {
        self.now += self.shape.step_time();
        self.step += 1;
        self.network.deliver();
        for place in 0..self.machines.len() {
            let machine = &mut self.machines[place];
            if !self.network.waits_for(place) && machine.deadline() > self.now {
                continue;
            }
            let tape = tape.as_deref_mut().filter(|_| place == self.leader);
            let Passed { came, left } = self.network.turn(place, machine, self.now, tape);
            if place == self.leader {
                self.leader_rx += came;
                self.leader_tx += left;
            }
        }
        self.step_client();
    }

    fn step_client(&mut self) {
        let (now, client) = (self.now, &mut self.client);
        self.network.client_takes(&mut |from, bytes| {
            client.receive(now, from, bytes);
        });
        if self.client.deadline().is_some_and(|at| at <= self.now) {
            self.client.tick(self.now);
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Answered { body, .. } => {
                    assert_eq!(body.len(), self.shape.reply, "a reply of another size");
                    self.answered += 1;
                }
                // Executed; its long reply found no room among those on their way.
                Event::Refused { reason: Reason::NotKept, .. } => self.not_kept += 1,
                _ => {}
            }
        }
        while let Some(packet) = self.client.poll_transmit() {
            self.network.client_sends(packet.to, packet.head, packet.tail);
        }
        self.network.client_done();
    }
}

/// Where the node of this place is.
pub(crate) fn address(place: usize) -> SocketAddr {
    let number = u8::try_from(place + 1).unwrap_or(u8::MAX);
    SocketAddr::from(([10, 0, 0, number], 8_000))
}

/// As a file would say it: everything else has the defaults that users have.
fn cluster(shape: Shape) -> Result<Cluster> {
    let members: String = (1..=shape.nodes)
        .map(|id| format!("(id: {id}, data: \"10.0.0.{id}:8000\", admin: \"10.0.1.{id}:9000\"),"))
        .collect();
    let (mode, replier) = (word(shape.mode), word(shape.replier));
    let text = format!(
        "(name: \"bench\", groups: [(name: \"bench\", mode: {mode}, multicast: \"{GROUP}\", service: synthetic, \
         replier: {replier}, members: [{members}])])"
    );
    Ok(Cluster::from_str_at(Path::new("bench.ron"), &text)?)
}

fn machine(cluster: &Cluster, shape: Shape, id: u8, now: Instant) -> Result<Machine> {
    let plan = Plan::new(cluster.clone(), None, Some(id))?;
    let key = shape.key.then_some([7; 32]);
    // The same run every time.
    let settings = Settings {
        incarnation: Incarnation::from_wire(1_000 + u64::from(id)),
        seed: u64::from(id),
        cluster_key: key,
        mac: key.as_ref().map(hovercraft::wire::MacKey::derive),
        ..plan.replica().clone()
    };
    ensure!(settings.me.number() == id, "node {id} is not itself");
    let application = ApplicationSettings { seed: u64::from(id), ..*plan.application() };
    let service = Synthetic::new(Pace::NONE);
    Ok(Machine::new(Replica::new(settings, now), Application::new(service, application)))
}

fn client(shape: Shape, now: Instant) -> Result<Client> {
    let servers = (0..usize::from(shape.nodes)).map(address).collect();
    let config = ClientConfig {
        group: (shape.mode == Mode::Hovercraft).then_some(GROUP),
        open_max: BATCHES_OPEN * shape.batch,
        ..ClientConfig::new(ClientMode::Session, servers)
    };
    Ok(Client::new(config, 3, now)?)
}

fn body(shape: Shape) -> Vec<u8> {
    let filler = vec![b'r'; shape.request - REQUEST_MIN];
    let reply_size = (shape.reply - REPLY_MIN) as u64;
    let mut body = Vec::new();
    Request { service_time_us: 0, reply_size, body: &filler }.encode(&mut body);
    body
}
