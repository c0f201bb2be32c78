//! The table against an obvious slow version, on random entries.

use std::collections::BTreeMap;
use std::hash::DefaultHasher;

use r2p2::request_id::ClientAddress;
use raft_core::ids::NodeId;

use super::*;

const CLUSTER: u64 = 0xABCD;

/// Runs, and entries in each.
const RUNS: u64 = 200;
const ENTRIES: u64 = 3_000;

type Key = (bool, ClientAddress, u64, u64);

/// What was executed: first stamp, log index, session opened.
#[derive(Clone, Copy)]
struct Done {
    stamp_us: u64,
    index: u64,
    opened: Option<u64>,
}

struct Session {
    floor: u64,
    touched_us: u64,
    /// Log index by number.
    numbers: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Model {
    log_time_us: u64,
    plain: BTreeMap<Key, Done>,
    sessions: BTreeMap<u64, Session>,
}

/// A decision without slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Execute,
    Read,
    Opened(u64),
    Closed,
    Repetition(u64, Option<u64>),
    Refused(Reason),
    Dropped,
}

fn key(asked: &Asked) -> Key {
    match asked.kind {
        EntryKind::Open => (true, ClientAddress::default(), asked.id.number, 0),
        _ => (false, asked.id.client, asked.id.number, asked.hash),
    }
}

impl Model {
    fn decide(&mut self, index: u64, request: &Request, limits: &Limits) -> Verdict {
        let now = self.log_time_us.max(request.stamp_us);
        self.log_time_us = now;
        self.plain.retain(|_, done| now - done.stamp_us <= micros(limits.plain_window));
        self.sessions
            .retain(|_, session| now - session.touched_us <= micros(limits.session_expiry));
        let asked = Asked::from(request);
        match (request.kind, request.id.session) {
            (EntryKind::Read, 0) => Verdict::Read,
            (EntryKind::Open, _) | (EntryKind::Write, 0) => self.outside(index, &asked, limits),
            _ => self.inside(index, &asked, limits),
        }
    }

    fn outside(&mut self, index: u64, asked: &Asked, limits: &Limits) -> Verdict {
        if let Some(done) = self.plain.get(&key(asked)) {
            return Verdict::Repetition(done.index, done.opened);
        }
        let opening = asked.kind == EntryKind::Open;
        if self.plain.len() >= places(limits.plain_ids_max)
            || (opening && self.sessions.len() >= places(limits.sessions_max))
        {
            return Verdict::Refused(Reason::Overload);
        }
        let session = index ^ CLUSTER;
        let opened = opening.then_some(session);
        self.plain.insert(key(asked), Done { stamp_us: self.log_time_us, index, opened });
        if !opening {
            return Verdict::Execute;
        }
        let fresh = Session { floor: 1, touched_us: self.log_time_us, numbers: BTreeMap::new() };
        self.sessions.insert(session, fresh);
        Verdict::Opened(session)
    }

    fn inside(&mut self, index: u64, asked: &Asked, limits: &Limits) -> Verdict {
        let Some(session) = self.sessions.get_mut(&asked.id.session) else {
            return Verdict::Refused(Reason::UnknownSession);
        };
        session.touched_us = self.log_time_us;
        session.floor = session.floor.max(asked.floor());
        let floor = session.floor;
        session.numbers.retain(|&number, _| number >= floor);
        let number = asked.id.number;
        let kept = session.numbers.get(&number).filter(|_| asked.kind == EntryKind::Write);
        if number < floor {
            Verdict::Dropped
        } else if let Some(&done) = kept {
            Verdict::Repetition(done, None)
        } else if number - floor >= limits.session_window.into() {
            Verdict::Refused(Reason::AboveWindow)
        } else if asked.kind == EntryKind::Read {
            Verdict::Read
        } else if asked.kind == EntryKind::Close {
            self.sessions.remove(&asked.id.session);
            Verdict::Closed
        } else {
            session.numbers.insert(number, index);
            Verdict::Execute
        }
    }

    fn is_plain_full(&self, stamp_us: u64, unapplied: usize, limits: &Limits) -> bool {
        let now = self.log_time_us.max(stamp_us);
        let young = |done: &&Done| now - done.stamp_us <= micros(limits.plain_window);
        self.plain.values().filter(young).count() + unapplied >= places(limits.plain_ids_max)
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn limits(&mut self) -> Limits {
        let mut small = |bound| u32::try_from(1 + self.below(bound)).unwrap();
        Limits {
            plain_ids_max: small(40),
            sessions_max: small(6),
            session_window: small(70),
            plain_window: Duration::from_micros(small(300).into()),
            session_expiry: Duration::from_micros(small(900).into()),
            ..Limits::default()
        }
    }

    fn request(&mut self, sessions: &[u64], stamp_us: u64) -> Request {
        let client = ClientAddress { ip: [1; 16], port: u16::try_from(self.below(3)).unwrap() };
        let kind = match self.below(20) {
            0 => EntryKind::Open,
            1 if self.below(4) == 0 => EntryKind::Close,
            1..5 => EntryKind::Read,
            _ => EntryKind::Write,
        };
        let among = u64::try_from(sessions.len()).unwrap();
        let session = match (kind, self.below(3)) {
            (EntryKind::Open, _) | (EntryKind::Write | EntryKind::Read, 0) => 0,
            _ if among == 0 => 5,
            _ => sessions[usize::try_from(among - 1 - self.below(among.min(8))).unwrap()],
        };
        // Mostly slowly rising numbers, close together; sometimes far away.
        let number = match self.below(400) {
            0 => u64::MAX - self.below(4),
            1 => self.below(10_000),
            _ => stamp_us / 8 + self.below(40),
        };
        let above_floor = u16::try_from(self.below(50)).unwrap();
        Request {
            id: RequestId::new(client, session, number),
            client,
            plain: false,
            kind,
            hash: self.below(2),
            len: 0,
            above_floor,
            stamp_us,
            replier: NodeId::default(),
            inline: false,
        }
    }
}

/// The decision without its slot; a slot must hold the reply of the entry that it names.
fn verdict(decision: Decision, index: u64, replies: &mut BTreeMap<Slot, u64>) -> Verdict {
    match decision {
        Decision::Execute { slot } => {
            replies.insert(slot, index);
            Verdict::Execute
        }
        Decision::ExecuteRead => Verdict::Read,
        Decision::Opened { session, slot } => {
            replies.insert(slot, index);
            Verdict::Opened(session)
        }
        Decision::Closed => Verdict::Closed,
        Decision::Repetition(Kept { slot, index: done, opened }) => {
            assert_eq!(replies.get(&slot), Some(&done.to_wire()), "another reply is in the slot");
            Verdict::Repetition(done.to_wire(), opened)
        }
        Decision::Refused(reason) => Verdict::Refused(reason),
        Decision::Dropped => Verdict::Dropped,
    }
}

fn state_hash(table: &Table) -> u64 {
    let mut hasher = DefaultHasher::new();
    table.hash_protocol_state(&mut hasher);
    hasher.finish()
}

/// One run; returns how often each kind of verdict came.
fn run(seed: u64) -> BTreeMap<String, u64> {
    let mut random = Random(seed);
    let mut limits = random.limits();
    let (mut table, mut model) = (Table::new(&limits, seed), Model::default());
    let (mut replies, mut sessions) = (BTreeMap::new(), Vec::new());
    let (mut stamp_us, mut seen) = (0, BTreeMap::new());
    for index in 1..=ENTRIES {
        match random.below(300) {
            0 => limits = random.limits(),
            1 => stamp_us += random.below(1_000),
            2 => {
                let restored = Table::restore(&table.image(), &limits, random.below(9)).unwrap();
                assert!(restored == table && state_hash(&restored) == state_hash(&table));
                table = restored;
            }
            _ => stamp_us += random.below(5),
        }
        // No leader does this: a stamp before the last one.
        let back = if random.below(50) == 0 { random.below(50) } else { 0 };
        let request = random.request(&sessions, stamp_us.saturating_sub(back));
        let known = table.lookup(&Asked::from(&request), request.stamp_us, &limits);
        let unapplied = usize::try_from(random.below(40)).unwrap();
        assert_eq!(
            table.is_plain_full(stamp_us, unapplied, &limits),
            model.is_plain_full(stamp_us, unapplied, &limits),
        );
        let wanted = model.decide(index, &request, &limits);
        let decision = table.decide(LogIndex::from_wire(index), &request, &limits, CLUSTER);
        let found = verdict(decision, index, &mut replies);
        assert_eq!(found, wanted, "seed {seed}, entry {index}: {request:?}");
        // With nothing between, the early check says what applying will.
        let early = match known {
            Known::New => !matches!(
                found,
                Verdict::Repetition(..)
                    | Verdict::Dropped
                    | Verdict::Refused(Reason::UnknownSession | Reason::AboveWindow)
            ),
            Known::Applied(kept) => decision == Decision::Repetition(kept),
            Known::BelowFloor => found == Verdict::Dropped,
            Known::UnknownSession => found == Verdict::Refused(Reason::UnknownSession),
            Known::AboveWindow => found == Verdict::Refused(Reason::AboveWindow),
        };
        assert!(early, "seed {seed}, entry {index}: {known:?}, then {found:?}");
        assert_eq!(table.sessions(), model.sessions.len());
        assert_eq!(table.plain_ids(), model.plain.len());
        if let Verdict::Opened(session) = found {
            sessions.push(session);
        }
        let name = format!("{found:?}").split('(').next().unwrap().to_owned();
        *seen.entry(name).or_default() += 1;
    }
    seen
}

#[test]
fn the_table_decides_as_an_obvious_slow_one_does() {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..RUNS {
        for (name, count) in run(seed) {
            *seen.entry(name).or_default() += count;
        }
    }
    // The runs must have met everything that there is, not once only.
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(seen.values().all(|&count| count > 100), "{seen:?}");
}

/// Any bytes, and images with a byte changed, are restored exactly or refused.
#[test]
fn a_broken_image_is_refused() {
    let mut random = Random(7);
    let limits =
        Limits { plain_ids_max: 20, sessions_max: 4, session_window: 20, ..random.limits() };
    let (mut table, mut sessions) = (Table::new(&limits, 1), Vec::new());
    for index in 1..500 {
        let request = random.request(&sessions, index);
        let decision = table.decide(LogIndex::from_wire(index), &request, &limits, CLUSTER);
        if let Decision::Opened { session, .. } = decision {
            sessions.push(session);
        }
    }
    let image = table.image();
    for len in 0..image.len() {
        assert!(Table::restore(&image[..len], &limits, 1).is_err(), "cut at {len}");
    }
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut broken = image.clone();
        let at = usize::try_from(random.below(u64::try_from(image.len()).unwrap())).unwrap();
        broken[at] ^= 1 << random.below(8);
        match Table::restore(&broken, &limits, 1) {
            Ok(restored) => assert_eq!(restored.image(), broken),
            Err(error) => {
                assert!(error.offset <= broken.len());
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}
