//! Requests that followers pass on to their leader in chunks, in mode `raft` (design, section 2).

use core::time::Duration;

use r2p2::Instant;
use r2p2::buffer::{Body, Pool};

use crate::assembly::Assembly;
use crate::store::BodyKey;
use crate::wire::Chunk;

/// How long an incomplete request is kept without a new chunk.
const TTL: Duration = Duration::from_millis(400);

/// A request of which chunks are missing.
#[derive(Clone, Debug)]
struct Part {
    /// When the last chunk came.
    touched: Instant,
    /// The request waits since then, as far as any chunk tells (HC8).
    age_from: Instant,
    assembly: Assembly,
}

/// Requests of which chunks are missing.
#[derive(Clone, Debug)]
pub(crate) struct Forwards {
    parts: Vec<Part>,
    max: usize,
    /// Chunks that found no room. Total.
    pub dropped: u64,
}

impl Forwards {
    /// At most `max` incomplete requests at a time.
    #[must_use]
    pub(crate) fn new(max: u32) -> Self {
        let max = max as usize;
        Self { parts: Vec::with_capacity(max), max, dropped: 0 }
    }

    /// A chunk came, of a request that waits since `age_from`; the body, and since when it waits, when it was the last one and `hash`
    /// agrees.
    pub(crate) fn chunk(
        &mut self,
        now: Instant,
        age_from: Instant,
        key: &BodyKey,
        chunk: &Chunk<'_>,
        pool: &mut Pool,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Option<(Body, Instant)> {
        let known = self.parts.iter().position(|part| part.assembly.key() == *key);
        let at = match known {
            Some(at) => at,
            None => {
                let room = self.parts.len() < self.max;
                let assembly = if room { Assembly::new(*key, chunk.len, pool) } else { None };
                let Some(assembly) = assembly else {
                    self.dropped += 1;
                    return None;
                };
                self.parts.push(Part { touched: now, age_from, assembly });
                self.parts.len() - 1
            }
        };
        let part = &mut self.parts[at];
        part.touched = now;
        part.age_from = part.age_from.min(age_from);
        part.assembly.put(chunk.chunk, chunk.bytes);
        if !part.assembly.is_complete() {
            return None;
        }
        let Part { age_from, assembly, .. } = self.parts.swap_remove(at);
        let body = assembly.into_body();
        if hash(&body) == key.hash {
            return Some((body, age_from));
        }
        pool.give_back(body);
        self.dropped += 1;
        None
    }

    /// What decides: which chunks of what are here, in the order of coming.
    pub(crate) fn protocol_state(&self) -> Vec<(BodyKey, (u32, Vec<u64>))> {
        self.parts.iter().map(|part| (part.assembly.key(), part.assembly.chunks())).collect()
    }

    /// Lets incomplete requests go that nothing came for.
    pub(crate) fn expire(&mut self, now: Instant, pool: &mut Pool) {
        let mut at = 0;
        while at < self.parts.len() {
            if self.parts[at].touched + TTL <= now {
                self.parts.swap_remove(at).assembly.abandon(pool);
            } else {
                at += 1;
            }
        }
    }
}
