//! Streams of random numbers, one for each thread and purpose.
//!
//! Invariants:
//! - N1. A run's seed fixes every stream: nothing else in the crate draws a number.
//! - N2. No two threads and no two purposes share a stream. (The original seeds nothing and shares one generator among
//!   its threads, so that every run and every agent repeats the same gaps; wire.md 5.7.)

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// A generator whose numbers depend on its seed alone, on every machine.
pub type Stream = Xoshiro256PlusPlus;

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// When to send.
    Arrivals = 1,
    /// What to send.
    Requests = 2,
    /// What the client endpoints need: nonces and back-off.
    Endpoint = 3,
}

/// The stream of `thread` for `purpose` in the run with `seed`.
#[must_use]
pub fn stream(seed: u64, thread: u32, purpose: Purpose) -> Stream {
    Stream::seed_from_u64(stream_seed(seed, thread, purpose))
}

/// The seed of that stream.
#[must_use]
pub fn stream_seed(seed: u64, thread: u32, purpose: Purpose) -> u64 {
    let place = (u64::from(thread) << 8) | purpose as u64;
    mix(seed ^ mix(place))
}

/// A bijection that spreads every bit (the finaliser of `SplitMix64`): different inputs never meet.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::Rng;

    use super::*;

    #[test]
    fn n2_no_two_threads_or_purposes_share_a_stream() {
        let purposes = [Purpose::Arrivals, Purpose::Requests, Purpose::Endpoint];
        let mut firsts = BTreeSet::new();
        for seed in [0, 1, u64::MAX] {
            for thread in 0..64 {
                for purpose in purposes {
                    firsts.insert(stream(seed, thread, purpose).next_u64());
                }
            }
        }
        assert_eq!(firsts.len(), 3 * 64 * 3);
    }

    #[test]
    fn n1_a_seed_gives_the_same_stream_again() {
        let numbers = || {
            let mut stream = stream(7, 3, Purpose::Arrivals);
            [(); 8].map(|()| stream.next_u64())
        };
        assert_eq!(numbers(), numbers());
    }
}
