//! Random numbers from a seed (splitmix64): the same seed gives the same run.

use core::time::Duration;

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any number but 0.
    pub(crate) fn next_nonzero(&mut self) -> u64 {
        self.next().max(1)
    }

    /// At least `hint`, at most half as long again.
    pub(crate) fn at_least(&mut self, hint: Duration) -> Duration {
        let parts = u32::try_from(self.next() % 513).unwrap_or(0);
        hint.saturating_add(hint / 1_024 * parts)
    }

    /// Between three and five quarters of `around`, so that many clients do not act as one.
    pub(crate) fn jitter(&mut self, around: Duration) -> Duration {
        let parts = u32::try_from(self.next() % 513).unwrap_or(0);
        around * (768 + parts) / 1_024
    }
}
