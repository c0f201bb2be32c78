//! Nodes, both halves of each, and what is under way between them; nothing moves unless a script says so.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use hovercraft::application::Application;
use hovercraft::command::Command;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Replica};
use hovercraft::wire::MacKey;

use super::names::{self, Names};
use super::service::Recorder;
use super::settings::Shape;
use super::words;

/// A datagram between nodes.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) bytes: Vec<u8>,
}

/// One machine.
pub(crate) struct Node {
    pub(crate) id: u8,
    pub(crate) replica: Replica,
    pub(crate) application: Application<Recorder>,
    commands: VecDeque<Command>,
    /// The application half does nothing until told.
    pub(crate) held: bool,
    pub(crate) alive: bool,
    lives: u8,
    /// How far its clock is behind the others'.
    behind: Duration,
}

/// All of it.
pub(crate) struct Cluster {
    pub(crate) shape: Shape,
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) flights: VecDeque<Flight>,
    /// What was delivered, newest last, for duplicates.
    pub(crate) delivered: Vec<Flight>,
    pub(crate) cut: BTreeSet<u8>,
    pub(crate) names: Names,
    key: Option<MacKey>,
    /// Lines to print; routine ones are left out while `quiet`.
    out: Vec<String>,
    pub(crate) quiet: bool,
}

impl Cluster {
    pub(crate) fn new(shape: Shape) -> Self {
        let now = Duration::from_secs(1);
        let nodes = (1..=shape.nodes).map(|id| Node::new(id, 0, &shape, now)).collect();
        let key = shape.has_key().then(|| MacKey::derive(&[7; 32]));
        Self {
            shape,
            now,
            nodes,
            flights: VecDeque::new(),
            delivered: Vec::new(),
            cut: BTreeSet::new(),
            names: Names::default(),
            key,
            out: Vec::new(),
            quiet: false,
        }
    }

    pub(crate) fn say(&mut self, line: String) {
        self.out.push(line);
    }

    /// The lines so far; of long rows of chunks only the ends.
    pub(crate) fn take_lines(&mut self) -> String {
        let row = |line: &str| line.split_once(" chunk ").map(|(row, _)| row.to_owned());
        let mut text = String::new();
        for rows in self.out.chunk_by(|a, b| row(a).is_some() && row(a) == row(b)) {
            if let [first, .., last] = rows
                && rows.len() > 8
            {
                text += &format!("{first}\n.. {} more\n{last}\n", rows.len() - 2);
            } else {
                text.extend(rows.iter().map(|line| line.clone() + "\n"));
            }
        }
        self.out.clear();
        text
    }

    pub(crate) fn key(&self) -> Option<&MacKey> {
        self.key.as_ref()
    }

    pub(crate) fn node(&mut self, id: u8) -> &mut Node {
        &mut self.nodes[usize::from(id) - 1]
    }

    /// What the node's own clock shows.
    pub(crate) fn clock(&self, id: u8) -> Duration {
        self.now.saturating_sub(self.nodes[usize::from(id) - 1].behind)
    }

    /// Time passes, for these nodes and for clients, which have no clock here.
    pub(crate) fn advance(&mut self, time: Duration, moves: impl Fn(u8) -> bool) {
        self.now += time;
        for node in self.nodes.iter_mut().filter(|node| !moves(node.id)) {
            node.behind += time;
        }
    }

    pub(crate) fn living(&self) -> Vec<u8> {
        self.nodes.iter().filter(|node| node.alive).map(|node| node.id).collect()
    }

    /// Datagrams reach a node in one burst: from whom, to the group or not, for how long they waited, and their bytes.
    pub(crate) fn burst(&mut self, id: u8, arrivals: &[(SocketAddr, bool, Duration, Vec<u8>)]) {
        let now = self.clock(id);
        if !self.node(id).alive || self.cut.contains(&id) {
            return;
        }
        for (from, group, waited, bytes) in arrivals {
            let not_before = now.saturating_sub(*waited);
            let arrival = Arrival { from: *from, group: *group, not_before, bytes };
            self.node(id).replica.receive(now, &arrival);
        }
        self.node(id).replica.end_burst(now);
        self.drain(id);
    }

    /// Delivers what `pick` chooses of what is under way to `to`, as one burst; false when there is none.
    pub(crate) fn deliver(&mut self, to: u8, mut pick: impl FnMut(&Flight) -> bool) -> bool {
        let mut burst = Vec::new();
        let flights = core::mem::take(&mut self.flights);
        for flight in flights {
            if flight.to == to && pick(&flight) {
                burst.push((names::node(flight.from), false, Duration::ZERO, flight.bytes.clone()));
                self.delivered.push(flight);
            } else {
                self.flights.push_back(flight);
            }
        }
        self.burst(to, &burst);
        !burst.is_empty()
    }

    /// Delivers everything until nothing is under way.
    pub(crate) fn deliver_all(&mut self) {
        for _ in 0..10_000 {
            let Some(to) = self.flights.front().map(|flight| flight.to) else { return };
            self.deliver(to, |_| true);
        }
        panic!("the nodes never come to rest");
    }

    /// A turn of a node's loop at which nothing arrived.
    pub(crate) fn tick(&mut self, id: u8) {
        let now = self.clock(id);
        let node = self.node(id);
        if !node.alive {
            return;
        }
        node.replica.tick(now);
        node.replica.end_burst(now);
        self.drain(id);
        self.step_application(id, 0);
    }

    /// Time passes on a network that works: everybody ticks and hears everything at once.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            for id in self.living() {
                self.tick(id);
            }
            self.deliver_all();
        }
    }

    /// Does what a node wants, and lets its application half work unless it is held.
    pub(crate) fn drain(&mut self, id: u8) {
        loop {
            let commands = self.drain_outputs(id);
            self.node(id).commands.extend(commands);
            let node = self.node(id);
            if node.held || node.commands.is_empty() {
                return;
            }
            let waiting = node.commands.len();
            self.step_application(id, waiting);
        }
    }

    fn drain_outputs(&mut self, id: u8) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut sent: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut lines = Vec::new();
        let node = &mut self.nodes[usize::from(id) - 1];
        while let Some(output) = node.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, .. } => {
                    let to: Vec<u8> = nodes.iter().map(|node| node.number()).collect();
                    let text = words::node_message(packet, self.key.as_ref(), &mut self.names);
                    if !self.quiet || !is_routine(&text) {
                        let list: Vec<_> = to.iter().map(|id| format!("n{id}")).collect();
                        lines.push(format!("n{id} -> {} {text}", list.join(",")));
                    }
                    sent.push((to, packet.to_vec()));
                }
                Output::ToClient { to, packet } => {
                    let text = words::client_packet(to, packet, &mut self.names);
                    lines.push(format!("n{id} -> {} {text}", names::of(to)));
                }
                Output::Command(command) => commands.push(command),
            }
        }
        self.out.extend(lines);
        for (to, bytes) in sent {
            for to in to.into_iter().filter(|to| !self.cut.contains(&id) && !self.cut.contains(to))
            {
                self.flights.push_back(Flight { from: id, to, bytes: bytes.clone() });
            }
        }
        commands
    }

    /// The application half takes so many commands; then the network half hears of it.
    pub(crate) fn step_application(&mut self, id: u8, count: usize) {
        let now = self.clock(id);
        let node = &mut self.nodes[usize::from(id) - 1];
        let heard = node.replica.heard_us();
        let mut packets = Vec::new();
        let mut transmit = |to: SocketAddr, head: &[u8], payload: &[u8]| {
            packets.push((to, [head, payload].concat()));
        };
        node.application.tick(now, heard, &mut transmit);
        let before = node.application.service().executed.len();
        let mut taken = 0;
        for command in node.commands.drain(..count.min(node.commands.len())) {
            taken += 1;
            node.application.handle(now, heard, command, &mut transmit);
        }
        let executed = node.application.service().executed[before..].to_vec();
        for (index, _, text) in executed {
            self.out.push(format!("n{id} executes {index} \"{text}\""));
        }
        for (to, packet) in packets {
            let text = words::client_packet(to, &packet, &mut self.names);
            self.out.push(format!("n{id} -> {} {text}", names::of(to)));
        }
        if taken > 0 {
            let node = &mut self.nodes[usize::from(id) - 1];
            let completion = node.application.take_completion();
            node.replica.completed(now, completion);
            node.replica.end_burst(now);
        }
    }

    /// The node's memory is gone; it comes back empty, with another life (HC11a).
    pub(crate) fn restart(&mut self, id: u8) {
        let lives = self.node(id).lives + 1;
        *self.node(id) = Node::new(id, lives, &self.shape.clone(), self.now);
    }
}

/// Heartbeats, news of commits, and their answers.
fn is_routine(text: &str) -> bool {
    let empty = text.starts_with("append") && !text.contains('\n');
    empty || ["ack", "applied", "question", "report"].iter().any(|kind| text.starts_with(kind))
}

impl Node {
    fn new(id: u8, lives: u8, shape: &Shape, now: Duration) -> Self {
        Self {
            id,
            replica: Replica::new(shape.replica(id, lives), now),
            application: Application::new(Recorder::default(), shape.application()),
            commands: VecDeque::new(),
            held: false,
            alive: true,
            lives,
            behind: Duration::ZERO,
        }
    }

    /// Commands that wait for the application half.
    pub(crate) fn waiting(&self) -> usize {
        self.commands.len()
    }
}
