//! One node with its disk, as every test here drives it: outputs performed in order, messages held until durable.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod post;

use std::collections::VecDeque;
use std::time::Duration;

use raft_core::entry::{Command, Configuration, Entry};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Seq, Term};
use raft_core::message::{Append, Message};
use raft_core::output::{Output, Persist};
use raft_core::{Config, Instant, Raft, Settings, Start};

/// What the entries hold.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Number(pub u64);

impl Command for Number {
    fn wire_len(&self) -> usize {
        8
    }
}

pub type Node = Raft<Number, ()>;

/// What travels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    Message(Message),
    Append(Append, Vec<Entry<Number>>, Option<Configuration<()>>),
}

/// What an outsider sees of a node's doings, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    Did(Output),
    Sent(NodeId, Packet),
    /// To several at once.
    SentAll(Vec<NodeId>, Packet),
}

/// A node, its disk, and what waits for it.
#[derive(Clone, Debug)]
pub struct Host {
    pub raft: Node,
    pub disk: Disk,
    held: Vec<(Seq, NodeId, Packet)>,
}

/// What is on stable storage, and what is on its way there.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub stable: Saved,
    pub durable: Seq,
    pub pending: VecDeque<(Seq, Write)>,
    /// Whether writes complete only when told to.
    pub slow: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Saved {
    pub term: Term,
    pub vote: Option<Member>,
    /// A snapshot covers these.
    pub snapshot: LogIndex,
    /// From index 1 on, those that the snapshot covers too.
    pub entries: Vec<Entry<Number>>,
    pub configurations: Vec<Configuration<()>>,
    /// By which it was told that it takes part: kept like the cluster's id (HC11d).
    pub adopted: Option<Configuration<()>>,
}

#[derive(Clone, Debug)]
pub enum Write {
    Vote(Term, Option<Member>),
    Entries(LogIndex, Vec<Entry<Number>>, Vec<Configuration<()>>),
}

pub fn id(number: usize) -> NodeId {
    NodeId::new(u8::try_from(number).unwrap()).unwrap()
}

pub fn member(number: usize) -> Member {
    Member { id: id(number), incarnation: Incarnation::from_wire(1) }
}

pub fn index(number: u64) -> LogIndex {
    LogIndex::from_wire(number)
}

pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Voters 0 to `voters`, in their first lives.
pub fn birth(voters: usize) -> Configuration<()> {
    Configuration { voters: (0..voters).map(member).collect(), ..Configuration::default() }
}

/// Small, so that limits are reached.
pub fn settings() -> Settings {
    Settings {
        heartbeat_interval: ms(10),
        election_timeout_min: ms(100),
        election_timeout_max: ms(200),
        log_capacity: 64,
        log_reserve: 8,
        append_bytes: 64,
        append_entries_max: 8,
        inflight_max: 4,
    }
}

impl Host {
    pub fn new(me: Member, birth: Configuration<()>, seed: u64, now: Instant) -> Self {
        Self::with(me, birth, settings(), Disk::default(), seed, now)
    }

    /// A node that finds `disk`.
    pub fn with(
        me: Member,
        birth: Configuration<()>,
        settings: Settings,
        disk: Disk,
        seed: u64,
        now: Instant,
    ) -> Self {
        let start = disk.stable.start();
        let config = Config::try_from(settings).unwrap();
        let mut raft = Raft::new(me, config, birth, start, seed, now);
        if let Some(configuration) = disk.stable.adopted.clone() {
            raft.adopt(configuration);
        }
        let disk = Disk { pending: VecDeque::new(), durable: Seq::ZERO, ..disk };
        Self { raft, disk, held: Vec::new() }
    }

    pub fn receive(&mut self, now: Instant, from: Member, packet: Packet) -> Vec<Event> {
        self.take(now, from, packet, None);
        self.drain(now)
    }

    /// As [`Self::receive`], without draining; with `cut`, an append loses its end, by that number, as if bodies were
    /// missing (HC1a), and one that starts beyond the log is parked.
    pub fn take(&mut self, now: Instant, from: Member, packet: Packet, cut: Option<u64>) {
        match (packet, cut) {
            (Packet::Message(message), _) => self.raft.receive(now, from, message),
            (Packet::Append(append, entries, configuration), None) => {
                self.raft.append(now, from, append, &entries, configuration.as_ref());
            }
            (Packet::Append(append, ..), Some(_))
                if append.previous_index > self.raft.last_index() =>
            {
                self.raft.append_parked(now, from, append);
            }
            (Packet::Append(mut append, entries, configuration), Some(number)) => {
                append.count = u16::try_from(number % (u64::from(append.count) + 1)).unwrap();
                let entries = &entries[..usize::from(append.count)];
                self.raft.append(now, from, append, entries, configuration.as_ref());
            }
        }
    }

    /// Performs what the node wants done.
    pub fn drain(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(&output) = self.raft.poll_output() {
            match output {
                Output::Persist { seq, what } => {
                    events.push(Event::Did(output));
                    let write = self.write(what);
                    self.disk.pending.push_back((seq, write));
                    if !self.disk.slow {
                        events.extend(self.finish_writes(now, usize::MAX));
                    }
                }
                Output::Send { to, message, needs } => {
                    self.post(to, Packet::Message(message), needs, &mut events);
                }
                Output::Append { to, append, needs } => {
                    assert_eq!(needs, Seq::ZERO, "direct appends need nothing");
                    events.push(Event::SentAll(to.iter().collect(), self.load(append)));
                }
                other => events.push(Event::Did(other)),
            }
        }
        events
    }

    /// Completes `count` writes; what waited for them leaves. The caller drains.
    pub fn finish_writes(&mut self, now: Instant, count: usize) -> Vec<Event> {
        let count = count.min(self.disk.pending.len());
        for (seq, write) in self.disk.pending.drain(..count) {
            self.disk.stable.apply(write);
            self.disk.durable = seq;
        }
        self.raft.persisted(now, self.disk.durable);
        let (ready, held) =
            self.held.drain(..).partition(|&(needs, ..)| needs <= self.disk.durable);
        self.held = held;
        let ready: Vec<(Seq, NodeId, Packet)> = ready;
        ready.into_iter().map(|(_, to, packet)| Event::Sent(to, packet)).collect()
    }

    /// An append with its entries, as the wire carries it.
    pub fn load(&self, append: Append) -> Packet {
        let indexes = (1..=u64::from(append.count)).map(|nth| append.previous_index.plus(nth));
        let entries = indexes.map(|at| *self.raft.entry(at).unwrap()).collect();
        let at_end = self.raft.configuration_at(append.last_index());
        let carried = append.count > 0 && at_end.epoch == append.last_index();
        Packet::Append(append, entries, carried.then(|| at_end.clone()))
    }

    pub fn entries(&self) -> Vec<Entry<Number>> {
        let held = self.raft.first_index().to_wire()..=self.raft.last_index().to_wire();
        held.map(|at| *self.raft.entry(index(at)).unwrap()).collect()
    }

    /// Terms of the entries held.
    pub fn terms(&self) -> Vec<u64> {
        self.entries().iter().map(|entry| entry.term.to_wire()).collect()
    }

    fn post(&mut self, to: NodeId, packet: Packet, needs: Seq, events: &mut Vec<Event>) {
        if needs <= self.disk.durable {
            events.push(Event::Sent(to, packet));
        } else {
            self.held.push((needs, to, packet));
        }
    }

    fn write(&self, what: Persist) -> Write {
        match what {
            Persist::Vote { term, vote } => Write::Vote(term, vote),
            Persist::Entries { from, to } => {
                let indexes = from.to_wire()..=to.to_wire();
                let entries = indexes.clone().map(|at| *self.raft.entry(index(at)).unwrap());
                let configurations = indexes
                    .map(|at| self.raft.configuration_at(index(at)))
                    .filter(|found| found.epoch >= from && found.epoch <= to);
                let mut configurations: Vec<_> = configurations.cloned().collect();
                configurations.dedup_by_key(|found| found.epoch);
                Write::Entries(from, entries.collect(), configurations)
            }
        }
    }
}

impl Saved {
    fn start(&self) -> Start<Number, ()> {
        let covered = usize::try_from(self.snapshot.to_wire()).unwrap();
        let base_term = covered.checked_sub(1).map_or(Term::ZERO, |at| self.entries[at].term);
        Start {
            term: self.term,
            vote: self.vote,
            base: self.snapshot,
            base_term,
            entries: self.entries[covered..].to_vec(),
            configurations: self.configurations.clone(),
        }
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Vote(term, vote) => {
                assert!(term >= self.term, "the term went back on disk");
                assert!(term > self.term || self.vote.is_none() || vote == self.vote, "two votes");
                (self.term, self.vote) = (term, vote);
            }
            Write::Entries(from, entries, configurations) => {
                assert!(entries.iter().all(|entry| entry.term <= self.term), "entries before term");
                let kept = usize::try_from(from.prev().to_wire()).unwrap();
                assert!(kept <= self.entries.len(), "a gap on disk before {from}");
                self.entries.truncate(kept);
                self.entries.extend(entries);
                self.configurations.retain(|found| found.epoch < from);
                self.configurations.extend(configurations);
            }
        }
    }
}
