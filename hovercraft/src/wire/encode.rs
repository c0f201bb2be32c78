//! From values to bytes, in a buffer of the caller's. Nothing is allocated.

use raft_core::entry::Entry;
use raft_core::ids::{LogIndex, Member, Term};
use raft_core::message::{Append, Message};
use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::{U16, U64};

use super::layout::{
    ANSWER, BODIES, CONFIGURATION, GRANTED, Kind, MEMORY, PLAIN, PRE, RawHead, TRANSFER, write_life,
};
use super::{
    BodyQuestion, Chunk, Forward, HEAD_LEN, Head, MAC_LEN, MacKey, NodeMessage, PACKET_MAX, Packet,
    VERSION, Wanted, Way, entries,
};
use crate::entry::Request;

/// Writes messages; every function returns how many bytes of the packet to send.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    key: Option<MacKey>,
}

/// An append being written: [`Self::entry`] for each, then [`Self::configuration`], then [`Self::body`], then
/// [`Self::finish`].
#[derive(Debug)]
pub struct AppendWriter<'a> {
    writer: Writer<'a>,
    raw: RawHead,
    /// Entries still to come.
    missing: u16,
    /// Where the bitmap of bodies stands, once there is one.
    bodies_at: Option<usize>,
    present: u32,
}

/// A packet being filled from the front.
#[derive(Debug)]
struct Writer<'a> {
    packet: &'a mut Packet,
    len: usize,
    key: Option<&'a MacKey>,
}

impl Encoder {
    /// With `key` every message gets a MAC.
    #[must_use]
    pub fn new(key: Option<MacKey>) -> Self {
        Self { key }
    }

    /// The key, for [`super::parse()`].
    #[must_use]
    pub fn key(&self) -> Option<&MacKey> {
        self.key.as_ref()
    }

    /// A message of raft-core's without entries; an append of none, too.
    ///
    /// # Panics
    ///
    /// On an append with entries ([`Self::append`] writes it), and on a `QuorumAck`, which only an aggregator sends.
    pub fn raft(&self, packet: &mut Packet, head: &Head, message: &Message) -> usize {
        let (kind, raw) = match *message {
            Message::RequestVote { term, pre, transfer, last_index, last_term } => {
                let raw = RawHead {
                    flags: U16::new(flag(pre, PRE) | flag(transfer, TRANSFER)),
                    term: U64::new(term.to_wire()),
                    previous_index: U64::new(last_index.to_wire()),
                    previous_term: U64::new(last_term.to_wire()),
                    ..RawHead::default()
                };
                (Kind::RequestVote, raw)
            }
            Message::Vote { term, pre, granted } => {
                let flags = U16::new(flag(pre, PRE) | flag(granted, GRANTED));
                (Kind::Vote, RawHead { flags, ..of_term(term) })
            }
            Message::Ack { epoch, term, index, round } => {
                let raw = RawHead {
                    epoch: U64::new(epoch.to_wire()),
                    previous_index: U64::new(index.to_wire()),
                    round: U64::new(round.to_wire()),
                    ..of_term(term)
                };
                (Kind::Ack, raw)
            }
            Message::Reject { term, previous_index, hint, round } => {
                let raw = RawHead {
                    previous_index: U64::new(previous_index.to_wire()),
                    commit: U64::new(hint.to_wire()),
                    round: U64::new(round.to_wire()),
                    ..of_term(term)
                };
                (Kind::Reject, raw)
            }
            Message::TimeoutNow { term } => (Kind::TimeoutNow, of_term(term)),
            Message::Append(append) => return self.append(packet, head, &append).finish(),
            Message::QuorumAck { .. } => panic!("only an aggregator sends a quorum's ack"),
        };
        self.begin(packet).finish(kind, head, raw)
    }

    /// Begins an append; `append.count` entries are to follow.
    pub fn append<'a>(
        &'a self,
        packet: &'a mut Packet,
        head: &Head,
        append: &Append,
    ) -> AppendWriter<'a> {
        let raw = RawHead {
            count: U16::new(append.count),
            flags: U16::new(flag(append.answer, ANSWER)),
            epoch: U64::new(append.epoch.to_wire()),
            term: U64::new(append.term.to_wire()),
            previous_index: U64::new(append.previous_index.to_wire()),
            previous_term: U64::new(append.previous_term.to_wire()),
            first_of_term: U64::new(append.first_of_term.to_wire()),
            commit: U64::new(append.commit.to_wire()),
            round: U64::new(append.round.to_wire()),
            ..with_head(head)
        };
        let (missing, writer) = (append.count, self.begin(packet));
        AppendWriter { writer, raw, missing, bodies_at: None, present: 0 }
    }

    /// An aggregator's word: `voters` as in [`super::Aggregate`], one applied index for each configured voter.
    pub fn aggregate(
        &self,
        packet: &mut Packet,
        head: &Head,
        said: &super::Aggregate<'_>,
    ) -> usize {
        let mut writer = self.begin(packet);
        let mut count = 0;
        for index in said.applied.iter() {
            writer.put(&index.to_wire().to_be_bytes());
            count += 1;
        }
        let raw = RawHead {
            count: U16::new(count),
            epoch: U64::new(said.epoch.to_wire()),
            previous_index: U64::new(said.voters.into()),
            first_of_term: U64::new(said.first_of_term.to_wire()),
            commit: U64::new(said.index.to_wire()),
            ..of_term(said.term)
        };
        writer.finish(Kind::Aggregate, head, raw)
    }

    /// Asks for the first of `wanted` that fit, at most [`super::body::WANTED_MAX`]; at least one, which `question` is about.
    pub fn body_request(
        &self,
        packet: &mut Packet,
        head: &Head,
        question: &BodyQuestion,
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> usize {
        let mut writer = self.begin(packet);
        let mut count = 0;
        for wanted in wanted.into_iter().take(super::body::WANTED_MAX) {
            writer.put(wanted.raw().as_bytes());
            count += 1;
        }
        assert!(count > 0, "a request for no body");
        let raw = RawHead { count: U16::new(count), ..of_question(question) };
        writer.finish(Kind::BodyRequest, head, raw)
    }

    /// The answer of a node that has not got `wanted` (HC1d).
    pub fn no_body(
        &self,
        packet: &mut Packet,
        head: &Head,
        question: &BodyQuestion,
        wanted: &Wanted,
    ) -> usize {
        let mut writer = self.begin(packet);
        writer.put(wanted.raw().as_bytes());
        writer.finish(Kind::NoBody, head, of_question(question))
    }

    /// One chunk of a body.
    pub fn body_chunk(&self, packet: &mut Packet, head: &Head, chunk: &Chunk<'_>) -> usize {
        let mut writer = self.begin(packet);
        writer.put(chunk.raw().as_bytes());
        writer.put(chunk.bytes);
        let raw = RawHead { flags: U16::new(flag(chunk.plain, PLAIN)), ..RawHead::default() };
        writer.finish(Kind::BodyChunk, head, raw)
    }

    /// One chunk of a request for the leader.
    pub fn forward(&self, packet: &mut Packet, head: &Head, forward: &Forward<'_>) -> usize {
        let mut writer = self.begin(packet);
        writer.put(forward.raw().as_bytes());
        writer.put(forward.body.bytes);
        let flags = U16::new(flag(forward.body.plain, PLAIN));
        writer.finish(Kind::Forward, head, RawHead { flags, ..RawHead::default() })
    }

    /// A question, fresh by its nonce.
    pub fn question(&self, packet: &mut Packet, head: &Head, nonce: u64) -> usize {
        let raw = RawHead { round: U64::new(nonce), ..RawHead::default() };
        self.begin(packet).finish(Kind::Question, head, raw)
    }

    /// The answer: `lives` ascending by id, `memory` as in [`super::Report`].
    pub fn report(
        &self,
        packet: &mut Packet,
        head: &Head,
        nonce: u64,
        memory: bool,
        lives: &[Member],
        configuration: Option<&[u8]>,
    ) -> usize {
        assert!(lives.is_sorted_by(|a, b| a.id < b.id), "lives ascend by id");
        let mut writer = self.begin(packet);
        let mut count = 0;
        for &member in lives {
            writer.put(&write_life(member));
            count += 1;
        }
        if let Some(bytes) = configuration {
            writer.put_counted(bytes);
        }
        let flags = flag(memory, MEMORY) | flag(configuration.is_some(), CONFIGURATION);
        let raw = RawHead {
            count: U16::new(count),
            flags: U16::new(flags),
            round: U64::new(nonce),
            ..RawHead::default()
        };
        writer.finish(Kind::Report, head, raw)
    }

    /// The applied index alone, as the head has it.
    pub fn applied(&self, packet: &mut Packet, head: &Head, term: Term) -> usize {
        self.begin(packet).finish(Kind::Applied, head, of_term(term))
    }

    /// Every member acknowledged `index`.
    pub fn held_by_all(
        &self,
        packet: &mut Packet,
        head: &Head,
        term: Term,
        index: LogIndex,
    ) -> usize {
        let raw = RawHead { previous_index: U64::new(index.to_wire()), ..of_term(term) };
        self.begin(packet).finish(Kind::HeldByAll, head, raw)
    }

    /// Any message as parsed, the same bytes again.
    pub fn message(&self, packet: &mut Packet, head: &Head, message: &NodeMessage<'_>) -> usize {
        match *message {
            NodeMessage::Raft(message) => self.raft(packet, head, &message),
            NodeMessage::Append { append, entries, configuration, bodies } => {
                let mut writer = self.append(packet, head, &append);
                for entry in entries.iter() {
                    writer.entry(&entry);
                }
                if let Some(bytes) = configuration {
                    writer.configuration(bytes);
                }
                for (place, body) in bodies.iter().enumerate() {
                    if let Some(body) = body {
                        assert!(writer.body(place, body), "what was parsed fits");
                    }
                }
                writer.finish()
            }
            NodeMessage::Aggregate(ref said) => self.aggregate(packet, head, said),
            NodeMessage::BodyRequest { ref question, list } => {
                self.body_request(packet, head, question, list.iter())
            }
            NodeMessage::NoBody { ref question, ref wanted } => {
                self.no_body(packet, head, question, wanted)
            }
            NodeMessage::BodyChunk(ref chunk) => self.body_chunk(packet, head, chunk),
            NodeMessage::Forward(ref forward) => self.forward(packet, head, forward),
            NodeMessage::Question { nonce } => self.question(packet, head, nonce),
            NodeMessage::Report(report) => {
                let mut lives = [Member::default(); 16];
                let mut count = 0;
                for (place, life) in lives.iter_mut().zip(report.lives.iter()) {
                    *place = life;
                    count += 1;
                }
                let lives = &lives[..count];
                self.report(packet, head, report.nonce, report.memory, lives, report.configuration)
            }
            NodeMessage::Applied { term } => self.applied(packet, head, term),
            NodeMessage::HeldByAll { term, index } => self.held_by_all(packet, head, term, index),
        }
    }

    fn begin<'a>(&'a self, packet: &'a mut Packet) -> Writer<'a> {
        Writer { packet, len: HEAD_LEN, key: self.key.as_ref() }
    }
}

impl AppendWriter<'_> {
    /// The next entry.
    ///
    /// # Panics
    ///
    /// When there are more than the append's count says, or than fit.
    pub fn entry(&mut self, entry: &Entry<Request>) {
        assert!(self.missing > 0, "more entries than the append counts");
        self.missing -= 1;
        self.writer.put(&entries::write(entry));
    }

    /// The configuration whose entry was the last one.
    ///
    /// # Panics
    ///
    /// When it does not fit: an append with a configuration of the largest size has room for one entry.
    pub fn configuration(&mut self, bytes: &[u8]) {
        assert!(self.missing == 0 && self.bodies_at.is_none(), "entries, configuration, bodies");
        self.writer.put_counted(bytes);
        self.raw.flags = U16::new(self.raw.flags.get() | CONFIGURATION);
    }

    /// Puts the body of entry `place` (0 = the first one carried) into the append; places ascend. False when it does not
    /// fit: it has to be there before the append.
    pub fn body(&mut self, place: usize, body: &[u8]) -> bool {
        assert!(self.missing == 0 && self.present >> place == 0, "bodies follow entries, in order");
        let bitmap_len = if self.bodies_at.is_none() { size_of::<u32>() } else { 0 };
        if self.writer.room() < bitmap_len + body.len() {
            return false;
        }
        if self.bodies_at.is_none() {
            self.bodies_at = Some(self.writer.len);
            self.writer.put(&[0; size_of::<u32>()]);
            self.raw.flags = U16::new(self.raw.flags.get() | BODIES);
        }
        self.present |= 1 << place;
        self.writer.put(body);
        true
    }

    /// Bytes left for a configuration or bodies.
    #[must_use]
    pub fn room(&self) -> usize {
        self.writer.room()
    }

    /// All is in; returns how many bytes to send.
    ///
    /// # Panics
    ///
    /// When entries are missing.
    pub fn finish(self) -> usize {
        assert_eq!(self.missing, 0, "the append counts more entries");
        if let Some(at) = self.bodies_at {
            self.writer.packet[at..at + 4].copy_from_slice(&self.present.to_be_bytes());
        }
        self.writer.seal(Kind::Append, self.raw)
    }
}

impl Writer<'_> {
    fn room(&self) -> usize {
        let mac = if self.key.is_some() { MAC_LEN } else { 0 };
        PACKET_MAX - mac - self.len
    }

    fn put(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "{} bytes in {} left", bytes.len(), self.room());
        self.packet[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn put_counted(&mut self, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.put(&len.to_be_bytes());
        self.put(bytes);
    }

    fn finish(self, kind: Kind, head: &Head, raw: RawHead) -> usize {
        let own = with_head(head);
        let raw = RawHead {
            way: own.way,
            sender: own.sender,
            cluster_id: own.cluster_id,
            log_time: own.log_time,
            incarnation: own.incarnation,
            applied: own.applied,
            state_hash: own.state_hash,
            ..raw
        };
        self.seal(kind, raw)
    }

    /// Head and MAC.
    fn seal(mut self, kind: Kind, raw: RawHead) -> usize {
        let raw = RawHead { r2p2: kind.r2p2(), version: VERSION, kind: kind as u8, ..raw };
        debug_assert_eq!(kind.check(&raw), Ok(()), "a receiver would refuse this {kind:?}");
        self.packet[..HEAD_LEN].copy_from_slice(raw.as_bytes());
        if let Some(key) = self.key {
            let mac = key.mac(&self.packet[..self.len]);
            self.put_mac(mac);
        }
        self.len
    }

    fn put_mac(&mut self, mac: [u8; MAC_LEN]) {
        self.packet[self.len..self.len + MAC_LEN].copy_from_slice(&mac);
        self.len += MAC_LEN;
    }
}

fn flag(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

fn of_question(question: &BodyQuestion) -> RawHead {
    RawHead {
        previous_index: U64::new(question.index.to_wire()),
        round: U64::new(question.number),
        ..of_term(question.term)
    }
}

fn of_term(term: Term) -> RawHead {
    RawHead { term: U64::new(term.to_wire()), ..RawHead::default() }
}

fn with_head(head: &Head) -> RawHead {
    RawHead {
        way: match head.way {
            Way::Direct => 0,
            Way::Switch => 1,
        },
        sender: head.sender.id.number(),
        cluster_id: U64::new(head.cluster_id),
        log_time: U64::new(head.log_time_us),
        incarnation: U64::new(head.sender.incarnation.to_wire()),
        applied: U64::new(head.applied.to_wire()),
        state_hash: U64::new(head.state_hash),
        ..RawHead::default()
    }
}
