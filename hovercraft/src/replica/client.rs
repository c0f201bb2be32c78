//! What clients send: admission, reassembly, repetitions, queries (design HC6d, HC7d, HC8, HC10).

use core::net::SocketAddr;

use planted::Plant;
use r2p2::Instant;
use r2p2::answer::{self, AnswerForm};
use r2p2::buffer::Pool;
use r2p2::drops::DropReason;
use r2p2::header::{MessageKind, Place, Policy};
use r2p2::packet::Packet;
use r2p2::reassembly::{Arrived, Progress, Request as Incoming};
use r2p2::refusal::{Reason, Refusal};
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, NodeId};

use super::{Mode, Replica};
use crate::command::{AnswerTo, Command, WANTED_MAX};
use crate::entry::EntryKind;
use crate::log_meta::Unapplied;
use crate::spans::Span;
use crate::store::{BodyKey, Origin};
use crate::table::{Asked, Kept, Known};
use crate::trace::Phase;
use crate::wire::body_hash;

/// A packet from outside, as the back end brought it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether it came to the group's address; else to this node's own.
    pub group: bool,
    /// When it was surely not yet waiting here (HC8).
    pub not_before: Instant,
    /// UDP payload.
    pub bytes: &'a [u8],
}

/// What the tables say of a request before it is ordered.
pub(super) enum Judged {
    /// Nothing that speaks against it.
    Orderable,
    /// It was applied.
    Applied(Kept),
    /// Its client does not ask about it any more.
    Forgotten,
    /// There is no room for its id (HC7c).
    Full,
}

impl Replica {
    pub(super) fn receive_client(&mut self, now: Instant, arrival: &Arrival<'_>) {
        let packet = match Packet::parse(arrival.bytes) {
            Ok(packet) => packet,
            Err(_) => return self.counters.bad_packets += 1,
        };
        match packet.header.kind {
            MessageKind::Request => self.on_request_packet(now, arrival, &packet),
            MessageKind::Ack => self.on_packets_wanted(arrival, &packet),
            _ => self.counters.unexpected_packets += 1,
        }
    }

    fn on_request_packet(&mut self, now: Instant, arrival: &Arrival<'_>, packet: &Packet<'_>) {
        self.counters.request_packets += 1;
        if !self.takes_requests() {
            self.counters.not_standing += 1;
            return;
        }
        let client = ClientAddress::from(arrival.from);
        let first = matches!(packet.header.place, Place::First { .. });
        let lone = first && !packet.header.place.is_single() && packet.extension.is_none();
        let leads = self.leads();
        // HC6d: a lone plain first packet to the group is the leader's; the others recover the body.
        if lone && arrival.group && !leads {
            return;
        }
        if first && leads && self.is_overloaded() {
            self.counters.refused_overload += 1;
            return self.refuse(form_of(packet), arrival.from, Reason::Overload);
        }
        if first {
            self.trace.record(Phase::Received, LogIndex::ZERO, &id_of(&form_of(packet), client));
        }
        let arrived = Arrived { now, not_before: arrival.not_before, from: client };
        let progress = self.reassembly.request(arrived, packet, &mut self.pool);
        if matches!(progress, Progress::Whole(_) | Progress::Partial) {
            self.counters.body_bytes_copied += packet.payload.len() as u64;
        }
        match progress {
            Progress::Whole(request) => {
                if !packet.header.place.is_single() {
                    self.took(Span::Complete, request.age_from);
                }
                self.on_request(now, request, arrival.group);
            }
            Progress::Partial | Progress::Duplicate if lone => {
                let packet = answer::ack(packet.header.request_id);
                self.outbox.to_client(arrival.from, &[&packet]);
            }
            Progress::Partial | Progress::Duplicate => {}
            Progress::Dropped(DropReason::TooLong) => {
                let says = first || packet.header.place.is_last();
                if says && (!arrival.group || leads) {
                    self.refuse(form_of(packet), arrival.from, Reason::TooLarge);
                }
            }
            Progress::Dropped(_) => self.make_room(),
        }
    }

    /// A packet found no buffer, or did not fit: bodies kept for laggards make room for what comes (HC1d), the longest request
    /// included.
    pub(super) fn make_room(&mut self) {
        let longest = Pool::charge(self.limits.request_max as usize);
        let room = (self.pool.budget() / 16).max(longest);
        for _ in 0..EVICTED_AT_ONCE {
            let is_room = self.pool.used() + room <= self.pool.budget();
            if is_room || !self.store.evict_kept(&mut self.pool) {
                return;
            }
        }
    }

    /// HC6d, packets wanted: a leader that holds the first packet of a session's request asks its client for the rest.
    pub(super) fn ask_clients(&mut self, now: Instant) {
        if !self.asks_clients() {
            return;
        }
        let mut payload = [0; 4 * r2p2::ack::PAIRS_MAX];
        while let Some(ask) = self.reassembly.poll_wanted(now, &mut payload) {
            let head = answer::wanted(ask.session, ask.number);
            self.outbox.to_client(ask.to.socket(), &[&head, &payload[..ask.len]]);
            self.counters.packets_wanted += 1;
        }
    }

    /// Followers in mode `hovercraft` recover what they miss; an ask would only keep a partial message alive (HC6d).
    pub(super) fn asks_clients(&self) -> bool {
        self.leads() || self.settings.mode != Mode::Hovercraft
    }

    pub(super) fn is_overloaded(&self) -> bool {
        let Some(core) = &self.core else {
            return self.outstanding >= self.settings.commands_max;
        };
        let unapplied = core.last_index().since(self.applied);
        unapplied + u64::from(self.store.unordered()) >= self.settings.in_system_max.into()
    }

    /// A whole request is here.
    pub(super) fn on_request(&mut self, now: Instant, request: Incoming, group: bool) {
        self.trace.record(Phase::Complete, LogIndex::ZERO, &request.id);
        let asker = AnswerTo {
            client: request.client,
            plain: request.plain,
            session: request.id.session,
            number: request.id.number,
            asked: request.age_from,
        };
        if request.body.len() > self.limits.request_max as usize {
            self.pool.give_back(request.body);
            if !group || self.leads() {
                self.refuse_asker(&asker, Reason::TooLarge);
            }
            return;
        }
        let ordered = matches!(request.policy, Policy::Replicated | Policy::ReplicatedRead);
        if self.settings.mode == Mode::Unreplicated {
            self.execute_alone(now, request, asker);
        } else if ordered {
            self.take_in(now, request, asker, group);
        } else {
            self.query(request, asker, group);
        }
    }

    /// A request for the log.
    fn take_in(&mut self, now: Instant, request: Incoming, asker: AnswerTo, group: bool) {
        let Some(kind) = kind_of(&request) else {
            self.counters.bad_packets += 1;
            return self.pool.give_back(request.body);
        };
        let hash = body_hash(&self.hash_key, &request.body);
        let key = BodyKey { id: request.id, hash };
        let origin = Origin {
            client: request.client,
            plain: request.plain,
            kind,
            above_floor: request.above_floor,
            age_from: request.age_from,
            age_log_us: self.heard.passed_by(request.age_from),
        };
        // Mode `raft`: a follower passes on whatever it cannot answer itself, repetitions too.
        let passes_on = self.settings.mode == Mode::Raft && !self.leads();
        let found = if passes_on { None } else { self.store.find(&key) };
        if let Some(at) = found {
            let index = self.store.logged_at(at);
            if let Some(index) = index.filter(|&index| index > self.handed) {
                self.pool.give_back(request.body);
                if planted::is(Plant::Hc7dEarly) && self.leads() {
                    return self.refuse_asker(&asker, Reason::UnknownSession);
                }
                return self.note(index, asker);
            }
            if self.store.is_waiting(at) {
                self.store.client_copy(at, origin, false);
                self.pool.give_back(request.body);
                return;
            }
        }
        if kind != EntryKind::Read && self.answers_repetition(now, &key, &origin, asker, group) {
            self.pool.give_back(request.body);
            return;
        }
        if passes_on {
            return self.forward(now, request, &key, asker);
        }
        if let Some(at) = found {
            self.store.client_copy(at, origin, true);
            self.pool.give_back(request.body);
            return;
        }
        let wanted = self.recovery.is_wanted(&key);
        if wanted {
            self.recovery.forget(&key, &mut self.pool);
        }
        if self.store.insert(key, origin, request.body, true, &mut self.pool).is_ok() && wanted {
            self.unpark_due = true;
        }
    }

    /// HC7d: the entry is in the log and not yet handed over: the leader answers this asker, too, at its place.
    fn note(&mut self, index: LogIndex, asker: AnswerTo) {
        let leads = self.leads();
        if let Some(meta) = self.meta.get_mut(index).filter(|_| leads) {
            meta.asked_again = Some(asker);
            self.counters.repetitions_noted += 1;
        }
    }

    /// HC7c, d: whether the request is known to the tables, answered or not; only saves work, the decision falls at apply.
    fn answers_repetition(
        &mut self,
        now: Instant,
        key: &BodyKey,
        origin: &Origin,
        asker: AnswerTo,
        group: bool,
    ) -> bool {
        match self.judge(self.log_time_us(now), key, origin) {
            Judged::Orderable => return false,
            Judged::Applied(kept) => {
                let own_session = key.id.session != 0 && !group;
                if !self.leads() && !own_session {
                    return self.settings.mode != Mode::Raft;
                }
                self.answer_from_kept(kept, asker);
            }
            Judged::Forgotten => {}
            Judged::Full => {
                self.counters.refused_plain_full += 1;
                self.refuse_asker(&asker, Reason::Overload);
            }
        }
        true
    }

    /// What the tables say of a request at the stamp that it would get now (HC7c). Reads never enter them (HC5).
    pub(super) fn judge(&self, stamp_us: u64, key: &BodyKey, origin: &Origin) -> Judged {
        if origin.kind == EntryKind::Read {
            return Judged::Orderable;
        }
        let asked = Asked {
            id: key.id,
            kind: origin.kind,
            hash: key.hash,
            above_floor: origin.above_floor,
        };
        match self.table.lookup(&asked, stamp_us, &self.limits) {
            Known::Applied(_) if planted::is(Plant::R32) => Judged::Orderable,
            Known::Applied(kept) => Judged::Applied(kept),
            Known::BelowFloor => Judged::Forgotten,
            // Its opening may be in the log and not applied here: decided when applied.
            Known::New | Known::UnknownSession | Known::AboveWindow => {
                let full = key.id.session == 0 && self.leads() && self.is_full(stamp_us, origin);
                if full { Judged::Full } else { Judged::Orderable }
            }
        }
    }

    /// HC7c: whether the tables have no room for one more id without a session, or for one more session.
    fn is_full(&self, stamp_us: u64, origin: &Origin) -> bool {
        let Unapplied { plain, openings } = self.unapplied;
        let (plain, openings) = (plain as usize, openings as usize);
        self.table.is_plain_full(stamp_us, plain, &self.limits)
            || (origin.kind == EntryKind::Open
                && self.table.are_sessions_full(stamp_us, openings, &self.limits))
    }

    /// HC7d: while the application half has room; else the client asks again.
    pub(super) fn answer_from_kept(&mut self, kept: Kept, asker: AnswerTo) {
        if self.outstanding < self.settings.commands_max {
            self.counters.repetitions_answered += 1;
            self.command(Command::Kept { slot: kept.slot, index: kept.index, to: asker });
        }
    }

    /// HC: outside the log, answered from the state as it is, by a node that has caught up once.
    fn query(&mut self, request: Incoming, asker: AnswerTo, group: bool) {
        let alone = !group || self.leads();
        if !alone || !self.caught_up || self.outstanding >= self.settings.commands_max {
            self.counters.queries_ignored += 1;
            return self.pool.give_back(request.body);
        }
        self.counters.queries += 1;
        let body = request.body.clone();
        self.pool.give_back(request.body);
        self.command(Command::Query { body, to: asker, refuse: true });
    }

    /// A client asks for packets of a long answer again.
    fn on_packets_wanted(&mut self, arrival: &Arrival<'_>, packet: &Packet<'_>) {
        let wanted = packet.extension.filter(|extension| extension.flags.wanted);
        let parsed = r2p2::ack::Wanted::parse(packet.payload);
        let (Some(extension), Ok(parsed)) = (wanted, parsed) else {
            self.counters.bad_packets += 1;
            return;
        };
        let mut ranges = [(0, 0); WANTED_MAX];
        for (range, hole) in ranges.iter_mut().zip(parsed.ranges(r2p2::header::PACKETS_MAX)) {
            *range = (hole.start, hole.end - hole.start);
        }
        if self.outstanding < self.settings.commands_max {
            self.command(Command::Wanted {
                client: ClientAddress::from(arrival.from),
                session: extension.session,
                number: extension.number,
                ranges,
            });
        }
    }

    pub(super) fn refuse_asker(&mut self, asker: &AnswerTo, reason: Reason) {
        let form = AnswerForm::new(&asker.id(), asker.plain);
        self.refuse(form, asker.client.socket(), reason);
    }

    fn refuse(&mut self, form: AnswerForm, to: SocketAddr, reason: Reason) {
        self.refusals.count(reason);
        let id = id_of(&form, ClientAddress::from(to));
        let (nobody, detail) = (NodeId::default(), reason as u16);
        self.trace.record_more(Phase::Refused, LogIndex::ZERO, &id, nobody, detail);
        self.outbox.to_client(to, &[&form.refusal(Refusal::new(reason))]);
    }
}

/// Kept bodies that go at once when buffers run short.
const EVICTED_AT_ONCE: usize = 64;

/// None for flags that contradict each other or the session: no entry can say it, and nobody would take such an append (HC13).
fn kind_of(request: &Incoming) -> Option<EntryKind> {
    let in_session = request.id.session != 0;
    match (request.flags.opens, request.flags.closes) {
        (false, false) if request.policy == Policy::ReplicatedRead => Some(EntryKind::Read),
        (false, false) => Some(EntryKind::Write),
        (true, false) if !in_session && !request.plain => Some(EntryKind::Open),
        (false, true) if in_session => Some(EntryKind::Close),
        _ => None,
    }
}

fn id_of(form: &AnswerForm, client: ClientAddress) -> RequestId {
    match *form {
        AnswerForm::Plain { request_id } => RequestId::new(client, 0, request_id.into()),
        AnswerForm::Extended { session, number } => RequestId::new(client, session, number),
    }
}

fn form_of(packet: &Packet<'_>) -> AnswerForm {
    match packet.extension {
        None => AnswerForm::Plain { request_id: packet.header.request_id },
        Some(extension) => {
            AnswerForm::Extended { session: extension.session, number: extension.number }
        }
    }
}
