//! A cluster whose messages are delivered by hand, one by one, and all of whose doings are written down.

use std::time::Duration;

use raft_core::Instant;
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};
use raft_core::output::{Output, Persist};

use super::{Disk, Event, Host, Number, Packet, Saved, birth, id, member, ms, settings};

/// Nodes, and what is on its way between them, oldest first.
pub struct Post {
    pub hosts: Vec<Host>,
    pub mail: Vec<(Member, NodeId, Packet)>,
    pub now: Instant,
    /// A line per doing.
    pub trace: Vec<String>,
}

impl Post {
    /// `voters` nodes with empty disks.
    pub fn new(voters: usize) -> Self {
        Self::with_logs(&vec![&[][..]; voters])
    }

    /// A node per log, whose entries are of these terms; numbered by their index. Each is in the term of its last entry.
    pub fn with_logs(logs: &[&[u64]]) -> Self {
        let last = |log: &&[u64]| log.last().copied().unwrap_or(0);
        Self::with_terms(logs, &logs.iter().map(last).collect::<Vec<_>>())
    }

    /// As [`Self::with_logs`], each in a term of its own.
    pub fn with_terms(logs: &[&[u64]], nodes: &[u64]) -> Self {
        let host = |(place, terms): (usize, &&[u64])| {
            let entry = |(nth, &term): (usize, &u64)| Entry {
                term: Term::from_wire(term),
                payload: Payload::Command(Number(nth as u64 + 1)),
            };
            let entries = terms.iter().enumerate().map(entry).collect();
            let term = Term::from_wire(nodes[place]);
            let stable = Saved { term, entries, ..Saved::default() };
            let disk = Disk { stable, ..Disk::default() };
            Host::with(member(place), birth(logs.len()), settings(), disk, place as u64, ms(0))
        };
        let hosts = logs.iter().enumerate().map(host).collect();
        Self { hosts, mail: Vec::new(), now: ms(0), trace: Vec::new() }
    }

    /// Feeds node `at`, ends its burst, and posts what it sends.
    pub fn step(&mut self, at: usize, input: impl FnOnce(&mut Host, Instant)) {
        let now = self.now;
        input(&mut self.hosts[at], now);
        self.collect(at);
        self.hosts[at].raft.end_burst(now);
        self.collect(at);
    }

    /// As [`Self::step`], of a command; its index.
    pub fn propose(&mut self, at: usize, number: u64) -> LogIndex {
        let index = self.hosts[at].raft.propose(self.now, Number(number)).unwrap();
        self.step(at, |_, _| ());
        index
    }

    /// Time moves to the node's deadline, and it notices.
    pub fn timeout(&mut self, at: usize) {
        self.now = self.now.max(self.hosts[at].raft.deadline());
        self.step(at, |host, now| host.raft.tick(now));
    }

    /// Time moves, and nobody notices yet.
    pub fn pass(&mut self, span: Duration) {
        self.now += span;
    }

    /// The oldest message from one node to another arrives.
    pub fn deliver(&mut self, from: usize, to: usize) {
        let (sender, _, packet) = self.take(from, to);
        self.step(to, |host, now| host.take(now, sender, packet, None));
    }

    /// It arrives, and stays on its way.
    pub fn duplicate(&mut self, from: usize, to: usize) {
        let (sender, _, packet) = self.take(from, to);
        self.mail.insert(0, (sender, id(to), packet.clone()));
        self.step(to, |host, now| host.take(now, sender, packet, None));
    }

    /// It is lost.
    pub fn lose(&mut self, from: usize, to: usize) {
        self.take(from, to);
    }

    /// The oldest message is overtaken by all others between the two.
    pub fn delay(&mut self, from: usize, to: usize) {
        let oldest = self.take(from, to);
        self.mail.push(oldest);
    }

    /// The oldest append from one node to another arrives, and only `count` of its entries have their bodies (HC1a).
    pub fn deliver_cut(&mut self, from: usize, to: usize, count: usize) {
        let (sender, _, packet) = self.take(from, to);
        self.step(to, |host, now| host.take(now, sender, packet, Some(count as u64)));
    }

    /// It arrives, and entries before it wait for their bodies.
    pub fn deliver_parked(&mut self, from: usize, to: usize) {
        let (sender, _, packet) = self.take(from, to);
        let Packet::Append(append, ..) = packet else { panic!("no append: {packet:?}") };
        self.step(to, |host, now| host.raft.append_parked(now, sender, append));
    }

    fn take(&mut self, from: usize, to: usize) -> (Member, NodeId, Packet) {
        let between = |(sender, receiver, _): &(Member, NodeId, Packet)| {
            sender.id == id(from) && *receiver == id(to)
        };
        let place = self.mail.iter().position(between);
        let nothing = || panic!("nothing from n{from} to n{to}: {:#?}", self.trace);
        self.mail.remove(place.unwrap_or_else(nothing))
    }

    /// Everything arrives, and what it leads to, between those who are not `away`.
    pub fn settle_without(&mut self, away: &[usize]) {
        while !self.mail.is_empty() {
            self.arrive(away);
        }
    }

    /// The oldest message of all arrives, unless it is to or from somebody who is `away`.
    fn arrive(&mut self, away: &[usize]) {
        let (from, to, packet) = self.mail.remove(0);
        let gone = |node: NodeId| away.contains(&node.place()) || node.place() >= self.hosts.len();
        if !gone(from.id) && !gone(to) {
            self.step(to.place(), |host, now| host.take(now, from, packet, None));
        }
    }

    pub fn settle(&mut self) {
        self.settle_without(&[]);
    }

    /// Node `at` stands until it leads, heard by those who are not `away`.
    pub fn elect(&mut self, at: usize, away: &[usize]) {
        self.timeout(at);
        self.settle_without(away);
        let leads = self.hosts[at].raft.role() == raft_core::Role::Leader;
        assert!(leads, "n{at} is not elected: {:#?}", self.trace);
    }

    /// Node `at` stands, again and again, until it leads; whatever is on its way then is lost.
    pub fn win(&mut self, at: usize, away: &[usize]) {
        let leads = |post: &Self| post.hosts[at].raft.role() == raft_core::Role::Leader;
        for _ in 0..4 {
            self.timeout(at);
            while !self.mail.is_empty() && !leads(self) {
                self.arrive(away);
            }
            if leads(self) {
                self.mail.clear();
                return;
            }
        }
        panic!("n{at} does not win");
    }

    /// The process ends and begins anew with what its disk holds, or, in another life, with nothing.
    pub fn restart(&mut self, at: usize, life: Option<Member>) {
        let voters = self.hosts[at].raft.configuration_at(LogIndex::ZERO).clone();
        let disk = self.hosts[at].disk.clone();
        let slow = disk.slow;
        let disk = if life.is_some() { Disk { slow, ..Disk::default() } } else { disk };
        let me = life.unwrap_or(self.hosts[at].raft.me());
        self.hosts[at] = Host::with(me, voters, settings(), disk, at as u64, self.now);
    }

    /// The lines since the last call.
    pub fn drain_trace(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }

    /// Writes of node `at` complete: `count` of them.
    pub fn finish_writes(&mut self, at: usize, count: usize) {
        let events = self.hosts[at].finish_writes(self.now, count);
        self.file(at, events);
        self.step(at, |_, _| ());
    }

    fn collect(&mut self, at: usize) {
        let events = self.hosts[at].drain(self.now);
        self.file(at, events);
    }

    fn file(&mut self, at: usize, events: Vec<Event>) {
        let me = self.hosts[at].raft.me();
        for event in events {
            self.trace.push(format!("{} {}", me.id, line(&event)));
            match event {
                Event::Did(_) => {}
                Event::Sent(to, packet) => self.mail.push((me, to, packet)),
                Event::SentAll(all, packet) => {
                    self.mail.extend(all.into_iter().map(|to| (me, to, packet.clone())));
                }
            }
        }
    }
}

/// A doing in a line, its doer left out.
fn line(event: &Event) -> String {
    match event {
        Event::Sent(to, packet) => format!("-> {to} {}", content(packet)),
        Event::SentAll(all, packet) => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("-> {} {}", all.join(" "), content(packet))
        }
        Event::Did(Output::Persist { what: Persist::Vote { term, vote }, .. }) => {
            let vote = vote.map_or("nobody".into(), |member| member.id.to_string());
            format!("writes {term}, vote for {vote}")
        }
        Event::Did(Output::Persist { what: Persist::Entries { from, to }, .. }) => {
            format!("writes {from} to {to}")
        }
        Event::Did(Output::Truncated { from }) => format!("cuts {from}"),
        Event::Did(Output::Committed(index)) => format!("commits {index}"),
        Event::Did(Output::BecameLeader { term, first }) => format!("leads {term} from {first}"),
        Event::Did(Output::BecameFollower { term, leader }) => {
            format!("follows {} in {term}", leader.map_or("nobody".into(), |id| id.to_string()))
        }
        Event::Did(Output::Send { .. } | Output::Append { .. }) => unreachable!("these are sent"),
    }
}

fn content(packet: &Packet) -> String {
    match packet {
        Packet::Append(append, entries, _) => self::append(append, entries),
        Packet::Message(Message::RequestVote { term, pre, transfer, last_index, last_term }) => {
            let pre = if *pre { "PreVote?" } else { "Vote?" };
            let transfer = if *transfer { " by order" } else { "" };
            format!("{pre} {term} log {last_index} {last_term}{transfer}")
        }
        Packet::Message(Message::Vote { term, pre, granted }) => {
            let pre = if *pre { "PreVote" } else { "Vote" };
            format!("{pre} {term} {}", if *granted { "yes" } else { "no" })
        }
        Packet::Message(Message::Append(_)) => unreachable!("appends have their own packet"),
        Packet::Message(Message::Ack { epoch, term, index, round }) => {
            format!("Ack {term} {index} {}{}", number(*round), of(*epoch))
        }
        Packet::Message(Message::Reject { term, previous_index, hint, round }) => {
            format!("Reject {term} after {previous_index}, try {hint} {}", number(*round))
        }
        Packet::Message(Message::TimeoutNow { term }) => format!("TimeoutNow {term}"),
        Packet::Message(Message::QuorumAck { epoch, term, index, set }) => {
            format!("QuorumAck {term} {index} {set}{}", of(*epoch))
        }
    }
}

fn append(append: &Append, entries: &[Entry<Number>]) -> String {
    let Append { epoch, term, previous_index, previous_term, commit, round, answer, .. } = append;
    let entries: String = entries.iter().map(|entry| format!(" {}", name(entry))).collect();
    let answer = if *answer { "" } else { " no-answer" };
    let round = number(*round);
    format!(
        "Append {term} {round} after {previous_index} {previous_term}:{entries} commit {commit}{}{answer}",
        of(*epoch)
    )
}

/// `5t2` is number 5, appended in term 2.
fn name(entry: &Entry<Number>) -> String {
    match entry.payload {
        Payload::NoOp => format!("no-op/{}", entry.term),
        Payload::Configuration => format!("configuration/{}", entry.term),
        Payload::Command(Number(number)) => format!("{number}/{}", entry.term),
    }
}

fn number(round: Round) -> String {
    format!("r{}", round.to_wire())
}

fn of(epoch: LogIndex) -> String {
    if epoch == LogIndex::ZERO { String::new() } else { format!(" epoch {epoch}") }
}
