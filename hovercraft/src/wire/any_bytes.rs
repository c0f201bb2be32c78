//! Any bytes, random and mutated from valid ones of every kind: refused, or written again exactly as they were (W1).
//!
//! `ANY_BYTES=1000000` asks for that many.

use std::env;

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};

use super::*;
use crate::entry::{EntryKind, Request};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }

    fn number(&mut self) -> u64 {
        self.next() % 1_000
    }

    fn index(&mut self) -> LogIndex {
        LogIndex::from_wire(self.number())
    }

    fn node(&mut self) -> NodeId {
        NodeId::new(u8::try_from(self.next() % 16).unwrap()).unwrap()
    }

    fn head(&mut self) -> Head {
        Head {
            way: if self.below(2) == 0 { Way::Direct } else { Way::Switch },
            sender: Member {
                id: self.node(),
                incarnation: Incarnation::from_wire(self.next() + 1),
            },
            cluster_id: self.next(),
            log_time_us: self.number(),
            applied: self.index(),
            state_hash: 0,
        }
    }

    fn request(&mut self, len: usize) -> Request {
        let client = ClientAddress { ip: [5; 16], port: 7 };
        let kind =
            [EntryKind::Write, EntryKind::Read, EntryKind::Open, EntryKind::Close][self.below(4)];
        let session = match kind {
            EntryKind::Open => 0,
            EntryKind::Close => 9,
            _ => self.next() % 2,
        };
        let ordered = matches!(kind, EntryKind::Write | EntryKind::Read);
        Request {
            id: RequestId::new(client, session, self.next()),
            client,
            plain: session == 0 && ordered && self.below(2) == 0,
            kind,
            hash: self.next(),
            len: u32::try_from(len).unwrap(),
            above_floor: 3,
            stamp_us: self.number(),
            replier: self.node(),
            inline: false,
        }
    }

    /// A valid append, with bodies and a configuration where they fit.
    fn append(&mut self, encoder: &Encoder, packet: &mut Packet) -> usize {
        let count = self.below(ENTRIES_MAX + 1);
        let append = Append {
            epoch: self.index(),
            term: Term::from_wire(self.number()),
            previous_index: self.index(),
            previous_term: Term::from_wire(self.number()),
            first_of_term: self.index(),
            commit: self.index(),
            round: Round::from_wire(self.number()),
            count: u16::try_from(count).unwrap(),
            answer: self.below(2) == 0,
        };
        let head = self.head();
        let mut writer = encoder.append(packet, &head, &append);
        let with_configuration = count > 0 && count < 18 && self.below(3) == 0;
        let mut lens = Vec::new();
        for place in 0..count {
            let len = self.below(100);
            let payload = match self.below(8) {
                _ if with_configuration && place + 1 == count => Payload::Configuration,
                0 => Payload::NoOp,
                _ => Payload::Command(self.request(len)),
            };
            lens.push(matches!(payload, Payload::Command(_)).then_some(len));
            writer.entry(&Entry { term: Term::from_wire(self.number()), payload });
        }
        if with_configuration {
            writer.configuration(&[1; 150][..self.below(150)]);
        }
        for (place, len) in lens.into_iter().enumerate() {
            if let Some(len) = len.filter(|_| self.below(2) == 0) {
                let _ = writer.body(place, &[2; 100][..len]);
            }
        }
        writer.finish()
    }

    /// A valid message of any kind.
    fn message(&mut self, encoder: &Encoder, packet: &mut Packet) -> usize {
        let (head, term) = (self.head(), Term::from_wire(self.number()));
        let client = ClientAddress { ip: [6; 16], port: 8 };
        let body = vec![1; self.below(4_000)];
        let request = self.request(body.len());
        let last = usize::from(chunks_of(request.len));
        let number = u16::try_from(self.below(last)).unwrap();
        let id = RequestId::new(client, request.id.session, 4);
        let chunk = Chunk::of(id, client, request.plain, 5, &body, number).unwrap();
        let round = Round::from_wire(self.number());
        let raft = match self.below(15) {
            0 => Message::RequestVote {
                term,
                pre: true,
                transfer: false,
                last_index: self.index(),
                last_term: term,
            },
            1 => Message::Vote { term, pre: false, granted: true },
            2 => Message::Ack { epoch: self.index(), term, index: self.index(), round },
            3 => {
                let (previous_index, hint) = (self.index(), self.index());
                Message::Reject { term, previous_index, hint, round }
            }
            4 => Message::TimeoutNow { term },
            5 => {
                let mut buffer = [0; 128];
                let applied = AppliedList::write(&mut buffer, [head.applied; 5]);
                let (epoch, index) = (self.index(), self.index());
                let voters = 0b1_0101;
                let said = Aggregate { epoch, term, first_of_term: epoch, index, voters, applied };
                let nobody = Head { sender: Member::default(), ..head };
                return encoder.aggregate(packet, &nobody, &said);
            }
            6 => {
                let wanted = Wanted { id, hash: 5, len: request.len, first: number, chunks: 1 };
                let count = 1 + self.below(30);
                let question = BodyQuestion { term, index: self.index(), number: self.number() };
                if count > 25 {
                    return encoder.no_body(packet, &head, &question, &wanted);
                }
                let wanted = (0..count).map(|_| wanted);
                return encoder.body_request(packet, &head, &question, wanted);
            }
            7 => return encoder.body_chunk(packet, &head, &chunk),
            8 => {
                let (flags, above_floor) = if request.plain { (0, 0) } else { (8, 2) };
                let forward = Forward { body: chunk, policy: 3, flags, above_floor, age_us: 9 };
                return encoder.forward(packet, &head, &forward);
            }
            9 => return encoder.question(packet, &head, 77),
            10 => {
                let lives = NodeId::all().take(self.below(17));
                let lives = lives.map(|id| Member { id, ..head.sender }).collect::<Vec<_>>();
                let said = (self.below(2) == 0).then_some(&body[..body.len().min(900)]);
                return encoder.report(packet, &head, 77, true, &lives, said);
            }
            11 => return encoder.applied(packet, &head, term),
            12 => return encoder.held_by_all(packet, &head, term, self.index()),
            _ => return self.append(encoder, packet),
        };
        encoder.raft(packet, &head, &raft)
    }
}

/// The property. True when the bytes are a message.
fn check(bytes: &[u8], encoder: &Encoder) -> bool {
    let Ok((head, message)) = parse(bytes, encoder.key()) else { return false };
    let mut again = [0xAA; PACKET_MAX];
    let len = encoder.message(&mut again, &head, &message);
    assert_eq!(&again[..len], bytes, "{message:?}");
    if let NodeMessage::Append { configuration: Some(bytes), .. }
    | NodeMessage::Report(Report { configuration: Some(bytes), .. }) = message
    {
        let _ = configuration::decode(bytes);
    }
    true
}

#[test]
fn hc13_any_bytes_are_a_message_or_are_refused() {
    let runs = env::var("ANY_BYTES").map_or(100_000, |runs| runs.parse().unwrap());
    let mut random = Random(42);
    let encoders = [Encoder::new(None), Encoder::new(Some(MacKey::derive(&[8; 32])))];
    let (mut accepted, mut refused) = (0u64, 0u64);
    for run in 0..runs {
        let encoder = &encoders[run % 2];
        let mut packet = [0; PACKET_MAX];
        let mut len = random.message(encoder, &mut packet);
        assert!(check(&packet[..len], encoder), "run {run}: a valid message is refused");
        for _ in 0..=random.below(3) {
            let at = random.below(len.max(1));
            packet[at] = match random.below(3) {
                0 => packet[at] ^ 1 << random.below(8),
                1 => 0xFF,
                _ => u8::try_from(random.next() & 0xFF).unwrap(),
            };
        }
        if random.below(10) == 0 {
            len = random.below(PACKET_MAX + 1);
        }
        if random.below(20) == 0 {
            packet.fill_with(|| u8::try_from(random.next() & 0xFF).unwrap());
        }
        // As mutated, and as somebody with the key would send it.
        let mutated = check(&packet[..len], encoder);
        if let (Some(key), Some(body)) = (encoder.key(), len.checked_sub(MAC_LEN)) {
            let mac = key.mac(&packet[..body]);
            packet[body..len].copy_from_slice(&mac);
        }
        let signed = check(&packet[..len], encoder);
        accepted += u64::from(mutated) + u64::from(signed);
        refused += u64::from(!mutated) + u64::from(!signed);
    }
    assert!(accepted * 20 > refused && refused * 20 > accepted, "{accepted} against {refused}");
}
