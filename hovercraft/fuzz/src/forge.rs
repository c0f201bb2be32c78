//! Well-formed packets of anybody's: messages of every kind between nodes, under the right cluster id and with the right MAC, and
//! packets of clients. Their numbers lie mostly beside those of the node that is to get them.

use hovercraft::entry::{EntryKind, Request};
use hovercraft::limits::Limits;
use hovercraft::wire::{
    Aggregate, AppliedList, BodyHashKey, BodyQuestion, CHUNK_LEN, Chunk, ENTRIES_MAX, Encoder,
    Forward, Head, PACKET_MAX, Packet, Wanted, Way, body_hash, chunks_of, configuration,
};
use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::Policy;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Configuration, Entry, Payload};
use raft_core::ids::{LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};

use crate::draw::Draw;
use crate::host::{LIMIT_MAX, group, limits};

/// What a forger knows.
#[derive(Debug)]
pub(crate) struct Forger<'a> {
    pub(crate) encoder: &'a Encoder,
    pub(crate) hash_key: BodyHashKey,
    pub(crate) cluster_id: u64,
    /// The members in their lives.
    pub(crate) lives: &'a [Member],
    pub(crate) term: u64,
    /// Indexes: commit, applied, last, …
    pub(crate) indexes: &'a [u64],
    pub(crate) log_time_us: u64,
    /// Sessions that were opened.
    pub(crate) sessions: &'a [u64],
}

/// A request that any number of packets speak of: equal draws give equal ones.
struct Named {
    id: RequestId,
    client: ClientAddress,
    plain: bool,
    kind: EntryKind,
    above_floor: u16,
    body: Vec<u8>,
}

/// Bodies of requests: what the service reads, and what it does not; of one chunk and of several.
fn body(which: usize) -> Vec<u8> {
    let put = |key: &[u8], value: &[u8]| {
        let mut bytes = Vec::new();
        let encoded = kv::Request::Put { key, value }.encode(&mut bytes);
        encoded.map_or_else(|_| Vec::new(), |()| bytes)
    };
    match which {
        0 => Vec::new(),
        1 => put(b"a", b"1"),
        2 => put(b"a", &[b'v'; 1_270]),
        3 => put(b"b", &[b'w'; 3_000]),
        4 => put(b"c", &[b'x'; 9_000]),
        _ => vec![0xEE; 17],
    }
}

impl Forger<'_> {
    fn index(&self, draw: &mut Draw<'_>) -> LogIndex {
        LogIndex::from_wire(draw.wire_number(self.indexes))
    }

    fn term(&self, draw: &mut Draw<'_>) -> Term {
        // Mostly the present one: every other makes the message an old one, or ends a reign.
        let present = draw.u8() < 180;
        Term::from_wire(if present { self.term } else { draw.number(&[self.term]) })
    }

    fn life(&self, draw: &mut Draw<'_>) -> Member {
        let mut life = draw.pick(self.lives);
        if draw.one_in(32) {
            let any = draw.number(&[life.incarnation.to_wire()]).max(1);
            life.incarnation = raft_core::ids::Incarnation::from_wire(any);
        }
        life
    }

    fn head(&self, draw: &mut Draw<'_>) -> Head {
        Head {
            way: if draw.one_in(16) { Way::Switch } else { Way::Direct },
            sender: self.life(draw),
            cluster_id: if draw.one_in(64) { draw.u64() } else { self.cluster_id },
            log_time_us: draw.wire_number(&[self.log_time_us]),
            applied: self.index(draw),
            state_hash: 0,
        }
    }

    fn named(&self, draw: &mut Draw<'_>) -> Named {
        let client = ClientAddress::from(client(draw));
        let session =
            if self.sessions.is_empty() || draw.one_in(3) { 0 } else { draw.pick(self.sessions) };
        let session = if draw.one_in(32) { draw.u64() } else { session };
        let kind = match (draw.u8() % 12, session) {
            (0..=6, _) => EntryKind::Write,
            (7..=9, _) => EntryKind::Read,
            (_, 0) => EntryKind::Open,
            _ => EntryKind::Close,
        };
        let ordered = matches!(kind, EntryKind::Write | EntryKind::Read);
        let plain = session == 0 && ordered && draw.one_in(2);
        let number = if plain { u64::from(draw.u8() % 24) } else { draw.number(&[1, 4, 8]) };
        let above_floor = if plain { 0 } else { u16::from(draw.u8() % 8) };
        let which = draw.below(6);
        Named {
            id: RequestId::new(client, session, number),
            client,
            plain,
            kind,
            above_floor,
            body: body(which),
        }
    }

    fn entry(&self, draw: &mut Draw<'_>, term: Term) -> (Entry<Request>, Vec<u8>) {
        let term = if draw.one_in(8) { self.term(draw) } else { term };
        if draw.one_in(8) {
            return (Entry { term, payload: Payload::NoOp }, Vec::new());
        }
        let named = self.named(draw);
        let len = if draw.one_in(32) {
            draw.number(&[20_000]) & 0xFF_FFFF
        } else {
            named.body.len() as u64
        };
        let hash =
            if draw.one_in(32) { draw.u64() } else { body_hash(&self.hash_key, &named.body) };
        let request = Request {
            id: named.id,
            client: named.client,
            plain: named.plain,
            kind: named.kind,
            hash,
            len: u32::try_from(len).unwrap_or_default(),
            above_floor: named.above_floor,
            stamp_us: draw.wire_number(&[self.log_time_us]),
            replier: draw.pick(self.lives).id,
            inline: false,
        };
        (Entry { term, payload: Payload::Command(request) }, named.body)
    }

    /// A configuration that a cluster could have, or nearly.
    fn configuration(&self, draw: &mut Draw<'_>, epoch: LogIndex) -> Vec<u8> {
        let mut list = |may_be_empty: bool| {
            let mut lives = self.lives.to_vec();
            lives.retain(|_| !draw.one_in(3));
            if lives.is_empty() && !may_be_empty { self.lives.to_vec() } else { lives }
        };
        let (voters, mut outgoing, mut learners) = (list(false), list(true), list(true));
        if draw.one_in(2) {
            outgoing.clear();
            learners.clear();
        }
        let nodes = u8::try_from(self.lives.len()).unwrap_or(u8::MAX);
        let data = group(nodes, changed_limits(draw));
        let epoch = if draw.one_in(8) { self.index(draw) } else { epoch };
        let mut bytes = Vec::new();
        let said = Configuration { epoch, voters, outgoing, learners, data };
        // What no node would write travels as the bytes that were written before the error, if any.
        let _ = configuration::encode(&said, &mut bytes);
        bytes
    }

    fn append(&self, draw: &mut Draw<'_>, packet: &mut Packet) -> usize {
        let head = self.head(draw);
        let term = self.term(draw);
        let configured = draw.one_in(12);
        let count = usize::from(draw.u8() % 6) + usize::from(configured);
        let count = if draw.one_in(16) { draw.below(ENTRIES_MAX + 1 - count) } else { count };
        let configured = configured && count > 0 && count < 12;
        let previous_index = self.index(draw);
        let append = Append {
            epoch: if draw.one_in(4) { self.index(draw) } else { LogIndex::ZERO.next() },
            term,
            previous_index,
            previous_term: self.term(draw),
            first_of_term: self.index(draw),
            commit: self.index(draw),
            round: Round::from_wire(draw.number(&[0, 8])),
            count: u16::try_from(count).unwrap_or_default(),
            answer: draw.u8() < 200,
        };
        let mut writer = self.encoder.append(packet, &head, &append);
        let mut bodies = Vec::new();
        for place in 0..count {
            let (mut entry, body) = self.entry(draw, term);
            if configured && place + 1 == count {
                entry.payload = Payload::Configuration;
            }
            writer.entry(&entry);
            bodies.push(matches!(entry.payload, Payload::Command(_)).then_some(body));
        }
        if configured {
            let last = LogIndex::from_wire(previous_index.to_wire().wrapping_add(count as u64));
            let bytes = self.configuration(draw, last);
            if bytes.len() + 2 <= writer.room() {
                writer.configuration(&bytes);
            }
        }
        for (place, body) in bodies.iter().enumerate() {
            if let Some(body) = body
                && draw.one_in(3)
            {
                writer.body(place, body);
            }
        }
        writer.finish()
    }

    fn chunk<'a>(&self, draw: &mut Draw<'_>, named: &'a Named) -> Option<Chunk<'a>> {
        let last = chunks_of(u32::try_from(named.body.len()).unwrap_or_default());
        let number = u16::try_from(draw.below(usize::from(last))).unwrap_or_default();
        let hash =
            if draw.one_in(16) { draw.u64() } else { body_hash(&self.hash_key, &named.body) };
        Chunk::of(named.id, named.client, named.plain, hash, &named.body, number)
    }

    fn wanted(&self, draw: &mut Draw<'_>) -> Wanted {
        let named = self.named(draw);
        let len = if draw.one_in(8) {
            draw.number(&[CHUNK_LEN as u64]) & 0xFF_FFFF
        } else {
            named.body.len() as u64
        };
        let len = u32::try_from(len).unwrap_or_default();
        let first = u16::try_from(draw.below(usize::from(chunks_of(len)))).unwrap_or_default();
        let left = u32::from(chunks_of(len) - first).min(64);
        let chunks = (draw.u64() | 1) & (u64::MAX >> (64 - left));
        Wanted { id: named.id, hash: body_hash(&self.hash_key, &named.body), len, first, chunks }
    }

    /// A message of any kind between nodes; returns its length.
    pub(crate) fn message(&self, draw: &mut Draw<'_>, packet: &mut Packet) -> usize {
        let kind = draw.u8() % 24;
        if kind >= 15 {
            return self.append(draw, packet);
        }
        let (head, encoder) = (self.head(draw), self.encoder);
        let term = self.term(draw);
        let round = Round::from_wire(draw.number(&[0, 8]));
        match kind {
            0..=4 => encoder.raft(packet, &head, &self.consensus(draw, kind, term, round)),
            5 => self.aggregate(draw, packet, term),
            6 | 7 => {
                let question =
                    BodyQuestion { term, index: self.index(draw), number: draw.number(&[0, 4]) };
                let wanted: Vec<Wanted> = (0..=draw.u8() % 4).map(|_| self.wanted(draw)).collect();
                if kind == 6 {
                    return encoder.no_body(packet, &head, &question, &wanted[0]);
                }
                encoder.body_request(packet, &head, &question, wanted)
            }
            8..=10 => {
                let named = self.named(draw);
                let Some(chunk) = self.chunk(draw, &named) else { return 0 };
                if kind < 10 {
                    return encoder.body_chunk(packet, &head, &chunk);
                }
                let (flags, above_floor) =
                    if named.plain { (0, 0) } else { (draw.u8() % 16, named.above_floor) };
                let age_us =
                    u32::try_from(draw.number(&[0, 400_000]) & 0xFFFF_FFFF).unwrap_or_default();
                let policy = 2 + draw.u8() % 2;
                encoder.forward(
                    packet,
                    &head,
                    &Forward { body: chunk, policy, flags, above_floor, age_us },
                )
            }
            11 => encoder.question(packet, &head, draw.number(&[0])),
            12 => {
                let mut lives = self.lives.to_vec();
                lives.retain(|_| !draw.one_in(8));
                let epoch = self.index(draw);
                let said = self.configuration(draw, epoch);
                let said = draw.one_in(2).then_some(&said[..]);
                encoder.report(packet, &head, draw.number(&[0]), draw.one_in(2), &lives, said)
            }
            13 => encoder.applied(packet, &head, term),
            _ => encoder.held_by_all(packet, &head, term, self.index(draw)),
        }
    }

    fn consensus(&self, draw: &mut Draw<'_>, kind: u8, term: Term, round: Round) -> Message {
        match kind {
            0 => Message::RequestVote {
                term,
                pre: draw.one_in(2),
                transfer: draw.one_in(4),
                last_index: self.index(draw),
                last_term: self.term(draw),
            },
            1 => Message::Vote { term, pre: draw.one_in(2), granted: draw.u8() < 200 },
            2 => Message::Ack { epoch: self.index(draw), term, index: self.index(draw), round },
            3 => {
                let (previous_index, hint) = (self.index(draw), self.index(draw));
                Message::Reject { term, previous_index, hint, round }
            }
            _ => Message::TimeoutNow { term },
        }
    }

    fn aggregate(&self, draw: &mut Draw<'_>, packet: &mut Packet, term: Term) -> usize {
        let mut buffer = [0; 128];
        let applied: Vec<LogIndex> = self.lives.iter().map(|_| self.index(draw)).collect();
        let applied = AppliedList::write(&mut buffer, applied);
        let (epoch, index) = (self.index(draw), self.index(draw));
        let voters = draw.u16() & 0b111;
        let said = Aggregate { epoch, term, first_of_term: epoch, index, voters, applied };
        let nobody = Head { sender: Member::default(), ..self.head(draw) };
        self.encoder.aggregate(packet, &nobody, &said)
    }

    /// A packet of a client's: its length.
    pub(crate) fn request(&self, draw: &mut Draw<'_>, packet: &mut Packet) -> usize {
        let named = self.named(draw);
        let policy = match named.kind {
            EntryKind::Read => Policy::ReplicatedRead,
            _ if draw.one_in(12) => draw.pick(&[Policy::Unrestricted, Policy::Fixed]),
            _ => Policy::Replicated,
        };
        let RequestId { session, number, .. } = named.id;
        let form = if named.plain {
            let request_id = u16::try_from(number & 0xFFFF).unwrap_or_default();
            Form::PlainRequest { request_id, policy }
        } else {
            let flags = Flags {
                opens: named.kind == EntryKind::Open,
                closes: named.kind == EntryKind::Close,
                wanted: draw.one_in(16),
                repeats: draw.one_in(4),
            };
            Form::Request { session, number, above_floor: named.above_floor, policy, flags }
        };
        let packets = form.packets(named.body.len()).unwrap_or(1);
        let place = u16::try_from(draw.below(usize::from(packets))).unwrap_or_default();
        let Some(fragment) = form.fragment(place, named.body.len()) else { return 0 };
        let payload = &named.body[fragment.range.clone()];
        let len = fragment.head.len() + payload.len();
        packet[..fragment.head.len()].copy_from_slice(&fragment.head);
        packet[fragment.head.len()..len].copy_from_slice(payload);
        len.min(PACKET_MAX)
    }
}

/// Where a client is.
pub(crate) fn client(draw: &mut Draw<'_>) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([10, 0, 2, 1 + draw.u8() % 3], 4_000))
}

/// Limits of a configuration that comes in the log: as they are, or any.
fn changed_limits(draw: &mut Draw<'_>) -> Limits {
    let mut changed = limits();
    // Zero is refused by every node.
    let any = |draw: &mut Draw<'_>| u32::from(draw.u8()) % (LIMIT_MAX + 1);
    match draw.u8() % 8 {
        0 => changed.plain_ids_max = any(draw),
        1 => changed.sessions_max = any(draw),
        2 => changed.session_window = any(draw),
        3 => changed.reply_keep_max = any(draw),
        4 => changed.request_max = any(draw),
        5 => changed.replies_bytes_max = draw.u16().into(),
        _ => {}
    }
    changed
}

/// The members of a group of `nodes` in the lives that they begin with.
pub(crate) fn first_lives(nodes: u8) -> Vec<Member> {
    let life = |number: u8| {
        let incarnation = raft_core::ids::Incarnation::from_wire(1 + u64::from(number));
        Some(Member { id: NodeId::new(number)?, incarnation })
    };
    (1..=nodes).filter_map(life).collect()
}
