//! Asking other nodes for bodies that the log names and this node has not (HovercRaft, "recovery"; design HC1a, HC6c).
//!
//! A body is asked for a moment after it was missed (its copy from the client may be just behind the append), then again and
//! again, a different node each time, until it came or nobody wants it any more. Many bodies are asked for at a time; each
//! request names the missing chunks, up to 64, so that the answers pace themselves.

use core::time::Duration;

use planted::Plant;
use r2p2::Instant;
use r2p2::buffer::{Body, Pool};
use raft_core::ids::{LogIndex, NodeId, NodeSet};

use crate::assembly::Assembly;
use crate::store::BodyKey;
use crate::totals::totals;
use crate::wire::Wanted;

/// How long the client's own copy is waited for before anybody is asked.
const GRACE: Duration = Duration::from_micros(200);
/// Shortest and longest wait for an answer.
const RETRY_MIN: Duration = Duration::from_millis(2);
const RETRY_MAX: Duration = Duration::from_millis(32);

/// A request for chunks of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ask {
    /// Whom to ask.
    pub to: NodeId,
    /// What.
    pub wanted: Wanted,
    /// Index of the entry that names it.
    pub index: LogIndex,
    /// Number of the question whether anybody has it.
    pub question: u64,
}

/// A body that no member has or has applied, though all of them are there (HC1d): the log cannot be applied past it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LostBody {
    /// Index of the entry that names it.
    pub index: LogIndex,
    /// Its name.
    pub key: BodyKey,
}

totals! {
    /// Totals.
    pub(crate) RecoveryCounters {
        /// Requests sent.
        bodies_asked,
        /// Bodies that came.
        bodies_recovered,
        /// Bytes of them.
        bytes_recovered,
        /// Bodies whose hash was wrong: thrown away and asked for anew.
        bodies_wrong_hash,
        /// Bodies that could not be asked for: too many already, or no buffer.
        wants_refused,
    }
}

#[derive(Clone, Debug)]
struct Want {
    assembly: Assembly,
    next_ask: Instant,
    wait: Duration,
    /// Whom to ask next: the first in rotation from here that is there.
    turn: u8,
    asked: u64,
    /// Index of the entry that names it.
    index: LogIndex,
    since: Instant,
    question: Question,
}

/// A missed body as a model checker sees it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct WantState {
    key: BodyKey,
    chunks: (u32, Vec<u64>),
    turn: u8,
    asked: u64,
    index: LogIndex,
    question: (LogIndex, NodeSet, NodeSet),
    is_late: bool,
    number: bool,
}

/// Whether anybody has a body (HC1d): one question goes to every member once; then the next begins.
#[derive(Clone, Copy, Debug, Default)]
struct Question {
    number: u64,
    /// Of the configuration whose members are asked.
    epoch: LogIndex,
    asked: NodeSet,
    lacking: NodeSet,
    /// Whether it began so late that no copy can be under way from the client any more.
    is_late: bool,
}

/// The bodies that this node misses.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    wants: Vec<Want>,
    wants_max: usize,
    /// Number of the newest question.
    questions: u64,
    /// Totals.
    pub counters: RecoveryCounters,
}

impl Recovery {
    /// At most `wants_max` bodies are missed at a time. Questions are numbered from `seed` on: no two lives ask the same.
    #[must_use]
    pub(crate) fn new(wants_max: u32, seed: u64) -> Self {
        let wants_max = wants_max as usize;
        Self {
            wants: Vec::with_capacity(wants_max),
            wants_max,
            questions: seed,
            counters: RecoveryCounters::default(),
        }
    }

    /// Body `key` of `len` bytes, named at `index`, is missing; `source` surely has it. False when it is wanted already, or cannot be asked for.
    pub(crate) fn want(
        &mut self,
        now: Instant,
        key: BodyKey,
        len: u32,
        source: NodeId,
        index: LogIndex,
        pool: &mut Pool,
    ) -> bool {
        if self.wants.iter().any(|want| want.assembly.key() == key) {
            return false;
        }
        let room = self.wants.len() < self.wants_max;
        let assembly = if room { Assembly::new(key, len, pool) } else { None };
        let Some(assembly) = assembly else {
            self.counters.wants_refused += 1;
            return false;
        };
        self.wants.push(Want {
            assembly,
            next_ask: now + GRACE,
            wait: RETRY_MIN,
            turn: source.number(),
            asked: 0,
            index,
            since: now,
            question: Question::default(),
        });
        true
    }

    /// Whether this body is missed.
    #[must_use]
    pub(crate) fn is_wanted(&self, key: &BodyKey) -> bool {
        self.wants.iter().any(|want| want.assembly.key() == *key)
    }

    /// The body came another way, or is wanted no more.
    pub(crate) fn forget(&mut self, key: &BodyKey, pool: &mut Pool) {
        if let Some(at) = self.wants.iter().position(|want| want.assembly.key() == *key) {
            self.wants.swap_remove(at).assembly.abandon(pool);
        }
    }

    /// Nothing is missed any more: no append waits for a body.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        for want in self.wants.drain(..) {
            want.assembly.abandon(pool);
        }
    }

    /// A chunk came; the body when it was the last one and `hash` agrees.
    pub(crate) fn chunk(
        &mut self,
        now: Instant,
        key: &BodyKey,
        chunk: u16,
        bytes: &[u8],
        pool: &mut Pool,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Option<Body> {
        let at = self.wants.iter().position(|want| want.assembly.key() == *key)?;
        let want = &mut self.wants[at];
        if !want.assembly.put(chunk, bytes) {
            return None;
        }
        if !want.assembly.is_complete() {
            let in_this_round = u64::from(chunk).checked_rem(64).map_or(0, |bit| 1 << bit);
            want.asked &= !in_this_round;
            if want.asked == 0 {
                want.next_ask = now;
            }
            return None;
        }
        let want = self.wants.swap_remove(at);
        let index = want.index;
        let len = want.assembly.len();
        let body = want.assembly.into_body();
        if hash(&body) == key.hash {
            self.counters.bodies_recovered += 1;
            self.counters.bytes_recovered += u64::from(len);
            return Some(body);
        }
        self.counters.bodies_wrong_hash += 1;
        pool.give_back(body);
        // Of the next node: what this one has may be spoilt for good.
        let next = NodeId::new(want.turn).unwrap_or_default();
        self.want(now, *key, len, next, index, pool);
        None
    }

    /// The next request that is due, to one of `peers`, the others of the configuration at `epoch`. A client's copy may come for
    /// `patience` after the body was first missed.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        peers: NodeSet,
        epoch: LogIndex,
        patience: Duration,
    ) -> Option<Ask> {
        let want = self.wants.iter_mut().find(|want| want.next_ask <= now)?;
        let rotation = (0..NodeId::MAX_NODES).map(|n| (want.turn + n) % NodeId::MAX_NODES);
        let Some(to) = rotation.filter_map(NodeId::new).find(|&node| peers.contains(node)) else {
            // Nobody to ask, now: it is no reason to be due at once, again and again.
            self.wants
                .iter_mut()
                .for_each(|want| want.next_ask = want.next_ask.max(now + RETRY_MAX));
            return None;
        };
        let question = &mut want.question;
        if question.epoch != epoch || question.number == 0 || question.asked.contains(to) {
            self.questions = self.questions.wrapping_add(1).max(1);
            *question = Question {
                number: self.questions,
                epoch,
                is_late: now.saturating_sub(want.since) >= patience,
                ..Question::default()
            };
        }
        question.asked.insert(to);
        let number = question.number;
        let (first, bits) = want.assembly.wanted();
        want.turn = (to.number() + 1) % NodeId::MAX_NODES;
        want.next_ask = now + want.wait;
        if planted::is(Plant::H9) {
            want.next_ask = Instant::MAX;
        }
        want.wait = (want.wait * 2).min(RETRY_MAX);
        want.asked = bits.rotate_left(u32::from(first % 64));
        self.counters.bodies_asked += 1;
        let BodyKey { id, hash } = want.assembly.key();
        let len = want.assembly.len();
        let wanted = Wanted { id, hash, len, first, chunks: bits };
        Some(Ask { to, wanted, index: want.index, question: number })
    }

    /// `from` has not got the body and has not applied it, it says to the question `number`. True when by this question all of
    /// `others`, the members of the configuration at `epoch`, have said so: nobody has it (HC1d).
    pub(crate) fn lacks(
        &mut self,
        key: &BodyKey,
        number: u64,
        epoch: LogIndex,
        from: NodeId,
        others: NodeSet,
    ) -> bool {
        let want = self.wants.iter_mut().find(|want| want.assembly.key() == *key);
        let Some(want) = want else { return false };
        let question = &mut want.question;
        if question.number != number || question.epoch != epoch || !question.asked.contains(from) {
            return false;
        }
        question.lacking.insert(from);
        let all = others.iter().all(|member| question.lacking.contains(member));
        question.is_late && all
    }

    /// What decides of the bodies missed: names, chunks here, whom to ask, who said what. In the order in which they are asked for.
    pub(crate) fn protocol_state(&self) -> Vec<WantState> {
        let state = |want: &Want| WantState {
            key: want.assembly.key(),
            chunks: want.assembly.chunks(),
            turn: want.turn,
            asked: want.asked,
            index: want.index,
            question: (want.question.epoch, want.question.asked, want.question.lacking),
            is_late: want.question.is_late,
            number: want.question.number != 0,
        };
        self.wants.iter().map(state).collect()
    }

    /// When [`Self::poll`] next has something.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wants.iter().map(|want| want.next_ask).min()
    }

    /// Bodies missed.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.wants.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r2p2::request_id::RequestId;

    const PEERS: NodeSet = NodeSet::from_wire(0b1110);
    const INDEX: LogIndex = LogIndex::from_wire(5);
    const EPOCH: LogIndex = LogIndex::from_wire(2);
    const PATIENCE: Duration = Duration::from_millis(500);

    fn key(hash: u64) -> BodyKey {
        BodyKey { id: RequestId::default(), hash }
    }

    fn node(number: u8) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn ms(ms: u64) -> Instant {
        Duration::from_millis(ms)
    }

    #[test]
    fn hc6c_a_missing_body_is_asked_of_one_node_after_the_other() {
        let mut pool = Pool::new(1 << 20);
        let mut recovery = Recovery::new(4, 7);
        recovery.want(ms(0), key(9), 10, node(2), INDEX, &mut pool);
        assert_eq!(
            recovery.poll(ms(0), PEERS, EPOCH, PATIENCE),
            None,
            "the client's copy may be just behind"
        );
        let mut asked = Vec::new();
        for now in 1..200 {
            asked.extend(recovery.poll(ms(now), PEERS, EPOCH, PATIENCE).map(|ask| ask.to.number()));
        }
        assert_eq!(asked[..4], [2, 3, 1, 2]);
    }

    #[test]
    fn hc12_without_anybody_to_ask_nothing_is_due_again_at_once() {
        let mut pool = Pool::new(1 << 20);
        let mut recovery = Recovery::new(4, 7);
        recovery.want(ms(0), key(9), 10, node(2), INDEX, &mut pool);
        recovery.want(ms(0), key(8), 10, node(2), INDEX, &mut pool);
        assert_eq!(recovery.poll(ms(5), NodeSet::EMPTY, EPOCH, PATIENCE), None);
        assert!(recovery.deadline() > Some(ms(5)));
        assert!(recovery.poll(ms(5) + RETRY_MAX, PEERS, EPOCH, PATIENCE).is_some());
    }

    #[test]
    fn hc6c_a_body_with_another_hash_is_thrown_away_and_asked_for_anew() {
        let mut pool = Pool::new(1 << 20);
        let mut recovery = Recovery::new(4, 7);
        recovery.want(ms(0), key(9), 3, node(1), INDEX, &mut pool);
        let hash = |bytes: &[u8]| u64::from(bytes[0]);
        assert_eq!(recovery.chunk(ms(1), &key(9), 0, &[8, 8, 8], &mut pool, hash), None);
        assert!(recovery.is_wanted(&key(9)));
        let body = recovery.chunk(ms(2), &key(9), 0, &[9, 9, 9], &mut pool, hash).unwrap();
        assert_eq!((&*body, recovery.len()), (&[9, 9, 9][..], 0));
    }

    #[test]
    fn hc1d_every_member_must_lack_it_by_one_late_question() {
        let mut pool = Pool::new(1 << 20);
        let mut recovery = Recovery::new(4, 7);
        recovery.want(ms(0), key(9), 10, node(1), INDEX, &mut pool);
        let mut now = 0;
        let mut round = |recovery: &mut Recovery, from: u64| {
            now = from.max(now);
            let mut questions = Vec::new();
            while questions.len() < 3 {
                now += 1;
                let ask = recovery.poll(ms(now), PEERS, EPOCH, PATIENCE);
                questions.extend(ask.map(|ask| ask.question));
            }
            assert!(questions.iter().all(|&question| question == questions[0]), "{questions:?}");
            questions[0]
        };
        let says = |recovery: &mut Recovery, question, epoch: u64, members: &[u8]| {
            let epoch = LogIndex::from_wire(epoch);
            let said = |&member| recovery.lacks(&key(9), question, epoch, node(member), PEERS);
            members.iter().map(said).collect::<Vec<_>>()
        };
        let early = round(&mut recovery, 0);
        assert_eq!(says(&mut recovery, early, 2, &[1, 2, 3]), [false; 3], "a copy may come");
        let late = round(&mut recovery, 600);
        assert_eq!(says(&mut recovery, late, 2, &[1, 1, 2]), [false; 3], "3 is away");
        assert_eq!(says(&mut recovery, early, 2, &[3]), [false], "an older question");
        assert_eq!(says(&mut recovery, late, 9, &[3]), [false], "of other members");
        let next = round(&mut recovery, 700);
        assert_eq!(says(&mut recovery, next, 2, &[3]), [false], "what was said before is void");
        assert_eq!(says(&mut recovery, next, 2, &[2, 1]), [false, true]);
    }

    #[test]
    fn a_long_body_is_asked_for_64_chunks_at_a_time_without_waiting() {
        let mut pool = Pool::new(1 << 22);
        let mut recovery = Recovery::new(1, 7);
        let chunks = 100u16;
        let bytes = vec![5; crate::wire::CHUNK_LEN];
        let len = u32::from(chunks) * 1_280;
        recovery.want(ms(0), key(5), len, node(1), INDEX, &mut pool);
        let ask = recovery.poll(ms(1), PEERS, EPOCH, PATIENCE).unwrap();
        assert_eq!((ask.wanted.first, ask.wanted.chunks), (0, u64::MAX));
        for chunk in 0..64 {
            assert_eq!(recovery.chunk(ms(1), &key(5), chunk, &bytes, &mut pool, |_| 5), None);
        }
        let ask = recovery.poll(ms(1), PEERS, EPOCH, PATIENCE).unwrap();
        assert_eq!((ask.wanted.first, ask.wanted.chunks.count_ones()), (64, 36));
        let rest = (64..chunks)
            .find_map(|chunk| recovery.chunk(ms(1), &key(5), chunk, &bytes, &mut pool, |_| 5));
        assert_eq!(rest.unwrap().len(), len as usize);
    }
}
