//! Synthetic service: the `stss` requests of the published load generators (wire.md 3.2).
//!
//! ```text
//!            0              8               16            24
//!           +--------------+---------------+-------------+-----------------+
//! request   | service time | body size n   | reply size  | body: n bytes   |
//!           | i64, µs      | i64           | i64         |                 |
//!           +--------------+---------------+-------------+-----------------+
//! reply     | reply size m | m times 'x'   |          all integers little endian
//!           | i64          |               |
//!           +--------------+---------------+
//! ```
//!
//! Any request may be sent as a write or as a read: the reply is the same, and only writes are counted in the state. A
//! request that is none (cut short, a negative field, a body of another size, a reply above [`REPLY_MAX`]) is answered
//! "failed" with a lone negative size, [`MALFORMED`] or [`TOO_LARGE`].
//!
//! The state is the number of writes executed and a hash over them, indexes included, so that nodes with equal states
//! have executed the same writes at the same places.
//!
//! Invariants:
//! - S1. A service reads no clock (design 3): service time is spent in a counted loop, whose speed ([`Pace`]) is measured
//!   once, when the service is made, and is no part of the state.
//! - S2. No bytes make it panic, and no request holds the application longer than [`SERVICE_TIME_MAX_US`].

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
    SnapshotReader,
};
use siphasher::sip::SipHasher13;
use thiserror::Error;

/// The longest reply after its size field, in bytes.
pub const REPLY_MAX: u64 = 1 << 20;

/// Longer service times are cut to this, in microseconds.
pub const SERVICE_TIME_MAX_US: u64 = 100_000;

/// Size field of the answer to bytes that are no request.
pub const MALFORMED: i64 = -1;

/// Size field of the answer to a request whose reply is too large, for the service or for the transport.
pub const TOO_LARGE: i64 = -2;

const HEADER_LEN: usize = 24;
const MAGIC: [u8; 4] = *b"HCST";
const VERSION: u16 = 1;

/// A request: what to spend and what to send back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// How long to compute, in microseconds.
    pub service_time_us: u64,
    /// Bytes of 'x' wanted in the reply.
    pub reply_size: u64,
    /// Bytes that only travel.
    pub body: &'a [u8],
}

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RequestError {
    /// Cut short, a negative field, or a body of another size than it says.
    #[error("not an stss request")]
    Malformed,
    /// A reply above [`REPLY_MAX`].
    #[error("a reply of {0} bytes: must be at most {REPLY_MAX}")]
    ReplySize(u64),
}

/// How fast the loop is that spends service time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    rounds_per_us: u64,
}

/// The service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Synthetic {
    pace: Pace,
    writes: u64,
    hash: u64,
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the first thing wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RequestError> {
        let (header, body) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(RequestError::Malformed)?;
        let (fields, _) = header.as_chunks::<8>();
        let field = |at: usize| {
            u64::try_from(i64::from_le_bytes(fields[at])).map_err(|_| RequestError::Malformed)
        };
        let (service_time_us, body_size, reply_size) = (field(0)?, field(1)?, field(2)?);
        if u64::try_from(body.len()) != Ok(body_size) {
            return Err(RequestError::Malformed);
        }
        if reply_size > REPLY_MAX {
            return Err(RequestError::ReplySize(reply_size));
        }
        Ok(Self { service_time_us, reply_size, body })
    }

    /// Replaces what `buffer` holds by the request's bytes. Numbers above `i64::MAX` are cut to it.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        let body_size = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        for field in [self.service_time_us, body_size, self.reply_size] {
            buffer.extend_from_slice(&i64::try_from(field).unwrap_or(i64::MAX).to_le_bytes());
        }
        buffer.extend_from_slice(self.body);
    }
}

impl Pace {
    /// Spends no time, for simulations and checks.
    pub const NONE: Self = Self { rounds_per_us: 0 };

    /// Measures this machine for some ten milliseconds; the fastest of several runs counts, so that being put off the
    /// core does not make the loop seem slow.
    #[must_use]
    pub fn measure() -> Self {
        const ROUNDS: u64 = 1 << 20;
        let fastest_ns = (0..8).map(|_| {
            let start = Instant::now();
            spin(ROUNDS);
            start.elapsed().as_nanos()
        });
        let fastest_ns = fastest_ns.min().unwrap_or(1).max(1);
        let rounds = u128::from(ROUNDS) * 1_000 / fastest_ns;
        Self { rounds_per_us: u64::try_from(rounds).unwrap_or(u64::MAX).clamp(1, 1 << 20) }
    }

    fn spend(self, service_time_us: u64) {
        spin(service_time_us.min(SERVICE_TIME_MAX_US) * self.rounds_per_us);
    }
}

impl Synthetic {
    /// Nothing executed yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, writes: 0, hash: 0 }
    }

    /// Writes executed.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    fn answer(&self, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        let size = match Request::parse(request) {
            Ok(request) => {
                self.pace.spend(request.service_time_us);
                i64::try_from(request.reply_size).unwrap_or(i64::MAX)
            }
            Err(RequestError::Malformed) => MALFORMED,
            Err(RequestError::ReplySize(_)) => TOO_LARGE,
        };
        reply.write(&size.to_le_bytes());
        if let Ok(count) = usize::try_from(size) {
            reply.fill(b'x', count);
        }
        if reply.overflowed() {
            reply.clear();
            reply.write(&TOO_LARGE.to_le_bytes());
            return Outcome::Failed;
        }
        if size < 0 { Outcome::Failed } else { Outcome::Done }
    }
}

impl Service for Synthetic {
    fn execute(&mut self, context: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        self.writes += 1;
        self.hash = SipHasher13::new_with_keys(self.hash, context.index).hash(request);
        self.answer(request, reply)
    }

    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        Ok(self.answer(request, reply))
    }

    /// Magic, version u16, writes u64, hash u64, big endian.
    fn snapshot(&self) -> Box<dyn Snapshot> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.writes.to_be_bytes());
        bytes.extend_from_slice(&self.hash.to_be_bytes());
        Box::new(SnapshotBytes::new(bytes))
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(snapshot);
        let known = reader.array()? == MAGIC && reader.array()? == VERSION.to_be_bytes();
        reader.check(known)?;
        self.writes = u64::from_be_bytes(reader.array()?);
        self.hash = u64::from_be_bytes(reader.array()?);
        reader.end()
    }
}

/// A chain of multiplications: each needs the one before, so that rounds take equal time.
fn spin(rounds: u64) {
    let mut value = black_box(1_u64);
    for _ in 0..rounds {
        value = black_box(value.wrapping_mul(0x5851_F42D_4C95_7F2D));
    }
}

#[cfg(test)]
mod tests;
