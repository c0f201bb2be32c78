//! The state: keys in order, values, and what each request does to them.
//!
//! Keys and values are shared with snapshots by count of references: taking a snapshot copies pointers only, and a value
//! is copied when it is written while a snapshot still has it. Otherwise a write goes into the value's own buffer, so
//! that overwriting with an equal or shorter value allocates nothing.
//!
//! A buffer is given up for a smaller one when more than 4 KiB and three quarters of it would lie idle; so the memory for
//! values stays within four times what [`Capacity`] counts plus 4 KiB for each key.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use r2p2::service::{ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot};

use crate::request::{Request, RequestError};
use crate::response::{
    Failure, PAIR_OVERHEAD, PAIRS_HEADER_LEN, Response, write_pair, write_pairs_header,
};
use crate::snapshot::{self, KvSnapshot};
use crate::{VALUE_MAX, response};

/// A buffer with less idle room than this is kept whatever it holds, in bytes.
const IDLE_MAX: usize = 4_096;

/// Keys and values; cheap to clone, in key order.
pub(crate) type Map = BTreeMap<Arc<[u8]>, Arc<Vec<u8>>>;

/// What a store may hold. It decides answers, so it must be equal on all nodes, and is part of snapshots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    /// Keys, at most.
    pub keys: u64,
    /// Bytes of keys and values together, at most.
    pub bytes: u64,
}

/// The store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kv {
    map: Map,
    /// Bytes of all keys and values.
    bytes: u64,
    capacity: Capacity,
}

impl Default for Capacity {
    /// A million keys, 256 MiB.
    fn default() -> Self {
        Self { keys: 1 << 20, bytes: 256 << 20 }
    }
}

impl Kv {
    /// An empty store.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self { map: Map::new(), bytes: 0, capacity }
    }

    /// A store that holds what a snapshot held.
    pub(crate) fn from_parts(map: Map, bytes: u64, capacity: Capacity) -> Self {
        Self { map, bytes, capacity }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.map.get(key).map(|value| value.as_slice())
    }

    fn scan(&self, from: &[u8], limit: u32, reply: &mut Reply<'_>) -> Result<(), Failure> {
        let mut room = reply.room().checked_sub(PAIRS_HEADER_LEN).ok_or(Failure::ReplyTooLong)?;
        let pairs = || self.map.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let mut count = 0;
        let mut more = false;
        for (key, value) in pairs() {
            let len = PAIR_OVERHEAD + key.len() + value.len();
            more = count == limit || len > room;
            if more {
                break;
            }
            room -= len;
            count += 1;
        }
        if more && count == 0 && limit > 0 {
            // An empty answer that says "more" would be asked for again for ever.
            return Err(Failure::ReplyTooLong);
        }
        write_pairs_header(reply, more, count);
        for ((key, value), _) in pairs().zip(0..count) {
            write_pair(reply, key, value);
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        match self.map.get_mut(key) {
            Some(old) => {
                self.bytes = self.capacity.replace(self.bytes, old.len(), value.len())?;
                overwrite(old, value);
            }
            None => {
                self.bytes = self.capacity.insert(self.map.len(), self.bytes, key, value.len())?;
                self.map.insert(key.into(), Arc::new(value.to_vec()));
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Response<'static> {
        let Some(value) = self.map.remove(key) else { return Response::Absent };
        self.bytes -= to_u64(key.len() + value.len());
        Response::Done
    }

    fn swap(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let held = self.get(key);
        if held == expected {
            self.put(key, value)?;
            return answer(&Response::Done, reply);
        }
        answer(&Response::Conflict(held), reply)
    }

    fn append(&mut self, key: &[u8], suffix: &[u8], reply: &mut Reply<'_>) -> Result<(), Failure> {
        let len = self.get(key).map_or(0, <[u8]>::len) + suffix.len();
        if len > VALUE_MAX {
            return Err(Failure::ValueTooLong);
        }
        // K2: what cannot be answered is not done.
        if response::value_answer_len(len) > reply.room() {
            return Err(Failure::ReplyTooLong);
        }
        let value = match self.map.get_mut(key) {
            Some(value) => {
                self.bytes = self.capacity.replace(self.bytes, value.len(), len)?;
                Arc::make_mut(value).extend_from_slice(suffix);
                value
            }
            None => {
                self.bytes = self.capacity.insert(self.map.len(), self.bytes, key, len)?;
                self.map.entry(key.into()).or_insert_with(|| Arc::new(suffix.to_vec()))
            }
        };
        answer(&Response::Value(value), reply)
    }

    fn increment(&mut self, key: &[u8], by: i64, reply: &mut Reply<'_>) -> Result<(), Failure> {
        let value = self.get(key).map_or(Some(0), parse_number).ok_or(Failure::NotANumber)?;
        let sum = value.checked_add(by).ok_or(Failure::Overflow)?;
        let response = Response::Integer(sum);
        if response.encoded_len() > reply.room() {
            return Err(Failure::ReplyTooLong);
        }
        let mut digits = [0; NUMBER_LEN_MAX];
        self.put(key, format_number(sum, &mut digits))?;
        answer(&response, reply)
    }

    fn write(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
        match *request {
            Request::Put { key, value } => {
                fits(&Response::Done, reply)?;
                self.put(key, value)?;
                answer(&Response::Done, reply)
            }
            Request::Delete { key } => {
                fits(&Response::Done, reply)?;
                answer(&self.delete(key), reply)
            }
            Request::CompareAndSwap { key, expected, value } => {
                fits(&Response::Done, reply)?;
                self.swap(key, expected, value, reply)
            }
            Request::Append { key, suffix } => self.append(key, suffix, reply),
            Request::Increment { key, by } => self.increment(key, by, reply),
            Request::Get { .. } | Request::Scan { .. } => self.read(request, reply),
        }
    }

    fn read(&self, request: &Request<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
        match *request {
            Request::Get { key } => {
                answer(&self.get(key).map_or(Response::Absent, Response::Value), reply)
            }
            Request::Scan { from, limit } => self.scan(from, limit, reply),
            _ => Err(Failure::Request),
        }
    }
}

impl Service for Kv {
    fn execute(&mut self, _: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        let result = match Request::parse(request) {
            Ok(request) => self.write(&request, reply),
            Err(error) => Err(error.into()),
        };
        conclude(result, reply)
    }

    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        let result = match Request::parse(request) {
            Ok(request) if request.is_read() => self.read(&request, reply),
            Ok(_) => return Err(ChangesState),
            Err(error) => Err(error.into()),
        };
        Ok(conclude(result, reply))
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(KvSnapshot::new(self.map.clone(), self.capacity))
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        *self = snapshot::restore(snapshot)?;
        Ok(())
    }
}

impl Capacity {
    /// Bytes in use once a value of `from` bytes is one of `to` bytes.
    fn replace(&self, bytes: u64, from: usize, to: usize) -> Result<u64, Failure> {
        let bytes = bytes - to_u64(from) + to_u64(to);
        if to > from && bytes > self.bytes { Err(Failure::Full) } else { Ok(bytes) }
    }

    /// Bytes in use once `key` is there too.
    fn insert(&self, keys: usize, bytes: u64, key: &[u8], value: usize) -> Result<u64, Failure> {
        let bytes = bytes + to_u64(key.len() + value);
        let full = to_u64(keys) >= self.keys || bytes > self.bytes;
        if full { Err(Failure::Full) } else { Ok(bytes) }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Key(_) => Self::KeyTooLong,
            RequestError::Value(_) => Self::ValueTooLong,
            _ => Self::Request,
        }
    }
}

fn fits(response: &Response<'_>, reply: &Reply<'_>) -> Result<(), Failure> {
    if response.encoded_len() > reply.room() { Err(Failure::ReplyTooLong) } else { Ok(()) }
}

fn answer(response: &Response<'_>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    fits(response, reply)?;
    response.write(reply);
    Ok(())
}

fn conclude(result: Result<(), Failure>, reply: &mut Reply<'_>) -> Outcome {
    let Err(failure) = result else { return Outcome::Done };
    reply.clear();
    Response::Failed(failure).write(reply);
    Outcome::Failed
}

/// Writes `value` into the buffer of `old`, unless a snapshot has it or it is far too large.
fn overwrite(old: &mut Arc<Vec<u8>>, value: &[u8]) {
    match Arc::get_mut(old) {
        Some(held) if !wasteful(held.capacity(), value.len()) => {
            held.clear();
            held.extend_from_slice(value);
        }
        _ => *old = Arc::new(value.to_vec()),
    }
}

fn wasteful(capacity: usize, len: usize) -> bool {
    capacity - len.min(capacity) > IDLE_MAX && len < capacity / 4
}

/// Bytes of the longest decimal number of 64 bits.
const NUMBER_LEN_MAX: usize = 20;

/// A decimal number as [`format_number`] writes it: nothing else is a number, so that each has one form.
fn parse_number(value: &[u8]) -> Option<i64> {
    let number = std::str::from_utf8(value).ok()?.parse().ok()?;
    let mut digits = [0; NUMBER_LEN_MAX];
    (format_number(number, &mut digits) == value).then_some(number)
}

fn format_number(number: i64, digits: &mut [u8; NUMBER_LEN_MAX]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        // The remainder is one digit.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
