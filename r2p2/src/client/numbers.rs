//! Numbers for requests: which is next, and which is the lowest that is neither answered nor given up.
//!
//! Invariants:
//! - N1. In a session a number is given out only within the window above the floor.
//! - N2. A plain id is given out again only after 65,536 others, and fewer than 32,768 within a plain window (HC7c).

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Instant;

use super::config::Mode;

/// Numbers whose end is remembered.
const REACH: u64 = 65_536;

/// Ids that are counted together.
const BLOCK: u64 = 256;

/// Blocks that may begin within a plain window: with what is left of one before, fewer than 32,768 ids.
const BLOCKS: u64 = 126;

#[derive(Clone, Debug)]
pub(super) struct Numbers {
    mode: Mode,
    first: u64,
    next: u64,
    floor: u64,
    /// Session: numbers from the floor on that have ended, by number modulo [`REACH`].
    ended: Vec<u64>,
    /// Plain: when each of the last [`BLOCKS`] blocks began.
    began: Vec<Option<Instant>>,
}

impl Numbers {
    /// Numbers of a session begin at 1; others anywhere (`start`), so that a client that was started again does not
    /// use those of its earlier life.
    pub(super) fn new(mode: Mode, start: u64) -> Self {
        let first = match mode {
            Mode::Session => 1,
            Mode::Sessionless => 1 + (start >> 1),
            Mode::Plain => REACH + start % REACH,
        };
        let words = if mode == Mode::Session { REACH / 64 } else { 0 };
        let blocks = if mode == Mode::Plain { BLOCKS } else { 0 };
        Self {
            mode,
            first,
            next: first,
            floor: first,
            ended: vec![0; usize::try_from(words).unwrap_or(0)],
            began: vec![None; usize::try_from(blocks).unwrap_or(0)],
        }
    }

    /// Begins a session's numbers anew.
    pub(super) fn restart(&mut self) {
        (self.next, self.floor) = (self.first, self.first);
        self.ended.fill(0);
    }

    /// The next number, if one may be given out now.
    pub(super) fn peek(
        &mut self,
        now: Instant,
        window: u64,
        plain_window: Duration,
    ) -> Option<u64> {
        match self.mode {
            Mode::Session if self.next - self.floor >= window.min(REACH / 2) => None,
            Mode::Plain if self.next.is_multiple_of(BLOCK) || self.next == self.first => {
                let at = usize::try_from(self.next / BLOCK % BLOCKS).unwrap_or(0);
                if self.began[at].is_some_and(|began| began + plain_window > now) {
                    return None;
                }
                Some(self.next)
            }
            _ => Some(self.next),
        }
    }

    /// Gives out what [`Self::peek`] showed; `used` is false when a plain id is still alive and only passed over.
    pub(super) fn take(&mut self, now: Instant) {
        if self.mode == Mode::Plain && (self.next.is_multiple_of(BLOCK) || self.next == self.first)
        {
            let at = usize::try_from(self.next / BLOCK % BLOCKS).unwrap_or(0);
            self.began[at] = Some(now);
        }
        self.next += 1;
    }

    /// A session's number was answered or given up; the floor rises over all that have ended.
    pub(super) fn end(&mut self, number: u64) {
        if self.mode != Mode::Session {
            return;
        }
        let (word, bit) = Self::place(number);
        self.ended[word] |= bit;
        while self.floor < self.next {
            let (word, bit) = Self::place(self.floor);
            if self.ended[word] & bit == 0 {
                return;
            }
            self.ended[word] &= !bit;
            self.floor += 1;
        }
    }

    /// How far `number` is above the floor; 0 without a session.
    pub(super) fn above_floor(&self, number: u64) -> u16 {
        match self.mode {
            Mode::Session => u16::try_from(number - self.floor).unwrap_or(u16::MAX),
            _ => 0,
        }
    }

    /// Whether a number lies within `window` above the floor.
    pub(super) fn is_within(&self, number: u64, window: u64) -> bool {
        self.mode != Mode::Session || number - self.floor < window
    }

    /// The last number given out whose low 16 bits are `request_id`.
    pub(super) fn by_request_id(&self, request_id: u16) -> Option<u64> {
        let last = self.next.checked_sub(1)?;
        let back = last.wrapping_sub(request_id.into()) % REACH;
        last.checked_sub(back).filter(|number| self.was_given(*number))
    }

    /// Whether a number was given out.
    pub(super) fn was_given(&self, number: u64) -> bool {
        (self.first..self.next).contains(&number)
    }

    fn place(number: u64) -> (usize, u64) {
        let at = number % REACH;
        (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    #[test]
    fn n1_the_floor_waits_for_the_lowest_number_and_the_window_for_the_floor() {
        let mut numbers = Numbers::new(Mode::Session, 99);
        let mut taken = Vec::new();
        while let Some(number) = numbers.peek(Duration::ZERO, 4, WINDOW) {
            numbers.take(Duration::ZERO);
            taken.push(number);
        }
        assert_eq!(taken, [1, 2, 3, 4]);
        numbers.end(2);
        numbers.end(3);
        assert_eq!((numbers.above_floor(4), numbers.peek(Duration::ZERO, 4, WINDOW)), (3, None));
        numbers.end(1);
        assert_eq!((numbers.above_floor(4), numbers.peek(Duration::ZERO, 4, WINDOW)), (0, Some(5)));
        assert!(numbers.is_within(7, 4) && !numbers.is_within(8, 4));
    }

    #[test]
    fn the_floor_goes_round_the_ring() {
        let mut numbers = Numbers::new(Mode::Session, 0);
        for number in 1..=200_000 {
            assert_eq!(numbers.peek(Duration::ZERO, 2, WINDOW), Some(number));
            numbers.take(Duration::ZERO);
            numbers.end(number);
            assert_eq!(numbers.by_request_id(crate::fragment::low_16(number)), Some(number));
        }
    }

    #[test]
    fn n2_plain_ids_are_paced_by_the_window_wherever_they_begin() {
        for start in [0, 1, 255, 65_535] {
            let mut numbers = Numbers::new(Mode::Plain, start);
            let take_all = |numbers: &mut Numbers, now| {
                let mut taken = 0;
                while numbers.peek(now, 0, WINDOW).is_some() {
                    numbers.take(now);
                    taken += 1;
                }
                taken
            };
            let first = take_all(&mut numbers, Duration::ZERO);
            assert!((31_000..32_768).contains(&first), "{first} from {start}");
            assert_eq!(take_all(&mut numbers, Duration::from_millis(999)), 0);
            assert!(take_all(&mut numbers, WINDOW) < 32_768);
        }
    }
}
