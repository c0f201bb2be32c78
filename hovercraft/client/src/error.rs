//! What can go wrong, by what the caller may conclude from it.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use dataplane::error::BackendError;
use r2p2::client::ConfigError;
use r2p2::refusal::Reason;
use thiserror::Error;

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The configuration has no such group.
    #[error("no group at place {place}: the configuration has {groups}")]
    NoGroup {
        /// The place that was asked for, from 0.
        place: usize,
        /// How many there are.
        groups: usize,
    },
    /// No address of this machine leads to the cluster.
    #[error("no way to {to}: {cause}")]
    NoRoute {
        /// The first member.
        to: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The options do not hold together.
    #[error(transparent)]
    Options(#[from] ConfigError),
    /// The socket.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Nobody opened a session in time.
    #[error(
        "nobody opened a session within {0:?}: is a majority of the cluster running, and do packets reach it from here?"
    )]
    NoAnswer(Duration),
}

/// How a request ended without a reply.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CallError {
    /// Refused, in a way that repeating does not change. [`Self::may_have_been_executed`] says what that proves.
    #[error("refused: {}", reason_text(*.0))]
    Refused(Reason),
    /// No word within the time-out: it may have been executed, or may yet be.
    #[error("no answer in time")]
    Unknown,
    /// It never left this machine: it was not executed, and will not be.
    #[error("not sent: the cluster gave no session, or no room in its window, in time")]
    NotSent,
    /// It was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Why a request was not taken. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SubmitError {
    /// As many requests are open as the session's window or the client holds, or no session is open: poll, then try
    /// again.
    #[error("too many requests are open")]
    Full,
    /// Longer than a message can be, or than the cluster takes.
    #[error("a request of {len} bytes: must be at most {max}")]
    TooLarge {
        /// Its length, in bytes.
        len: usize,
        /// The bound, in bytes.
        max: usize,
    },
}

impl CallError {
    /// Whether a write that ended so may have been executed, or may yet be.
    ///
    /// A refusal speaks of one packet and not of the request (HC10), unless the reason was decided from the request
    /// itself or when it was applied: too large, no read, or of a session that had expired (HC7b; a session outlives
    /// every copy of a request that was sent in it, because its expiry is longer than any time-out allowed here).
    #[must_use]
    pub fn may_have_been_executed(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::NotSent | Self::Submit(_) => false,
            Self::Refused(reason) => {
                !matches!(reason, Reason::TooLarge | Reason::ChangesState | Reason::UnknownSession)
            }
        }
    }
}

/// A refusal in words.
#[must_use]
pub fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Overload => "the cluster has too much to do",
        Reason::UnknownSession => {
            "the session is unknown: expired, or of another life of the cluster"
        }
        Reason::AboveWindow => "the request's number lies above its session's window",
        Reason::ChangesState => "tagged as a read, but it would change state",
        Reason::TooLarge => "the request is longer than the cluster takes",
        Reason::NoLeader => "the node that was asked knows no leader",
        Reason::NotKept => "it was done, but its reply is not kept",
        Reason::Failed => "the service failed or stopped",
    }
}
