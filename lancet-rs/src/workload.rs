//! What to send: requests drawn from a seeded stream, and what their replies must look like.
//!
//! A [`Workload`] is the plan of a run; each thread draws from a [`Requests`] of its own. What is drawn depends on seed
//! and thread alone, never on an answer, so that a run can be repeated request by request.

pub mod keys;
pub mod kv;
pub mod quantity;
pub mod synthetic;

use thiserror::Error;

use self::kv::{Drawing, Expected};
use self::quantity::QuantityError;
use self::synthetic::Synthetic;
use crate::random::{Purpose, Stream, stream};

/// Whether a request may change state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// It may.
    Write,
    /// It only reads.
    Read,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Workload {
    /// The key-value service.
    Kv(KvShape),
    /// The synthetic service.
    Synthetic(Synthetic),
}

/// Shape of the key-value workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvShape {
    /// Number of keys, at least 1.
    pub keys: u32,
    /// Bytes of a value, at least 1.
    pub value: u32,
    /// Share of reads, 0 to 1.
    pub reads: f64,
    /// Share of scans among the reads, 0 to 1.
    pub scans: f64,
}

/// Why a text names no workload.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum WorkloadError {
    /// None of the known forms.
    #[error(
        "write kv, stss_<time us>_<request>_<reply> or stssr_<time us>_<request>_<reply>_<read ratio>"
    )]
    Form,
    /// A number of an `stss` request.
    #[error("{field}: {source}")]
    Quantity {
        /// Which number.
        field: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
}

/// One thread's requests.
#[derive(Clone, Debug)]
pub struct Requests {
    random: Stream,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Kv(Box<Drawing>),
    Synthetic {
        shape: Synthetic,
        /// Bytes to take bodies from.
        filler: Vec<u8>,
    },
}

/// What a reply must look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// A reply of the key-value service that fits the request.
    Kv(Expected),
    /// A synthetic reply with a body of so many bytes.
    Synthetic(u64),
}

impl Workload {
    /// Reads `kv`, `stss_…` or `stssr_…`; `shape` is for `kv`.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`] for another text.
    pub fn parse(text: &str, shape: KvShape) -> Result<Self, WorkloadError> {
        match text {
            "kv" => Ok(Self::Kv(shape)),
            other => Ok(Self::Synthetic(Synthetic::parse(other)?)),
        }
    }

    /// What `thread` sends in a run with `seed`.
    #[must_use]
    pub fn requests(&self, seed: u64, thread: u32) -> Requests {
        let source = match *self {
            Self::Kv(shape) => Source::Kv(Box::new(Drawing::new(shape, thread))),
            Self::Synthetic(shape) => Source::Synthetic { shape, filler: Vec::new() },
        };
        Requests { random: stream(seed, thread, Purpose::Requests), source }
    }

    /// The longest request that can be drawn, in bytes.
    #[must_use]
    pub fn request_max(&self) -> u64 {
        match self {
            Self::Kv(shape) => kv::request_max(shape),
            Self::Synthetic(synthetic) => synthetic.request_max(),
        }
    }

    /// The longest reply that is sure to come, in bytes.
    #[must_use]
    pub fn reply_max(&self) -> u64 {
        match self {
            Self::Kv(shape) => kv::reply_max(shape),
            Self::Synthetic(synthetic) => synthetic.reply_max(),
        }
    }

    /// Whether any request changes state.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        let reads = match self {
            Self::Kv(shape) => shape.reads,
            Self::Synthetic(synthetic) => synthetic.reads,
        };
        reads < 1.0
    }
}

impl Requests {
    /// Draws the next request into `body`.
    pub fn draw(&mut self, body: &mut Vec<u8>) -> (Kind, Check) {
        match &mut self.source {
            Source::Kv(drawing) => {
                let (kind, expected) = drawing.draw(&mut self.random, body);
                (kind, Check::Kv(expected))
            }
            Source::Synthetic { shape, filler } => {
                let (kind, size) = shape.draw(&mut self.random, filler, body);
                (kind, Check::Synthetic(size))
            }
        }
    }
}

impl Check {
    /// Whether `reply` can be an answer to the request.
    #[must_use]
    pub fn accepts(&self, reply: &[u8]) -> bool {
        match self {
            Self::Kv(expected) => expected.accepts(reply),
            Self::Synthetic(size) => synthetic::is_reply(reply, *size),
        }
    }
}
