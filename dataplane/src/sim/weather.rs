//! What the network does to packets.

use core::time::Duration;

use super::random::Random;

/// Probabilities (parts per million) and delays. Each copy of a packet, each member's of a multicast too, meets them on
/// its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Weather {
    /// Copies that get lost.
    pub loss_ppm: u32,
    /// Copies that arrive twice, each with its own delay.
    pub duplicate_ppm: u32,
    /// Least time under way.
    pub delay_min: Duration,
    /// Most time under way, drawn evenly; what lies between it and the least is what packets can overtake each other by.
    pub delay_max: Duration,
    /// Copies that are late on top of that.
    pub late_ppm: u32,
    /// By how much at most, drawn evenly.
    pub late_max: Duration,
}

impl Weather {
    /// Nothing is lost; every packet takes 10 µs; order is kept.
    pub const CALM: Self = Self {
        loss_ppm: 0,
        duplicate_ppm: 0,
        delay_min: Duration::from_micros(10),
        delay_max: Duration::from_micros(10),
        late_ppm: 0,
        late_max: Duration::ZERO,
    };

    /// 2 % lost, 2 % twice, 5 to 100 µs under way, 1 % up to 5 ms late.
    pub const ROUGH: Self = Self {
        loss_ppm: 20_000,
        duplicate_ppm: 20_000,
        delay_min: Duration::from_micros(5),
        delay_max: Duration::from_micros(100),
        late_ppm: 10_000,
        late_max: Duration::from_millis(5),
    };

    /// 10 % lost, 10 % twice, 5 µs to 1 ms under way, 5 % up to 50 ms late.
    pub const STORM: Self = Self {
        loss_ppm: 100_000,
        duplicate_ppm: 100_000,
        delay_min: Duration::from_micros(5),
        delay_max: Duration::from_millis(1),
        late_ppm: 50_000,
        late_max: Duration::from_millis(50),
    };

    /// # Panics
    ///
    /// If a probability is above a million parts, or the least delay above the most: the test's mistake.
    pub(super) fn assert_possible(&self) {
        let probabilities = [self.loss_ppm, self.duplicate_ppm, self.late_ppm];
        assert!(probabilities.iter().all(|&ppm| ppm <= 1_000_000), "{self:?}");
        assert!(self.delay_min <= self.delay_max, "{self:?}");
    }

    /// The delays of the copies that arrive of one: none, one or two.
    pub(super) fn copies(&self, random: &mut Random) -> [Option<Duration>; 2] {
        if random.chance(self.loss_ppm) {
            return [None, None];
        }
        let twice = random.chance(self.duplicate_ppm);
        let first = self.delay(random);
        [Some(first), twice.then(|| self.delay(random))]
    }

    fn delay(&self, random: &mut Random) -> Duration {
        let drawn = between(random, self.delay_min, self.delay_max);
        if random.chance(self.late_ppm) {
            drawn + between(random, Duration::ZERO, self.late_max)
        } else {
            drawn
        }
    }
}

fn between(random: &mut Random, least: Duration, most: Duration) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
    least + Duration::from_nanos(random.up_to(span))
}
