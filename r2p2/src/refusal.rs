//! DROP: one packet of a request was refused (wire.md 1.5 and 6; HC10).
//!
//! A plain DROP carries the four bytes `DROP`. With the extension: reason, then microseconds (u32, big endian) after
//! which to try again, 0 = no hint. No DROP says that no other copy of the request is on its way.

use core::time::Duration;

use crate::packet::ParseError;

/// Payload of a plain DROP.
pub const PLAIN_DROP: [u8; 4] = *b"DROP";

/// Payload bytes of a DROP with the extension.
pub const REFUSAL_LEN: usize = 5;

/// What a DROP with the extension says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Microseconds after which to try again; 0 = no hint.
    pub retry_after_us: u32,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Reason {
    /// Too much to do; the request may be repeated.
    Overload = 1,
    /// The session is unknown: expired, closed, or of another life of the cluster.
    UnknownSession = 2,
    /// The number lies above the session's window.
    AboveWindow = 3,
    /// A read that is none.
    ChangesState = 4,
    /// Longer than the service takes.
    TooLarge = 5,
    /// Mode `raft` only: this node knows no leader to pass the request to.
    NoLeader = 6,
    /// It was done, and its reply is not kept.
    NotKept = 7,
    /// The service failed or stopped.
    Failed = 8,
}

impl Refusal {
    /// A refusal without a hint.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, retry_after_us: 0 }
    }

    /// How long to wait, if the refusal says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_us != 0).then(|| Duration::from_micros(self.retry_after_us.into()))
    }

    /// Reads the payload of a DROP with the extension.
    ///
    /// # Errors
    ///
    /// [`ParseError::Payload`] for another length or an unknown reason.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let bad = ParseError::Payload(payload.len());
        let &[reason, a, b, c, d] = payload else { return Err(bad) };
        let reason = match reason {
            1 => Reason::Overload,
            2 => Reason::UnknownSession,
            3 => Reason::AboveWindow,
            4 => Reason::ChangesState,
            5 => Reason::TooLarge,
            6 => Reason::NoLeader,
            7 => Reason::NotKept,
            8 => Reason::Failed,
            _ => return Err(bad),
        };
        Ok(Self { reason, retry_after_us: u32::from_be_bytes([a, b, c, d]) })
    }

    /// The payload.
    #[must_use]
    pub fn emit(&self) -> [u8; REFUSAL_LEN] {
        let [a, b, c, d] = self.retry_after_us.to_be_bytes();
        [self.reason as u8, a, b, c, d]
    }
}
