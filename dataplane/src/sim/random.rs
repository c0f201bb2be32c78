//! Random numbers that a seed decides (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).

/// A generator; clones go on alike.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any of the 2^64 numbers.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`, `most` included.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// True in `parts` of a million cases. Draws one number in any case, so that a run with another probability differs
    /// by its outcomes only.
    pub(crate) fn chance(&mut self, parts: u32) -> bool {
        self.next() % 1_000_000 < u64::from(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence() {
        // First outputs for seed 1234567, from the generator's published C code.
        let mut random = Random::new(1_234_567);
        let drawn = [random.next(), random.next(), random.next()];
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_chance_comes_as_often_as_it_says() {
        let mut random = Random::new(3);
        let hits = (0..100_000).filter(|_| random.chance(20_000)).count();
        assert!((1_800..2_200).contains(&hits), "{hits} of 100,000 at 2 %");
        assert!((0..1_000).all(|_| random.up_to(3) <= 3));
        assert!((0..1_000).any(|_| random.up_to(3) == 3));
    }
}
