//! What the store answers, and its bytes.
//!
//! ```text
//!  0     1
//! +-----+---------------------------------------------------------------------+
//! | tag | 0 done, 2 absent   nothing                                          |
//! | u8  | 1 value            value                                            |
//! |     | 3 conflict         0 (absent) | 1, value: what the key has           |
//! |     | 4 integer          i64                                              |
//! |     | 5 pairs            more u8 (0, 1), count u32, count times key, value |
//! |     | 6 failed           code u8, see Failure                             |
//! +-----+---------------------------------------------------------------------+
//! key = length u16, bytes     value = length u32, bytes     integers big endian
//! ```
//!
//! Nothing follows the last field.

use r2p2::service::Reply;
use thiserror::Error;

use crate::fields::{FieldError, Fields, key_len, value_len};

const DONE: u8 = 0;
const VALUE: u8 = 1;
const ABSENT: u8 = 2;
const CONFLICT: u8 = 3;
const INTEGER: u8 = 4;
const PAIRS: u8 = 5;
const FAILED: u8 = 6;

/// Bytes of a scan's answer before its first pair.
pub(crate) const PAIRS_HEADER_LEN: usize = 6;

/// Bytes of a pair beside key and value.
pub(crate) const PAIR_OVERHEAD: usize = 6;

/// Bytes of the answer that carries a value of `len` bytes.
pub(crate) fn value_answer_len(len: usize) -> usize {
    5 + len
}

/// An answer of the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Response<'a> {
    /// It is done.
    Done,
    /// The value of the key: as read, or as it is after an append.
    Value(&'a [u8]),
    /// There is no such key.
    Absent,
    /// Not swapped; this is what the key has instead of what was expected.
    Conflict(Option<&'a [u8]>),
    /// The value after an increment.
    Integer(i64),
    /// Part of the store, in key order.
    Pairs(Pairs<'a>),
    /// Refused; nothing has changed.
    Failed(Failure),
}

/// Why the store refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[repr(u8)]
pub enum Failure {
    /// The bytes are no request.
    #[error("not a request of the store")]
    Request = 1,
    /// The key is longer than [`crate::KEY_MAX`].
    #[error("key too long")]
    KeyTooLong = 2,
    /// The value is, or would become, longer than [`crate::VALUE_MAX`].
    #[error("value too long")]
    ValueTooLong = 3,
    /// The store holds as much as it may.
    #[error("store full")]
    Full = 4,
    /// The value to increment is no decimal number of 64 bits.
    #[error("the value is not a number")]
    NotANumber = 5,
    /// The sum does not fit in 64 bits.
    #[error("the number would overflow")]
    Overflow = 6,
    /// The answer does not fit into a reply.
    #[error("answer too long")]
    ReplyTooLong = 7,
}

/// Pairs of a scan, checked whole when parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pairs<'a> {
    more: bool,
    count: u32,
    bytes: &'a [u8],
}

/// The pairs one by one.
#[derive(Clone, Debug)]
pub struct PairsIter<'a> {
    fields: Fields<'a>,
}

/// Bytes that are no answer of the store.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not an answer of the store")]
pub struct ResponseError;

impl<'a> Response<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] when a field is missing, too long or unknown, or bytes follow the last one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ResponseError> {
        let mut fields = Fields::new(bytes);
        let response = match fields.u8()? {
            DONE => Self::Done,
            VALUE => Self::Value(fields.value()?),
            ABSENT => Self::Absent,
            CONFLICT => {
                Self::Conflict(if flag(&mut fields)? { Some(fields.value()?) } else { None })
            }
            INTEGER => Self::Integer(fields.i64()?),
            PAIRS => Self::Pairs(Pairs::parse(&mut fields)?),
            FAILED => Self::Failed(Failure::from_code(fields.u8()?)?),
            _ => return Err(ResponseError),
        };
        if fields.rest().is_empty() { Ok(response) } else { Err(ResponseError) }
    }

    /// Replaces what `buffer` holds by the answer's bytes. Values are at most [`crate::VALUE_MAX`] bytes.
    ///
    /// # Panics
    ///
    /// When a value is longer.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        self.write(&mut Reply::new(buffer, usize::MAX));
    }

    /// Bytes that the answer takes.
    pub(crate) fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Done | Self::Absent => 0,
            Self::Value(value) => value_answer_len(value.len()) - 1,
            Self::Conflict(value) => 1 + value.map_or(0, |value| 4 + value.len()),
            Self::Integer(_) => 8,
            Self::Pairs(pairs) => PAIRS_HEADER_LEN - 1 + pairs.bytes.len(),
            Self::Failed(_) => 1,
        }
    }

    /// Writes the answer at the end of `reply`.
    pub(crate) fn write(&self, reply: &mut Reply<'_>) {
        match *self {
            Self::Done => reply.write(&[DONE]),
            Self::Value(value) => {
                reply.write(&[VALUE]);
                put_value(reply, value);
            }
            Self::Absent => reply.write(&[ABSENT]),
            Self::Conflict(value) => {
                reply.write(&[CONFLICT, u8::from(value.is_some())]);
                if let Some(value) = value {
                    put_value(reply, value);
                }
            }
            Self::Integer(value) => {
                reply.write(&[INTEGER]);
                reply.write(&value.to_be_bytes());
            }
            Self::Pairs(pairs) => {
                write_pairs_header(reply, pairs.more, pairs.count);
                reply.write(pairs.bytes);
            }
            Self::Failed(failure) => reply.write(&[FAILED, failure.code()]),
        }
    }
}

impl Failure {
    const ALL: [Self; 7] = [
        Self::Request,
        Self::KeyTooLong,
        Self::ValueTooLong,
        Self::Full,
        Self::NotANumber,
        Self::Overflow,
        Self::ReplyTooLong,
    ];

    fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Result<Self, ResponseError> {
        Self::ALL.into_iter().find(|failure| failure.code() == code).ok_or(ResponseError)
    }
}

impl<'a> Pairs<'a> {
    fn parse(fields: &mut Fields<'a>) -> Result<Self, ResponseError> {
        let more = flag(fields)?;
        let count = fields.u32()?;
        let bytes = fields.rest();
        // Each pair takes at least `PAIR_OVERHEAD` bytes, so a false count ends with the bytes.
        for _ in 0..count {
            fields.key()?;
            fields.value()?;
        }
        Ok(Self { more, count, bytes })
    }

    /// Whether there is more behind the last pair. The next scan starts at its key followed by a zero byte.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pairs, in key order.
    #[must_use]
    pub fn iter(&self) -> PairsIter<'a> {
        PairsIter { fields: Fields::new(self.bytes) }
    }
}

impl<'a> IntoIterator for &Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = PairsIter<'a>;

    fn into_iter(self) -> PairsIter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for PairsIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Parsed once already: what fails here is the end.
        Some((self.fields.key().ok()?, self.fields.value().ok()?))
    }
}

impl From<FieldError> for ResponseError {
    fn from(_: FieldError) -> Self {
        Self
    }
}

/// Starts the answer to a scan; `count` times [`write_pair`] must follow.
pub(crate) fn write_pairs_header(reply: &mut Reply<'_>, more: bool, count: u32) {
    reply.write(&[PAIRS, u8::from(more)]);
    reply.write(&count.to_be_bytes());
}

/// One pair of the answer to a scan.
pub(crate) fn write_pair(reply: &mut Reply<'_>, key: &[u8], value: &[u8]) {
    reply.write(&key_len(key));
    reply.write(key);
    put_value(reply, value);
}

fn put_value(reply: &mut Reply<'_>, value: &[u8]) {
    reply.write(&value_len(value));
    reply.write(value);
}

fn flag(fields: &mut Fields<'_>) -> Result<bool, ResponseError> {
    match fields.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ResponseError),
    }
}
