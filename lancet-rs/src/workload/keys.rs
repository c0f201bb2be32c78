//! Names of keys and values.
//!
//! Invariants:
//! - K1. Of four keys, three hold text and one a number, and their names say so (`k…`, `n…`): increments meet numbers,
//!   appends meet text, and scans meet both.
//! - K2. Values of 24 bytes or more are all different, whichever thread made them: a reply that shows a value names the
//!   write that it came from, which is what makes a history strong.

use core::fmt::Write as _;

use rand::{Rng, RngExt};

/// Longest name of a key, in bytes.
pub const KEY_MAX: usize = 9;

/// A key, by number and sort.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// Which one of its sort.
    pub number: u32,
    /// What it holds.
    pub sort: Sort,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sort {
    /// Bytes that grow by appends.
    Text,
    /// A decimal number.
    Number,
}

impl Key {
    /// Any of `keys` keys of this sort: three quarters of them, rounded up, are text (K1).
    pub fn draw(sort: Sort, keys: u32, random: &mut impl Rng) -> Self {
        let numbers = keys / 4;
        let count = match sort {
            Sort::Text => keys - numbers,
            Sort::Number => numbers.max(1),
        };
        Self { number: random.random_range(0..count), sort }
    }

    /// Writes the name to `name`, replacing what it holds.
    pub fn name(&self, name: &mut String) {
        let letter = match self.sort {
            Sort::Text => 'k',
            Sort::Number => 'n',
        };
        name.clear();
        // Writing to a string cannot fail.
        let _ = write!(name, "{letter}{:08}", self.number);
    }
}

/// Writes the value number `count` of `thread` to `value`, `len` bytes long, replacing what it holds (K2).
pub fn value(thread: u32, count: u64, len: usize, value: &mut String) {
    value.clear();
    // Writing to a string cannot fail.
    let _ = write!(value, "{thread}:{count};");
    while value.len() < len {
        value.push_str("................................");
    }
    value.truncate(len);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn k1_keys_of_both_sorts_are_all_drawn() {
        let mut random = stream(1, 0, Purpose::Requests);
        let mut name = String::new();
        for (sort, wanted) in [(Sort::Text, 75), (Sort::Number, 25)] {
            let mut names = BTreeSet::new();
            for _ in 0..5_000 {
                Key::draw(sort, 100, &mut random).name(&mut name);
                assert!(name.len() <= KEY_MAX);
                names.insert(name.clone());
            }
            assert_eq!(names.len(), wanted);
        }
        Key { number: 7, sort: Sort::Number }.name(&mut name);
        assert_eq!(name, "n00000007");
    }

    #[test]
    fn a_single_key_serves_both_sorts() {
        let mut random = stream(1, 0, Purpose::Requests);
        assert_eq!(Key::draw(Sort::Text, 1, &mut random).number, 0);
        assert_eq!(Key::draw(Sort::Number, 1, &mut random).number, 0);
    }

    #[test]
    fn k2_values_differ_by_thread_and_count_and_have_their_length() {
        let mut values = BTreeSet::new();
        let mut text = String::new();
        for thread in 0..20 {
            for count in 0..500 {
                value(thread, count, 24, &mut text);
                assert_eq!(text.len(), 24);
                values.insert(text.clone());
            }
        }
        assert_eq!(values.len(), 20 * 500);
        value(255, u64::MAX / 1_000, 24, &mut text);
        assert!(text.contains(';'), "a long count still fits");
        value(1, 2, 3, &mut text);
        assert_eq!(text, "1:2");
    }
}
