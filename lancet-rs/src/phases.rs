//! Phases of a run: named spans of the schedule, each with its own line in the report.
//!
//! Text form, as on the command line: `before:10s,leader killed:5s,after:5s`. A name is anything without a comma; the last
//! colon separates it from the length. A file may put one phase per line instead.
//!
//! Invariants:
//! - P1. Phases follow each other without gaps, the first from the start of the run; a request belongs to the phase that
//!   its *scheduled* moment lies in, whenever it was sent or answered.

use core::time::Duration;

use thiserror::Error;

/// Phases that a run can have, at most.
pub const PHASES_MAX: usize = 64;

/// One span of the schedule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Phase {
    /// What the report calls it.
    pub name: String,
    /// Since the start of the run.
    pub start: Duration,
    /// Since the start of the run; after `start`.
    pub end: Duration,
}

/// All phases of a run, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Phases {
    list: Vec<Phase>,
}

/// Why a text names no phases.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PhaseError {
    /// Not one.
    #[error("no phases: give at least one as name:duration, as in before:10s")]
    None,
    /// Too many to report.
    #[error("{0} phases: at most {PHASES_MAX}")]
    TooMany(usize),
    /// No colon.
    #[error("phase {place}: no duration; write name:duration, as in before:10s")]
    NoDuration {
        /// Counted from 1.
        place: usize,
    },
    /// Nothing before the colon.
    #[error("phase {place}: no name; write name:duration, as in before:10s")]
    NoName {
        /// Counted from 1.
        place: usize,
    },
    /// The part after the colon.
    #[error("phase {place}: {source}")]
    Duration {
        /// Counted from 1.
        place: usize,
        /// What is wrong with it.
        source: DurationError,
    },
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum DurationError {
    /// No number in front, or one with strange signs.
    #[error("no number: write a duration as 10s, 500ms, 100us or 2m")]
    Number,
    /// A number without a unit, or with one that is not known.
    #[error("no unit: write a duration as 10s, 500ms, 100us or 2m")]
    Unit,
    /// Nothing would happen in it.
    #[error("0 is too short: at least 1us")]
    Zero,
    /// More than a day.
    #[error("too long: at most 24h")]
    TooLong,
}

const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);

impl Phases {
    /// One phase for the whole run.
    #[must_use]
    pub fn single(name: &str, duration: Duration) -> Self {
        Self { list: vec![Phase { name: name.to_owned(), start: Duration::ZERO, end: duration }] }
    }

    /// Reads `name:duration` entries, separated by commas or ends of lines.
    ///
    /// # Errors
    ///
    /// [`PhaseError`] for the first entry that is none.
    pub fn parse(text: &str) -> Result<Self, PhaseError> {
        let mut list = Vec::new();
        let mut start = Duration::ZERO;
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for (place, entry) in (1..).zip(entries) {
            let (name, length) = entry.rsplit_once(':').ok_or(PhaseError::NoDuration { place })?;
            let name = name.trim();
            if name.is_empty() {
                return Err(PhaseError::NoName { place });
            }
            let length = parse_duration(length.trim())
                .map_err(|source| PhaseError::Duration { place, source })?;
            let end = start + length;
            list.push(Phase { name: name.to_owned(), start, end });
            start = end;
        }
        match list.len() {
            0 => Err(PhaseError::None),
            1..=PHASES_MAX => Ok(Self { list }),
            more => Err(PhaseError::TooMany(more)),
        }
    }

    /// In order of time.
    #[must_use]
    pub fn list(&self) -> &[Phase] {
        &self.list
    }

    /// From the start of the first to the end of the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.list.last().map_or(Duration::ZERO, |phase| phase.end)
    }

    /// The phases of a run that ended `at` after its start: what was to come later is left out.
    #[must_use]
    pub fn until(&self, at: Duration) -> Self {
        let begun =
            self.list.iter().enumerate().filter(|&(place, phase)| place == 0 || phase.start < at);
        let cut = |phase: &Phase| Phase { end: phase.end.min(at), ..phase.clone() };
        Self { list: begun.map(|(_, phase)| cut(phase)).collect() }
    }

    /// Place of the phase that `at` nanoseconds after the start lies in (P1); the last one for what lies behind.
    #[must_use]
    pub fn place_of(&self, at: u64) -> usize {
        let at = Duration::from_nanos(at);
        let behind = self.list.iter().position(|phase| at < phase.end);
        behind.unwrap_or(self.list.len() - 1)
    }
}

/// Reads a duration such as `10s`, `1.5s`, `500ms`, `100us`, `2m`, `1h`: above zero, a day at most.
///
/// # Errors
///
/// [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| DurationError::Number)?;
    let seconds = match unit.trim() {
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(DurationError::Unit),
    };
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)?;
    match duration {
        short if short < Duration::from_micros(1) => Err(DurationError::Zero),
        long if long > DURATION_MAX => Err(DurationError::TooLong),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other() {
        let phases = Phases::parse("before:10s, leader killed:500ms,\nafter: 2m").unwrap();
        let spans: Vec<_> =
            phases.list().iter().map(|p| (p.name.as_str(), p.start, p.end)).collect();
        let ms = Duration::from_millis;
        assert_eq!(
            spans,
            [
                ("before", ms(0), ms(10_000)),
                ("leader killed", ms(10_000), ms(10_500)),
                ("after", ms(10_500), ms(130_500)),
            ]
        );
        assert_eq!(phases.duration(), ms(130_500));
    }

    #[test]
    fn p1_the_scheduled_moment_names_the_phase() {
        let phases = Phases::parse("a:1s,b:1s").unwrap();
        let places = [0, 999_999_999, 1_000_000_000, 1_999_999_999, 5_000_000_000]
            .map(|at| phases.place_of(at));
        assert_eq!(places, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn a_run_that_ended_early_has_the_phases_that_had_begun() {
        let phases = Phases::parse("a:1s,b:1s,c:1s").unwrap();
        let ms = Duration::from_millis;
        let ends = |at| {
            let phases = phases.until(ms(at));
            phases.list().iter().map(|phase| phase.end.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!((ends(0), ends(400)), (vec![0], vec![400]));
        assert_eq!((ends(1_000), ends(1_500)), (vec![1_000], vec![1_000, 1_500]));
        assert_eq!(
            (ends(3_000), phases.until(ms(5_000))),
            (vec![1_000, 2_000, 3_000], phases.clone())
        );
    }

    #[test]
    fn a_name_may_hold_a_colon() {
        assert_eq!(Phases::parse("step 1: warm up:3s").unwrap().list()[0].name, "step 1: warm up");
    }

    #[test]
    fn faults_name_their_place() {
        assert_eq!(Phases::parse(" , "), Err(PhaseError::None));
        assert_eq!(Phases::parse("a:1s,b"), Err(PhaseError::NoDuration { place: 2 }));
        assert_eq!(Phases::parse(":1s"), Err(PhaseError::NoName { place: 1 }));
        let zero = PhaseError::Duration { place: 1, source: DurationError::Zero };
        assert_eq!(Phases::parse("a:0s"), Err(zero));
        assert_eq!(Phases::parse(&"a:1s,".repeat(65)), Err(PhaseError::TooMany(65)));
    }

    #[test]
    fn durations_have_units() {
        let parsed = ["1.5s", "20ms", "7us", "2m", "1h"].map(|text| parse_duration(text).unwrap());
        let micros = [1_500_000, 20_000, 7, 120_000_000, 3_600_000_000];
        assert_eq!(parsed, micros.map(Duration::from_micros));
        assert_eq!(parse_duration("10"), Err(DurationError::Unit));
        assert_eq!(parse_duration("-1s"), Err(DurationError::Number));
        assert_eq!(parse_duration("1.2.3s"), Err(DurationError::Number));
        assert_eq!(parse_duration("25h"), Err(DurationError::TooLong));
    }
}
