//! What other nodes send, and appends with their missing bodies (design HC1, HC11, HC13).

use core::net::SocketAddr;

use r2p2::Instant;
use raft_core::entry::{Configuration, Entry, Payload};
use raft_core::ids::{LogIndex, Member};
use raft_core::message::{Append, Message};

use super::{Arrival, Mode, Replica};
use crate::entry::Request;
use crate::parked::ParkedAppend;
use crate::spans::Span;
use crate::store::BodyKey;
use crate::wire::{self, Bodies, GroupConfig, Head, NodeMessage, WireError, body_hash};

impl Replica {
    pub(super) fn receive_node(&mut self, now: Instant, arrival: &Arrival<'_>) {
        let Arrival { from, not_before, bytes, .. } = *arrival;
        let (head, message) = match wire::parse(bytes, self.encoder.key()) {
            Ok(parsed) => parsed,
            Err(error) => return self.count_wire_error(from, error),
        };
        if head.sender.id == self.settings.me {
            return self.counters.own_packets += 1;
        }
        match message {
            NodeMessage::Question { nonce } => return self.on_question(now, head.sender, nonce),
            NodeMessage::Report(report) => return self.on_report(now, &head, &report),
            _ => {}
        }
        if self.core.is_none() || head.cluster_id != self.cluster_id {
            return self.counters.other_cluster += 1;
        }
        self.heard.hear(head.log_time_us);
        match message {
            NodeMessage::Raft(message) => self.on_raft(now, &head, message),
            NodeMessage::Append { append, entries, configuration, bodies } => {
                self.heard.hear_leader(append.term, head.log_time_us);
                let configuration = configuration.map(wire::configuration::decode).transpose();
                let Ok(configuration) = configuration else {
                    return self.counters.bad_packets += 1;
                };
                let mut scratch = core::mem::take(&mut self.scratch);
                scratch.clear();
                scratch.extend(entries.iter());
                self.mark_inline(&mut scratch);
                self.take_inline(now, &scratch, &bodies);
                let arrived = ParkedAppend {
                    from: head.sender,
                    append,
                    // HC3c: what waited while this process stood still came before it was read.
                    arrived: not_before.min(now),
                    entries: scratch,
                    configuration,
                };
                self.scratch = self.on_append(now, arrived);
            }
            NodeMessage::BodyRequest { question, list } => {
                for wanted in list.iter() {
                    self.give_body(now, head.sender, &question, &wanted);
                }
            }
            NodeMessage::NoBody { question, wanted } => self.on_no_body(&head, &question, &wanted),
            NodeMessage::BodyChunk(chunk) => self.on_chunk(now, &chunk),
            NodeMessage::Forward(forward) => self.on_forward(now, not_before, &forward),
            NodeMessage::Applied { term } => {
                if self.core.as_ref().is_some_and(|core| core.term() == term) {
                    self.counters.reports_received += 1;
                    self.report_of(head.sender, head.applied);
                    self.report_own();
                }
            }
            NodeMessage::HeldByAll { term, index } => self.hear_held(head.sender.id, term, index),
            NodeMessage::Aggregate(_) => self.counters.unexpected_packets += 1,
            NodeMessage::Question { .. } | NodeMessage::Report(_) => {}
        }
    }

    fn count_wire_error(&mut self, from: SocketAddr, error: WireError) {
        match error {
            WireError::Mac => self.counters.bad_mac += 1,
            WireError::Version(version) => {
                self.counters.other_version += 1;
                self.other_version = Some((from, version));
            }
            _ => self.counters.bad_packets += 1,
        }
    }

    fn on_raft(&mut self, now: Instant, head: &Head, message: Message) {
        let Some(core) = &mut self.core else { return };
        let term = match message {
            Message::Ack { term, .. } => {
                self.counters.acks_received += 1;
                Some(term)
            }
            Message::Reject { term, .. } => Some(term),
            _ => None,
        };
        let (matched, rounds) = (core.match_index(head.sender.id), core.counters().rounds_answered);
        core.receive(now, head.sender, message);
        if core.counters().rounds_answered > rounds
            && let Message::Ack { round, .. } | Message::Reject { round, .. } = message
        {
            let (newest, opened) = core.newest_round();
            if round == newest {
                self.took(Span::RoundTrip(head.sender.id), opened);
            }
        }
        let Some(core) = &mut self.core else { return };
        let news = core.match_index(head.sender.id) > matched;
        self.counters.append_acks_received += u64::from(news && term.is_some());
        let reports = term == Some(core.term());
        self.settle(now, now);
        if reports {
            self.report_of(head.sender, head.applied);
            if !news {
                self.report_own();
            }
        }
    }

    /// HC4: how far a member, in the life that the configuration names, applied.
    fn report_of(&mut self, sender: Member, applied: LogIndex) {
        let named = self.core.as_ref().is_some_and(|core| core.configuration().names(sender));
        if named {
            self.report_applied(sender.id, applied);
        }
    }

    /// Handles an append, fresh or parked before; returns its list of entries for further use.
    fn on_append(
        &mut self,
        now: Instant,
        arrived: ParkedAppend<GroupConfig>,
    ) -> Vec<Entry<Request>> {
        let ParkedAppend { from, append, arrived: at, entries, configuration } = arrived;
        let Some(core) = &self.core else { return entries };
        if append.term < core.term() {
            self.feed(now, at, from, Append { count: 0, ..append }, &[], None);
            return entries;
        }
        let beyond = append.previous_index > core.last_index();
        let last = core.last_index();
        if beyond && self.parked.covers(append.term, last, append.previous_index) {
            // It continues what is parked: no mismatch (HC1a). What is known to match answers for now.
            let rest = entries.iter().copied();
            self.parked.park(from, append, at, rest, configuration);
            self.answer_with_verified(now, at, from, append);
            self.want_missing(now, from, append.previous_index, &entries);
            return entries;
        }
        let present = self.present(append.previous_index, &entries);
        let cut = Append { count: u16::try_from(present).unwrap_or(u16::MAX), ..append };
        let whole = present == entries.len();
        let carried = if whole { configuration.as_ref() } else { None };
        self.feed(now, at, from, cut, &entries[..present], carried);
        if !whole {
            self.park_rest(now, at, from, append, present, &entries, configuration);
        }
        entries
    }

    /// How many of the entries, from the first on, are in the log already or have their body here (HC1a).
    fn present(&self, previous: LogIndex, entries: &[Entry<Request>]) -> usize {
        let Some(core) = &self.core else { return 0 };
        let (mut index, mut agrees) = (previous, true);
        let missing = entries.iter().position(|entry| {
            index = index.next();
            // Behind the first entry that differs the log will be cut, whatever a forged append says of later ones.
            agrees = index <= core.commit() || (agrees && core.term_at(index) == Some(entry.term));
            !agrees && key_of(entry).is_some_and(|key| self.store.find_to_bind(&key).is_none())
        });
        missing.unwrap_or(entries.len())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one append")]
    fn park_rest(
        &mut self,
        now: Instant,
        arrived: Instant,
        from: Member,
        append: Append,
        present: usize,
        entries: &[Entry<Request>],
        configuration: Option<Configuration<GroupConfig>>,
    ) {
        let Some(core) = &self.core else { return };
        let cut_at = append.previous_index.plus(present as u64);
        let cut_term = present.checked_sub(1).map_or(append.previous_term, |at| entries[at].term);
        // A refused append is not parked: its entries may be of another history.
        let fits = core.term() == append.term && core.last_index() >= cut_at;
        if !fits || (core.term_at(cut_at) != Some(cut_term) && cut_at > core.commit()) {
            return;
        }
        let rest = &entries[present..];
        let append = Append {
            previous_index: cut_at,
            previous_term: cut_term,
            count: u16::try_from(rest.len()).unwrap_or(u16::MAX),
            ..append
        };
        self.counters.appends_parked += 1;
        self.parked.park(from, append, arrived, rest.iter().copied(), configuration);
        self.want_missing(now, from, cut_at, rest);
    }

    /// The round, the commit and the epoch of an append that cannot be taken yet, on what is known to match.
    fn answer_with_verified(&mut self, now: Instant, at: Instant, from: Member, append: Append) {
        let Some(core) = &self.core else { return };
        if core.term() != append.term {
            return;
        }
        let verified = core.verified();
        let Some(term) = core.term_at(verified) else { return };
        let head = Append { previous_index: verified, previous_term: term, count: 0, ..append };
        self.feed(now, at, from, head, &[], None);
    }

    fn feed(
        &mut self,
        now: Instant,
        arrived: Instant,
        from: Member,
        append: Append,
        entries: &[Entry<Request>],
        configuration: Option<&Configuration<GroupConfig>>,
    ) {
        self.enter(append.term);
        let Some(core) = &mut self.core else { return };
        core.append(now, from, append, entries, configuration);
        for entry in entries {
            if let Payload::Command(request) = entry.payload {
                self.heard.hear(request.stamp_us);
            }
        }
        self.settle(now, arrived);
    }

    /// Bodies came: parked appends go on as if they came at this moment (HC1a).
    pub(super) fn unpark(&mut self, now: Instant) {
        while let Some(core) = &self.core {
            let Some(parked) = self.parked.take_ready(core.last_index()) else { return };
            let previous = parked.append.previous_index;
            if !parked.entries.is_empty() && self.present(previous, &parked.entries) == 0 {
                // What was here when it was parked may have expired since.
                self.want_missing(now, parked.from, previous, &parked.entries);
                return self.parked.put_back(parked);
            }
            let entries = self.on_append(now, parked);
            self.parked.done(entries);
        }
    }

    /// Tries parked appends again, now and then: a body that they had may have expired. Without any, no body is missed.
    pub(super) fn look_after_parked(&mut self, now: Instant) {
        if self.parked.is_empty() {
            self.recovery.clear(&mut self.pool);
        } else if now >= self.parked_check {
            self.parked_check = now + LOOK_AFTER_PARKED;
            self.unpark(now);
        }
    }

    /// Bodies that travelled with their entries (mode `raft`).
    fn take_inline(&mut self, now: Instant, entries: &[Entry<Request>], bodies: &Bodies<'_>) {
        for (entry, body) in entries.iter().zip(bodies.iter()) {
            let (Some(key), Some(body)) = (key_of(entry), body) else { continue };
            if self.store.find(&key).is_some() || body_hash(&self.hash_key, body) != key.hash {
                continue;
            }
            self.counters.body_bytes_copied += body.len() as u64;
            if let Some(body) = self.pool.copy(body).or_else(|| {
                self.store.evict_kept(&mut self.pool);
                self.pool.copy(body)
            }) {
                self.take_body(now, key, body);
            }
        }
    }

    fn mark_inline(&self, entries: &mut [Entry<Request>]) {
        if self.settings.mode != Mode::Raft {
            return;
        }
        for entry in entries {
            if let Payload::Command(request) = &mut entry.payload {
                request.inline = is_inline(request.len);
            }
        }
    }
}

/// How often parked appends are tried again.
const LOOK_AFTER_PARKED: Instant = Instant::from_millis(10);

/// Whether mode `raft` sends a body of this length inside its append.
pub(super) fn is_inline(len: u32) -> bool {
    len as usize <= super::ordering::INLINE_MAX
}

/// The body that an entry names.
pub(super) fn key_of(entry: &Entry<Request>) -> Option<BodyKey> {
    match entry.payload {
        Payload::Command(request) => Some(BodyKey { id: request.id, hash: request.hash }),
        Payload::NoOp | Payload::Configuration => None,
    }
}
