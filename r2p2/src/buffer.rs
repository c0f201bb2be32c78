//! Bodies: the application bytes of a message, in buffers that are recycled.
//!
//! A [`Body`] is immutable and cheap to clone; clones may cross threads. The buffers belong to the [`Pool`] of one
//! thread: whoever took a buffer gives its last-but-one clone back with [`Pool::give_back`], and the pool uses it again
//! once every other clone is gone. So a warm path allocates nothing, and memory is freed on the owner's thread only.
//!
//! Invariants:
//! - B1. The bytes lent never exceed the budget given to [`Pool::new`].
//! - B2. A buffer is written only while nobody else can read it (`Arc::get_mut`).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Sizes of buffers, in bytes; a body takes the smallest that holds it.
const CLASSES: [usize; 8] = [64, 256, 1_536, 8_192, 65_536, 262_144, 1_048_576, 4_194_304];

/// Lent buffers looked at in one order, each time that none is free.
const LOOKED_AT: usize = 32;

/// Of those that are late.
const LATE_LOOKED_AT: usize = 2;

/// The same before a buffer is refused.
const LOOKED_AT_LAST: usize = 1_024;

/// The longest body that a pool can hold, in bytes.
pub const BODY_MAX: usize = CLASSES[CLASSES.len() - 1];

/// The bytes of a message, shared and immutable.
#[derive(Clone, Debug, Default)]
pub struct Body {
    block: Option<Arc<Vec<u8>>>,
    len: usize,
}

/// A buffer being filled; becomes a [`Body`].
#[derive(Debug)]
pub struct BodyMut {
    block: Option<Arc<Vec<u8>>>,
    len: usize,
}

/// Recycled buffers of one thread, bounded in bytes.
#[derive(Debug)]
pub struct Pool {
    free: [Vec<Arc<Vec<u8>>>; CLASSES.len()],
    /// Given back while another clone lived, oldest first, with gaps where one came home before its turn. Most come home
    /// in this order.
    lent: VecDeque<Option<Arc<Vec<u8>>>>,
    /// Place among them at which to look next for such a one.
    looked_to: usize,
    /// Older than one that has come home.
    late: VecDeque<Arc<Vec<u8>>>,
    used: usize,
    budget: usize,
}

impl Body {
    /// A body outside any pool, for tests and cold paths.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        let block = (!bytes.is_empty()).then(|| {
            let mut block = bytes.to_vec();
            if CLASSES.contains(&block.len()) {
                block.push(0); // No pool is to take it for one of its own.
            }
            Arc::new(block)
        });
        Self { block, len: bytes.len() }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block[..self.len])
    }
}

impl core::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Body {}

impl BodyMut {
    /// The bytes; what they hold at first is not defined.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self.block.as_mut().and_then(Arc::get_mut) {
            Some(block) => &mut block[..self.len],
            None => &mut [],
        }
    }

    /// The bytes so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block[..self.len])
    }

    /// Keeps the first `len` bytes; harmless when there are no more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// No more will be written.
    #[must_use]
    pub fn freeze(self) -> Body {
        Body { block: self.block, len: self.len }
    }
}

impl Clone for BodyMut {
    /// A deep copy, outside the pool: what makes a cloned replica independent.
    fn clone(&self) -> Self {
        let block = self.block.as_ref().map(|block| Arc::new(Vec::clone(block)));
        Self { block, len: self.len }
    }
}

impl Clone for Pool {
    /// Idle buffers stay with the original (B2); what both have lent is free when all clones are gone.
    fn clone(&self) -> Self {
        let (lent, late) = (self.lent.clone(), self.late.clone());
        Self { lent, late, used: self.used, ..Self::new(self.budget) }
    }
}

impl Pool {
    /// A pool that never lends more than `budget` bytes at a time. Buffers are made when first needed.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            free: core::array::from_fn(|_| Vec::new()),
            lent: VecDeque::new(),
            looked_to: 0,
            late: VecDeque::new(),
            used: 0,
            budget,
        }
    }

    /// A buffer of `len` bytes; `None` when the budget is spent or `len` is above [`BODY_MAX`].
    #[must_use]
    pub fn take(&mut self, len: usize) -> Option<BodyMut> {
        if len == 0 {
            return Some(BodyMut { block: None, len: 0 });
        }
        let class = CLASSES.iter().position(|&size| len <= size)?;
        if self.free[class].is_empty() {
            self.reclaim(LOOKED_AT, LATE_LOOKED_AT);
        }
        if self.free[class].is_empty() && self.used + self.idle() + CLASSES[class] > self.budget {
            self.reclaim(LOOKED_AT_LAST, LOOKED_AT_LAST);
        }
        if let Some(block) = self.free[class].pop() {
            self.used += CLASSES[class];
            return Some(BodyMut { block: Some(block), len });
        }
        if self.used + self.idle() + CLASSES[class] > self.budget {
            self.shed();
        }
        if self.used + CLASSES[class] > self.budget {
            return None;
        }
        self.used += CLASSES[class];
        Some(BodyMut { block: Some(Arc::new(vec![0; CLASSES[class]])), len })
    }

    /// A body with a copy of `bytes`; `None` as [`Self::take`].
    #[must_use]
    pub fn copy(&mut self, bytes: &[u8]) -> Option<Body> {
        let mut body = self.take(bytes.len())?;
        body.as_mut_slice().copy_from_slice(bytes);
        Some(body.freeze())
    }

    /// Takes a body back. Clones may live on; the buffer is used again when they are gone.
    pub fn give_back(&mut self, body: Body) {
        let Some(block) = body.block else { return };
        if Arc::strong_count(&block) == 1 {
            self.put(block);
        } else {
            self.lent.push_back(Some(block));
        }
    }

    /// Takes an unfinished buffer back.
    pub fn give_back_unfinished(&mut self, body: BodyMut) {
        self.give_back(body.freeze());
    }

    /// Bytes lent, in whole buffers.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes that may be lent at a time.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// What a body of `len` bytes takes of the budget: a whole buffer.
    #[must_use]
    pub fn charge(len: usize) -> usize {
        if len == 0 {
            return 0;
        }
        CLASSES.into_iter().find(|&size| len <= size).unwrap_or(BODY_MAX)
    }

    fn idle(&self) -> usize {
        self.free.iter().zip(CLASSES).map(|(list, size)| list.len() * size).sum()
    }

    /// Takes home what nobody else holds any more: the oldest in their order; when the very oldest is still held, others
    /// in turn; and in any case some late ones.
    fn reclaim(&mut self, looked_at: usize, late_looked_at: usize) {
        let last = looked_at == LOOKED_AT_LAST;
        if !self.in_order(looked_at) || last {
            self.out_of_order(looked_at);
        }
        for _ in 0..late_looked_at.min(self.late.len()) {
            let Some(block) = self.late.pop_front() else { return };
            if Arc::strong_count(&block) == 1 {
                self.put(block);
            } else {
                self.late.push_back(block);
            }
        }
    }

    /// Whether the oldest had come home.
    fn in_order(&mut self, looked_at: usize) -> bool {
        let mut found = false;
        for _ in 0..looked_at {
            let held = |block: &Arc<_>| Arc::strong_count(block) > 1;
            if self.lent.front().is_none_or(|oldest| oldest.as_ref().is_some_and(held)) {
                break;
            }
            if let Some(block) = self.lent.pop_front().flatten() {
                self.put(block);
                found = true;
            }
            self.looked_to = self.looked_to.saturating_sub(1);
        }
        found
    }

    /// For each that has come home before its turn, the oldest is late: it shall not stand before those that come home in
    /// order again.
    fn out_of_order(&mut self, looked_at: usize) {
        let mut found = 0;
        for _ in 0..looked_at {
            let Some(place) = self.lent.get_mut(self.looked_to) else {
                self.looked_to = 0;
                break;
            };
            self.looked_to += 1;
            if place.as_ref().is_some_and(|block| Arc::strong_count(block) == 1) {
                let block = place.take();
                found += 1;
                if let Some(block) = block {
                    self.put(block);
                }
            }
        }
        for _ in 0..found {
            self.late.extend(self.lent.pop_front().flatten());
            self.looked_to = self.looked_to.saturating_sub(1);
        }
    }

    /// Frees idle buffers of every class, so that another class may have their room.
    fn shed(&mut self) {
        for list in &mut self.free {
            list.clear();
        }
    }

    fn put(&mut self, block: Arc<Vec<u8>>) {
        // A body made outside (`copy_from`) has no class of ours: it was never charged.
        let Some(class) = CLASSES.iter().position(|&size| size == block.len()) else { return };
        self.used = self.used.saturating_sub(CLASSES[class]);
        self.free[class].push(block);
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_only_when_every_clone_is_gone() {
        let mut pool = Pool::new(128);
        let body = pool.copy(b"first").unwrap();
        let reader = body.clone();
        pool.give_back(body);
        let second = pool.copy(b"second").unwrap();
        assert_eq!(&*reader, b"first");
        assert!(pool.take(1).is_none(), "B1: both buffers are in use");
        drop(reader);
        let third = pool.copy(b"third").unwrap();
        assert_eq!((&*second, &*third), (&b"second"[..], &b"third"[..]));
    }

    #[test]
    fn the_budget_bounds_what_is_lent_and_idle_classes_give_way() {
        let mut pool = Pool::new(1_536);
        let small = pool.copy(&[1; 64]).unwrap();
        assert!(pool.take(1_000).is_none());
        pool.give_back(small);
        let large = pool.take(1_000).unwrap();
        assert_eq!((pool.used(), Pool::charge(1_000), Pool::charge(0)), (1_536, 1_536, 0));
        pool.give_back_unfinished(large);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_cloned_pool_writes_into_buffers_of_its_own() {
        let mut pool = Pool::new(1_024);
        let body = pool.copy(b"one").unwrap();
        pool.give_back(body);
        let mut clone = pool.clone();
        let (ours, theirs) = (pool.copy(b"ours").unwrap(), clone.copy(b"theirs").unwrap());
        assert_eq!((&*ours, &*theirs), (&b"ours"[..], &b"theirs"[..]));
    }

    #[test]
    fn a_body_from_outside_is_not_taken_for_one_of_the_pool() {
        let mut pool = Pool::new(64);
        let body = pool.copy(&[1; 64]).unwrap();
        pool.give_back(Body::copy_from(&[2; 64]));
        assert_eq!(pool.used(), 64);
        assert!(pool.take(1).is_none(), "B1");
        pool.give_back(body);
        assert!(pool.take(1).is_some());
    }

    #[test]
    fn a_buffer_deep_in_what_is_lent_is_found_before_a_refusal() {
        let mut pool = Pool::new(64 * 100);
        let bodies: Vec<_> = (0..100).map(|_| pool.copy(b"x").unwrap()).collect();
        let mut readers: Vec<_> = bodies.to_vec();
        bodies.into_iter().for_each(|body| pool.give_back(body));
        readers.swap_remove(99);
        assert!(pool.take(1).is_some());
        assert!(pool.take(1).is_none());
    }

    #[test]
    fn buffers_held_for_long_hide_nothing_behind_them() {
        const KEPT: usize = 1_024;
        for held in [0, 1, KEPT, 4 * KEPT] {
            let mut pool = Pool::new(64 * (held + 2 * KEPT));
            let long: Vec<Body> = (0..held).map(|_| pool.copy(b"held").unwrap()).collect();
            long.iter().for_each(|body| pool.give_back(body.clone()));
            let mut window = VecDeque::new();
            for taken in 0..50_000 {
                let body = pool.copy(b"short");
                let body = body.unwrap_or_else(|| panic!("{held} held: refused after {taken}"));
                window.push_back(body.clone());
                pool.give_back(body);
                if window.len() > KEPT {
                    window.pop_front();
                }
            }
            let late: BTreeSet<_> = pool.late.iter().map(Arc::as_ptr).collect();
            let long: BTreeSet<_> =
                long.iter().flat_map(|body| &body.block).map(Arc::as_ptr).collect();
            assert!(late.is_superset(&long), "what is held stands in nobody's way");
        }
    }

    #[test]
    fn nothing_is_refused_while_buffers_are_home_behind_a_held_one() {
        let mut pool = Pool::new(64 * 41 + 65_536 * 2);
        let small: Vec<Body> = (0..40).map(|_| pool.copy(&[1; 64]).unwrap()).collect();
        let (held, large) =
            (pool.copy(&[1; 64]).unwrap(), [(); 2].map(|()| pool.copy(&[1; 65_000])));
        let mut readers = small.clone();
        small.into_iter().for_each(|body| pool.give_back(body));
        pool.give_back(held.clone());
        for body in large.into_iter().flatten() {
            readers.push(body.clone());
            pool.give_back(body);
        }
        drop(readers);
        assert!(pool.take(60_000).is_some());
    }

    #[test]
    fn late_buffers_come_home() {
        let mut pool = Pool::new(64 * 3);
        let readers: Vec<Body> = (0..2).map(|_| pool.copy(b"held").unwrap()).collect();
        readers.iter().for_each(|body| pool.give_back(body.clone()));
        for _ in 0..10 {
            let body = pool.copy(b"short").unwrap();
            let reader = body.clone();
            pool.give_back(body);
            drop(reader);
        }
        drop(readers);
        let all: Option<Vec<_>> = (0..3).map(|_| pool.copy(b"x")).collect();
        assert!(all.is_some());
    }

    #[test]
    fn nothing_takes_no_buffer() {
        let mut pool = Pool::new(0);
        assert_eq!(&*pool.copy(b"").unwrap(), b"");
        assert!(pool.take(1).is_none());
    }
}
