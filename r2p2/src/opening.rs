//! Payload of the reply to an opening request (wire.md 6): window in numbers and expiry in milliseconds, two u32.

use core::time::Duration;

use crate::packet::ParseError;

/// Bytes of the payload.
pub const OPENING_REPLY_LEN: usize = 8;

/// What a client learns about its new session; the session itself is in the extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpeningReply {
    /// Numbers above the floor that may be in use.
    pub window: u32,
    /// Log time without an applied entry after which the session is forgotten, in milliseconds.
    pub expiry_ms: u32,
}

impl OpeningReply {
    /// The expiry as a duration.
    #[must_use]
    pub fn expiry(&self) -> Duration {
        Duration::from_millis(self.expiry_ms.into())
    }

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Payload`] for another length.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let &[a, b, c, d, e, f, g, h] = payload else {
            return Err(ParseError::Payload(payload.len()));
        };
        Ok(Self {
            window: u32::from_be_bytes([a, b, c, d]),
            expiry_ms: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// The payload.
    #[must_use]
    pub fn emit(&self) -> [u8; OPENING_REPLY_LEN] {
        zerocopy::transmute!([self.window.to_be_bytes(), self.expiry_ms.to_be_bytes()])
    }
}
