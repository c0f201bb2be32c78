//! A body put together from numbered chunks: recovered from another node, or passed on by a follower in mode `raft`.
//!
//! Chunks may come in any order, any number of times, from several nodes; the body's hash decides in the end whether they
//! belong together (design HC6c). Costs: one buffer of the pool and a bitmap per body.

use r2p2::buffer::{Body, BodyMut, Pool};

use crate::store::BodyKey;
use crate::wire::{chunk_range, chunks_of};

/// Chunks of a body, at most.
pub(crate) const CHUNKS_MAX: usize = WORDS * 64;

const WORDS: usize = 19;

/// A body of which some chunks may be here.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    key: BodyKey,
    body: BodyMut,
    len: u32,
    have: [u64; WORDS],
    missing: u16,
}

impl Assembly {
    /// A body of `len` bytes of which nothing is here; `None` when the pool has no room or `len` is too long.
    #[must_use]
    pub(crate) fn new(key: BodyKey, len: u32, pool: &mut Pool) -> Option<Self> {
        let chunks = chunks_of(len);
        if usize::from(chunks) > CHUNKS_MAX {
            return None;
        }
        let body = pool.take(len as usize)?;
        Some(Self { key, body, len, have: [0; WORDS], missing: chunks })
    }

    /// Its name.
    #[must_use]
    pub(crate) fn key(&self) -> BodyKey {
        self.key
    }

    /// Its length in bytes.
    #[must_use]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Its length, and which chunks are here.
    pub(crate) fn chunks(&self) -> (u32, Vec<u64>) {
        (self.len, self.have.to_vec())
    }

    /// Takes a chunk; false when it is here already or does not fit this body.
    pub(crate) fn put(&mut self, chunk: u16, bytes: &[u8]) -> bool {
        let Some(range) = chunk_range(self.len, chunk) else { return false };
        if range.len() != bytes.len() || self.has(chunk) {
            return false;
        }
        self.body.as_mut_slice()[range].copy_from_slice(bytes);
        let at = usize::from(chunk);
        self.have[at / 64] |= 1 << (at % 64);
        self.missing -= 1;
        true
    }

    /// Whether every chunk is here.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The body, once complete.
    ///
    /// # Panics
    ///
    /// When a chunk is missing.
    #[must_use]
    pub(crate) fn into_body(self) -> Body {
        assert!(self.is_complete(), "a body with holes is no body (HC1a)");
        self.body.freeze()
    }

    /// Gives the buffer back unfinished.
    pub(crate) fn abandon(self, pool: &mut Pool) {
        pool.give_back_unfinished(self.body);
    }

    /// The first missing chunk, and which of the 64 from it on are missing (bit 0 = itself).
    #[must_use]
    pub(crate) fn wanted(&self) -> (u16, u64) {
        let chunks = chunks_of(self.len);
        let first = (0..chunks).find(|&chunk| !self.has(chunk)).unwrap_or(0);
        let bits = (first..chunks.min(first.saturating_add(64)))
            .filter(|&chunk| !self.has(chunk))
            .fold(0, |bits, chunk| bits | 1 << (chunk - first));
        (first, bits)
    }

    fn has(&self, chunk: u16) -> bool {
        let at = usize::from(chunk);
        at < CHUNKS_MAX && self.have[at / 64] & (1 << (at % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CHUNK_LEN;
    use r2p2::request_id::RequestId;

    fn key() -> BodyKey {
        BodyKey { id: RequestId::default(), hash: 1 }
    }

    fn part(bytes: &[u8], chunk: u16) -> &[u8] {
        let from = usize::from(chunk) * CHUNK_LEN;
        &bytes[from..bytes.len().min(from + CHUNK_LEN)]
    }

    #[test]
    fn chunks_in_any_order_and_twice_make_the_body() {
        let bytes: Vec<u8> = (0..3_000u16).map(|n| n.to_be_bytes()[1]).collect();
        let mut pool = Pool::new(1 << 20);
        let mut assembly = Assembly::new(key(), 3_000, &mut pool).unwrap();
        for chunk in [2, 0, 2, 1] {
            assembly.put(chunk, part(&bytes, chunk));
        }
        assert_eq!(&*assembly.into_body(), &bytes[..]);
    }

    #[test]
    fn chunks_that_do_not_fit_are_refused() {
        let mut pool = Pool::new(1 << 20);
        let mut assembly = Assembly::new(key(), 3_000, &mut pool).unwrap();
        assert!(!assembly.put(0, &[0; 12]), "short");
        assert!(!assembly.put(2, &[0; CHUNK_LEN]), "longer than the body");
        assert!(!assembly.put(3, &[]), "beyond");
        assert!(!assembly.put(u16::MAX, &[0; CHUNK_LEN]));
        assert_eq!(assembly.wanted(), (0, 0b111));
        assert!(assembly.put(1, &[0; CHUNK_LEN]));
        assert_eq!(assembly.wanted(), (0, 0b101));
    }

    #[test]
    fn an_empty_body_is_one_empty_chunk() {
        let mut pool = Pool::new(0);
        let mut assembly = Assembly::new(key(), 0, &mut pool).unwrap();
        assert!(!assembly.is_complete());
        assert!(assembly.put(0, &[]));
        assert_eq!(&*assembly.into_body(), b"");
    }
}
