//! Requests to the key-value service, mixed so that their history says much.
//!
//! Reads are gets and some scans of up to [`SCAN_LIMIT`] pairs. Writes are puts of values that no other write
//! has, appends and increments that return what they made of the value, compare-and-swaps that expect what this thread
//! last put there, and deletes: a lost, repeated or reordered one shows in a later reply.
//!
//! Invariants:
//! - V1. Every request drawn is one that the service parses, with the tag that its operation has.
//! - V2. What is drawn follows from the thread's stream and its own earlier draws, never from an answer.

use kv::{Failure, Request, Response};
use rand::{Rng, RngExt};

use super::keys::{KEY_MAX, Key, Sort, value};
use super::{Kind, KvShape};

/// Pairs that a scan asks for.
pub const SCAN_LIMIT: u32 = 10;

/// Puts that a thread remembers, to expect them in a compare-and-swap.
const RECENT: usize = 32;

/// Bytes of the longest request beside its values: operation, length of the key, key, two lengths and a flag.
const OVERHEAD: u64 = 1 + 2 + KEY_MAX as u64 + 2 * 4 + 1;

/// What one thread draws from.
#[derive(Clone, Debug)]
pub struct Drawing {
    shape: KvShape,
    thread: u32,
    /// Values made so far.
    values: u64,
    /// Keys put last, with the count that their value was made from; overwritten in turn.
    recent: [Option<(Key, u64)>; RECENT],
    name: String,
    value: String,
    expected: String,
}

/// What kind of reply fits a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// The value, or that there is none.
    Get,
    /// That it is done.
    Put,
    /// That it is done, or that there was nothing.
    Delete,
    /// That it is done, or what stands there instead.
    CompareAndSwap,
    /// The new value, with the suffix in it.
    Append,
    /// The new number.
    Increment,
    /// Pairs in order, at most [`SCAN_LIMIT`].
    Scan,
}

impl Drawing {
    /// Nothing drawn yet.
    #[must_use]
    pub fn new(shape: KvShape, thread: u32) -> Self {
        Self {
            shape,
            thread,
            values: 0,
            recent: [None; RECENT],
            name: String::new(),
            value: String::new(),
            expected: String::new(),
        }
    }

    /// Draws a request into `body`.
    pub fn draw(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> (Kind, Expected) {
        if random.random::<f64>() < self.shape.reads {
            return (Kind::Read, self.draw_read(random, body));
        }
        (Kind::Write, self.draw_write(random, body))
    }

    fn draw_read(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        let sort = if random.random_range(0..4_u32) == 0 { Sort::Number } else { Sort::Text };
        Key::draw(sort, self.shape.keys, random).name(&mut self.name);
        let key = self.name.as_bytes();
        if random.random::<f64>() < self.shape.scans {
            encode(Request::Scan { from: key, limit: SCAN_LIMIT }, body);
            Expected::Scan
        } else {
            encode(Request::Get { key }, body);
            Expected::Get
        }
    }

    fn draw_write(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        match random.random_range(0..100_u32) {
            0..40 => self.put(random, body),
            40..55 => self.append(random, body),
            55..75 => self.increment(random, body),
            75..90 => self.compare_and_swap(random, body),
            _ => self.delete(random, body),
        }
    }

    fn put(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        let key = Key::draw(Sort::Text, self.shape.keys, random);
        key.name(&mut self.name);
        let count = self.make_value();
        self.remember(key, count);
        encode(Request::Put { key: self.name.as_bytes(), value: self.value.as_bytes() }, body);
        Expected::Put
    }

    fn append(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        Key::draw(Sort::Text, self.shape.keys, random).name(&mut self.name);
        self.make_value();
        encode(Request::Append { key: self.name.as_bytes(), suffix: self.value.as_bytes() }, body);
        Expected::Append
    }

    fn increment(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        Key::draw(Sort::Number, self.shape.keys, random).name(&mut self.name);
        let by = random.random_range(-9..=99);
        encode(Request::Increment { key: self.name.as_bytes(), by }, body);
        Expected::Increment
    }

    fn compare_and_swap(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        let remembered = self.recent[random.random_range(0..RECENT)];
        // Before much was put: expect a key to be absent.
        let fresh = || (Key::draw(Sort::Text, self.shape.keys, random), None);
        let (key, put) = remembered.map_or_else(fresh, |(key, count)| (key, Some(count)));
        key.name(&mut self.name);
        if let Some(count) = put {
            value(self.thread, count, self.value_len(), &mut self.expected);
        }
        let count = self.make_value();
        self.remember(key, count);
        let request = Request::CompareAndSwap {
            key: self.name.as_bytes(),
            expected: put.map(|_| self.expected.as_bytes()),
            value: self.value.as_bytes(),
        };
        encode(request, body);
        Expected::CompareAndSwap
    }

    fn delete(&mut self, random: &mut impl Rng, body: &mut Vec<u8>) -> Expected {
        let sort = if random.random_range(0..4_u32) == 0 { Sort::Number } else { Sort::Text };
        Key::draw(sort, self.shape.keys, random).name(&mut self.name);
        encode(Request::Delete { key: self.name.as_bytes() }, body);
        Expected::Delete
    }

    /// Makes a value that nobody has; returns its count.
    fn make_value(&mut self) -> u64 {
        self.values += 1;
        value(self.thread, self.values, self.value_len(), &mut self.value);
        self.values
    }

    fn value_len(&self) -> usize {
        usize::try_from(self.shape.value).unwrap_or(usize::MAX)
    }

    fn remember(&mut self, key: Key, count: u64) {
        let place = usize::try_from(count % RECENT as u64).unwrap_or(0);
        self.recent[place] = Some((key, count));
    }
}

/// The longest request that can be drawn, in bytes.
#[must_use]
pub fn request_max(shape: &KvShape) -> u64 {
    OVERHEAD + 2 * u64::from(shape.value)
}

/// The longest reply to a get of a value as it was put, in bytes; appends make longer ones, which the service may refuse.
#[must_use]
pub fn reply_max(shape: &KvShape) -> u64 {
    1 + 4 + u64::from(shape.value)
}

fn encode(request: Request<'_>, body: &mut Vec<u8>) {
    let encoded = request.encode(body);
    assert!(encoded.is_ok(), "V1: keys and values are within the service's limits");
}

impl Expected {
    /// Whether `reply` is one of the service that fits the request. A service that is full still answers.
    #[must_use]
    pub fn accepts(self, reply: &[u8]) -> bool {
        let Ok(response) = Response::parse(reply) else { return false };
        match (self, response) {
            (_, Response::Failed(failure)) => {
                // The requests are well formed (V1), and numbers stand where numbers are expected (keys.rs, K1).
                !matches!(failure, Failure::Request | Failure::KeyTooLong | Failure::NotANumber)
            }
            (Self::Get, Response::Value(_) | Response::Absent)
            | (Self::Put | Self::CompareAndSwap, Response::Done)
            | (Self::CompareAndSwap, Response::Conflict(_))
            | (Self::Delete, Response::Done | Response::Absent)
            | (Self::Append, Response::Value(_))
            | (Self::Increment, Response::Integer(_)) => true,
            (Self::Scan, Response::Pairs(pairs)) => {
                pairs.len() <= SCAN_LIMIT
                    && pairs.iter().zip(pairs.iter().skip(1)).all(|(low, high)| low.0 < high.0)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
