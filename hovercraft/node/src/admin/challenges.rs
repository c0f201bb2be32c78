//! Challenges for commands: each is good for one command, for a short time (design HC13).

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How long a challenge is good.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(10);

/// Challenges that are good at a time; one more ends the oldest.
const CHALLENGES_MAX: usize = 32;

/// Those that were given and not used.
#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<VecDeque<([u8; 16], Instant)>>);

impl Challenges {
    /// A new one.
    pub(super) fn give(&self, now: Instant) -> [u8; 16] {
        let challenge: [u8; 16] = rand::random();
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() == CHALLENGES_MAX {
            given.pop_front();
        }
        given.push_back((challenge, now));
        challenge
    }

    /// Uses one up: whether it was good.
    pub(super) fn take(&self, now: Instant, challenge: &[u8; 16]) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = given.iter().position(|(other, _)| other == challenge);
        let taken = found.and_then(|place| given.remove(place));
        taken.is_some_and(|(_, since)| now.saturating_duration_since(since) < CHALLENGE_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_once_and_for_a_time() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        let [first, second] = [(); 2].map(|()| challenges.give(now));
        assert_ne!(first, second);
        assert!(challenges.take(now, &first));
        assert!(!challenges.take(now, &first), "used");
        assert!(!challenges.take(now, &[0; 16]), "never given");
        assert!(!challenges.take(now + CHALLENGE_LIFE, &second), "too old");
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        let first = challenges.give(now);
        for _ in 0..CHALLENGES_MAX {
            challenges.give(now);
        }
        assert!(!challenges.take(now, &first));
        assert_eq!(challenges.0.lock().unwrap().len(), CHALLENGES_MAX);
    }
}
