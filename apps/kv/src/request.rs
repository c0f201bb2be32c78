//! What a client asks of the store, and its bytes.
//!
//! ```text
//!  0    1        3          3+k
//! +----+--------+----------+------------------------------------------------------+
//! | op | key    | key      | get, delete   nothing                                |
//! | u8 | length | k bytes  | put           value                                  |
//! |    | u16    |          | swap          0, value | 1, expected value, value    |
//! |    |        |          | append        value: what to add at the end          |
//! |    |        |          | increment     i64                                    |
//! |    |        |          | scan          u32: pairs wanted, at most             |
//! +----+--------+----------+------------------------------------------------------+
//! value = length u32, bytes        op = 1 get, 2 put, 3 delete, 4 compare-and-swap,
//! all integers big endian               5 append, 6 increment, 7 scan
//! ```
//!
//! Nothing follows the last field. The key of a scan is the first one wanted: empty for all.

use thiserror::Error;

use crate::fields::{FieldError, Fields, key_len, value_len};
use crate::{KEY_MAX, VALUE_MAX};

const GET: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const COMPARE_AND_SWAP: u8 = 4;
const APPEND: u8 = 5;
const INCREMENT: u8 = 6;
const SCAN: u8 = 7;

/// A request to the store. Keys are up to [`KEY_MAX`], values up to [`VALUE_MAX`] bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    /// The value of `key`: `Value` or `Absent`.
    Get {
        /// Which key.
        key: &'a [u8],
    },
    /// Sets `key` to `value`: `Done`.
    Put {
        /// Which key.
        key: &'a [u8],
        /// Its value from now on.
        value: &'a [u8],
    },
    /// Removes `key`: `Done`, or `Absent` when there was none.
    Delete {
        /// Which key.
        key: &'a [u8],
    },
    /// Sets `key` to `value` if it now has the value `expected`: `Done`, or `Conflict` with what it has.
    CompareAndSwap {
        /// Which key.
        key: &'a [u8],
        /// What it must be now; `None` = absent.
        expected: Option<&'a [u8]>,
        /// Its value from then on.
        value: &'a [u8],
    },
    /// Adds `suffix` at the end of the value (of nothing, when absent): `Value`, the new one.
    Append {
        /// Which key.
        key: &'a [u8],
        /// What to add.
        suffix: &'a [u8],
    },
    /// Adds `by` to the value, a decimal number (0 when absent): `Integer`, the new one.
    Increment {
        /// Which key.
        key: &'a [u8],
        /// What to add; may be negative.
        by: i64,
    },
    /// Keys and values in key order: `Pairs`.
    Scan {
        /// The first key wanted, or where it would stand; empty = from the start.
        from: &'a [u8],
        /// Pairs wanted, at most; `u32::MAX` for as many as the reply holds.
        limit: u32,
    },
}

/// Why bytes are no request, or a request has no bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RequestError {
    /// The bytes end before the request does.
    #[error("truncated: {0} bytes")]
    Truncated(usize),
    /// No such operation.
    #[error("unknown operation {0}")]
    Operation(u8),
    /// Neither "absent" nor "value".
    #[error("unknown kind of expected value {0}: must be 0 or 1")]
    Expected(u8),
    /// The key is too long.
    #[error("a key of {0} bytes: must be at most {KEY_MAX}")]
    Key(usize),
    /// The value is too long.
    #[error("a value of {0} bytes: must be at most {VALUE_MAX}")]
    Value(usize),
    /// Bytes after the last field.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

impl<'a> Request<'a> {
    /// Every pair from the first key on, as many as the reply holds.
    pub const FULL_SCAN: Self = Self::Scan { from: b"", limit: u32::MAX };

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the first thing wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RequestError> {
        let mut fields = Fields::new(bytes);
        let request = Self::parse_fields(&mut fields).map_err(|error| match error {
            Broken::Request(error) => error,
            Broken::Field(FieldError::Truncated) => RequestError::Truncated(bytes.len()),
            Broken::Field(FieldError::Key(len)) => RequestError::Key(len),
            Broken::Field(FieldError::Value(len)) => RequestError::Value(len),
        })?;
        match fields.rest().len() {
            0 => Ok(request),
            rest => Err(RequestError::Trailing(rest)),
        }
    }

    fn parse_fields(fields: &mut Fields<'a>) -> Result<Self, Broken> {
        let operation = fields.u8()?;
        if !(GET..=SCAN).contains(&operation) {
            return Err(Broken::Request(RequestError::Operation(operation)));
        }
        let key = fields.key()?;
        Ok(match operation {
            GET => Self::Get { key },
            PUT => Self::Put { key, value: fields.value()? },
            DELETE => Self::Delete { key },
            COMPARE_AND_SWAP => {
                let expected = match fields.u8()? {
                    0 => None,
                    1 => Some(fields.value()?),
                    other => return Err(Broken::Request(RequestError::Expected(other))),
                };
                Self::CompareAndSwap { key, expected, value: fields.value()? }
            }
            APPEND => Self::Append { key, suffix: fields.value()? },
            INCREMENT => Self::Increment { key, by: fields.i64()? },
            _ => Self::Scan { from: key, limit: fields.u32()? },
        })
    }

    /// Replaces what `buffer` holds by the request's bytes.
    ///
    /// # Errors
    ///
    /// [`RequestError::Key`] and [`RequestError::Value`] when a field is too long; `buffer` is then empty.
    pub fn encode(&self, buffer: &mut Vec<u8>) -> Result<(), RequestError> {
        buffer.clear();
        let key = self.key();
        if key.len() > KEY_MAX {
            return Err(RequestError::Key(key.len()));
        }
        for value in self.values().into_iter().flatten() {
            if value.len() > VALUE_MAX {
                return Err(RequestError::Value(value.len()));
            }
        }
        buffer.push(self.operation());
        buffer.extend_from_slice(&key_len(key));
        buffer.extend_from_slice(key);
        match *self {
            Self::CompareAndSwap { expected, .. } => buffer.push(u8::from(expected.is_some())),
            Self::Increment { by, .. } => buffer.extend_from_slice(&by.to_be_bytes()),
            Self::Scan { limit, .. } => buffer.extend_from_slice(&limit.to_be_bytes()),
            _ => {}
        }
        for value in self.values().into_iter().flatten() {
            buffer.extend_from_slice(&value_len(value));
            buffer.extend_from_slice(value);
        }
        Ok(())
    }

    /// The key, or where a scan starts.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Self::Get { key }
            | Self::Put { key, .. }
            | Self::Delete { key }
            | Self::CompareAndSwap { key, .. }
            | Self::Append { key, .. }
            | Self::Increment { key, .. }
            | Self::Scan { from: key, .. } => key,
        }
    }

    /// Whether it changes nothing, and so may be tagged read-only.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::Scan { .. })
    }

    fn operation(&self) -> u8 {
        match self {
            Self::Get { .. } => GET,
            Self::Put { .. } => PUT,
            Self::Delete { .. } => DELETE,
            Self::CompareAndSwap { .. } => COMPARE_AND_SWAP,
            Self::Append { .. } => APPEND,
            Self::Increment { .. } => INCREMENT,
            Self::Scan { .. } => SCAN,
        }
    }

    fn values(&self) -> [Option<&'a [u8]>; 2] {
        match *self {
            Self::Put { value, .. } | Self::Append { suffix: value, .. } => [Some(value), None],
            Self::CompareAndSwap { expected, value, .. } => [expected, Some(value)],
            _ => [None, None],
        }
    }
}

/// What stopped reading.
enum Broken {
    Request(RequestError),
    Field(FieldError),
}

impl From<FieldError> for Broken {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}
