//! A target without a fuzzer: noise and mutated seeds, so many, under a seed.

use crate::Target;

/// How a bounded run went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Inputs given.
    pub runs: u32,
    /// Of these, the ones that got past the first check.
    pub useful: u32,
}

/// A small generator: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Below `bound`, or 0 when that is 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or_default() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Feeds the target with `runs` inputs drawn from `seed`, its seeds as they are first.
///
/// # Panics
///
/// When the property does not hold: the input is in the message.
pub fn run(target: &Target, seed: u64, runs: u32) -> Tally {
    let seeds = (target.seeds)();
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for number in 0..runs {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let input = match seeds.get(place) {
            Some(seed) => seed.clone(),
            None if seeds.is_empty() || random.below(5) == 0 => noise(&mut random, target.len_max),
            None => mutated(&mut random, &seeds, target.len_max),
        };
        tally.useful += u32::from(fed(target, number, &input));
        tally.runs += 1;
    }
    tally
}

/// Feeds it, and names the input when that fails.
fn fed(target: &Target, number: u32, input: &[u8]) -> bool {
    struct Told<'a>(&'a Target, u32, &'a [u8]);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let Self(target, number, input) = self;
                eprintln!("{}: input {number} of {} bytes: {input:02x?}", target.name, input.len());
            }
        }
    }
    let _told = Told(target, number, input);
    (target.body)(input)
}

fn noise(random: &mut Random, len_max: usize) -> Vec<u8> {
    let len = if random.below(4) == 0 {
        random.below(len_max + 1)
    } else {
        random.below(len_max / 8 + 1)
    };
    random.bytes(len)
}

/// A seed with some bytes changed, cut, repeated, or with a number at a limit in it.
fn mutated(random: &mut Random, seeds: &[Vec<u8>], len_max: usize) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        // Heads are short and decide; what follows gets its share.
        let reach = if random.below(3) > 0 { bytes.len().min(130) } else { bytes.len() };
        let at = random.below(reach);
        match random.below(12) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 if at < bytes.len() => bytes.extend_from_within(at..),
            3 if bytes.len() >= 8 => {
                let value =
                    [0, 1, u64::MAX, 1 << 62, (1 << 62) - 1, random.next()][random.below(6)];
                let at = at.min(bytes.len() - 8) & !7;
                bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
            }
            4 => {
                let other = &seeds[random.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
            5..=7 if at < bytes.len() => bytes[at] = random.byte(),
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    bytes.truncate(len_max);
    bytes
}
