//! Fields of requests, responses and snapshots: big-endian integers, keys and values behind their lengths.

use crate::{KEY_MAX, VALUE_MAX};

/// Why fields could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FieldError {
    /// The bytes end before the field does.
    Truncated,
    /// A key of so many bytes.
    Key(usize),
    /// A value of so many bytes.
    Value(usize),
}

/// Reads fields off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FieldError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FieldError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FieldError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A key: u16 length, bytes.
    pub(crate) fn key(&mut self) -> Result<&'a [u8], FieldError> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        if len > KEY_MAX { Err(FieldError::Key(len)) } else { self.bytes(len) }
    }

    /// A value: u32 length, bytes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], FieldError> {
        let len = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if len > VALUE_MAX { Err(FieldError::Value(len)) } else { self.bytes(len) }
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], FieldError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(FieldError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FieldError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(FieldError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}

/// The length field of a key that is known to be at most [`KEY_MAX`] bytes.
pub(crate) fn key_len(key: &[u8]) -> [u8; 2] {
    let len = u16::try_from(key.len());
    assert!(len.is_ok() && key.len() <= KEY_MAX, "K3: a key of {} bytes", key.len());
    len.unwrap_or_default().to_be_bytes()
}

/// The length field of a value that is known to be at most [`VALUE_MAX`] bytes.
pub(crate) fn value_len(value: &[u8]) -> [u8; 4] {
    let len = u32::try_from(value.len());
    assert!(len.is_ok() && value.len() <= VALUE_MAX, "K3: a value of {} bytes", value.len());
    len.unwrap_or_default().to_be_bytes()
}
