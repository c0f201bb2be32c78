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

/// Lent buffers looked at, each time that none is free.
const LOOKED_AT: usize = 32;

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
    /// Given back while another clone lived; oldest first.
    lent: VecDeque<Arc<Vec<u8>>>,
    /// Place among the lent at which to look next.
    looked_to: usize,
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
        Self { lent: self.lent.clone(), used: self.used, ..Self::new(self.budget) }
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
            self.reclaim(LOOKED_AT);
        }
        if self.free[class].is_empty() && self.used + self.idle() + CLASSES[class] > self.budget {
            self.reclaim(LOOKED_AT_LAST);
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
            self.lent.push_back(block);
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

    /// Looks at this many of the oldest lent buffers and at as many others in turn; those whose other clones are gone go
    /// to the free lists. Most are given back by everybody in the order in which they were lent.
    fn reclaim(&mut self, looked_at: usize) {
        self.look(0, looked_at);
        let from = if self.looked_to < self.lent.len() { self.looked_to } else { 0 };
        self.looked_to = self.look(from, looked_at);
    }

    /// Looks at lent buffers from place `at` on; gives the place after the last.
    fn look(&mut self, mut at: usize, looked_at: usize) -> usize {
        for _ in 0..looked_at {
            match self.lent.get(at).map(Arc::strong_count) {
                None => return at,
                // What was first takes this place, and all are one place nearer.
                Some(1) => {
                    if let Some(block) = self.lent.swap_remove_front(at) {
                        self.put(block);
                    }
                }
                Some(_) => at += 1,
            }
        }
        at
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
    fn nothing_takes_no_buffer() {
        let mut pool = Pool::new(0);
        assert_eq!(&*pool.copy(b"").unwrap(), b"");
        assert!(pool.take(1).is_none());
    }
}
