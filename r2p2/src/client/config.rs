//! What a client is told, and what it tells.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use thiserror::Error;

use crate::buffer::Body;
use crate::refusal::Reason;
use crate::{fragment, pacing, reassembly};

/// Most requests that a client may have open: their low 16 bits tell them apart, with as many again between them.
pub const OPEN_MAX: usize = 32_768;

/// How a client numbers its requests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// Published R2P2: 16-bit ids.
    Plain,
    /// 64-bit numbers without a session: for mode `unreplicated`, which offers none.
    Sessionless,
    /// A session, opened by itself: a write is executed at most once (HC7b).
    Session,
}

/// What a client may be told. [`ClientConfig::new`] gives defaults.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How requests are numbered.
    pub mode: Mode,
    /// Addresses of the servers; requests that do not go to the group go to one of them, by preference the last that
    /// answered, and to the next one after a time-out or when it knows no leader.
    pub servers: Vec<SocketAddr>,
    /// Where requests with a replicated policy go in the modes `hovercraft`; `None` in the others.
    pub group: Option<SocketAddr>,
    /// Requests open at a time, at most [`OPEN_MAX`].
    pub open_max: usize,
    /// Silence after which a request is repeated for the first time; doubles each time.
    pub retry_after: Duration,
    /// Longest time between two tries.
    pub retry_max: Duration,
    /// Tries of one request, at most; 1 = never repeated, as a server that knows no repetitions needs it.
    pub tries_max: u32,
    /// Time after which a request's outcome counts as unknown.
    pub give_up_after: Duration,
    /// The cluster's plain window (HC7c): no request without a session is repeated later than this, less `packet_life`,
    /// after its first try, and no plain id used again within it.
    pub plain_window: Duration,
    /// How long a packet may live in the network.
    pub packet_life: Duration,
    /// Bytes of buffers for requests and answers.
    pub pool_bytes: usize,
    /// Bounds for long answers.
    pub reassembly: reassembly::Settings,
    /// Bounds for long requests.
    pub pacing: pacing::Settings,
}

/// Why a configuration makes no client.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ConfigError {
    /// Nobody to send to.
    #[error("servers is empty and there is no group: at least one address is needed")]
    Nobody,
    /// No or too many requests.
    #[error("open_max = {0}: must be 1 to {OPEN_MAX}")]
    OpenMax(usize),
    /// A request could never be sent.
    #[error("tries_max = 0: must be at least 1")]
    TriesMax,
    /// Requests would be repeated without a pause.
    #[error("retry_after = {0:?}: must be at least 1 ms and at most retry_max = {1:?}")]
    RetryAfter(Duration, Duration),
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SubmitError {
    /// As many are open as may be, or the buffers are in use: take events, then try again.
    #[error("too many requests are open")]
    Full,
    /// Longer than a message can be.
    #[error("request of {len} bytes: at most {max}")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The client is closing or closed.
    #[error("the client is closed")]
    Closed,
}

/// What happened to the session and to requests. Every request that was taken ends in exactly one of `Answered`,
/// `Refused`, `Unknown` and `NotSent`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A session is open; what was submitted before goes out now.
    SessionOpened {
        /// Its number.
        session: u64,
        /// Numbers that may be in use at a time.
        window: u32,
        /// Idle time after which the cluster forgets it.
        expiry: Duration,
    },
    /// The cluster does not know the session (any more); another one is being opened.
    SessionLost {
        /// Its number.
        session: u64,
    },
    /// A request was executed.
    Answered {
        /// What `submit` was given.
        tag: u64,
        /// The request's number.
        number: u64,
        /// Log index of the execution; 0 = outside the log, or not said.
        executed: u64,
        /// The reply.
        body: Body,
        /// Who answered.
        from: SocketAddr,
    },
    /// A request was refused for good. It may yet have been executed: the refusal is of one packet (HC10);
    /// [`Reason::NotKept`] says that it was.
    Refused {
        /// What `submit` was given.
        tag: u64,
        /// The request's number.
        number: u64,
        /// Why.
        reason: Reason,
    },
    /// No answer: it may have been executed, or may be yet.
    Unknown {
        /// What `submit` was given.
        tag: u64,
        /// The request's number.
        number: u64,
    },
    /// It never left: it was not and will not be executed.
    NotSent {
        /// What `submit` was given.
        tag: u64,
        /// The request's number.
        number: u64,
    },
    /// The session is closed, or given up; nothing is sent any more.
    Closed,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientCounters {
    /// Requests taken.
    pub submitted: u64,
    /// Requests sent for the first time.
    pub sent: u64,
    /// Requests sent again.
    pub repeated: u64,
    /// Refusals after which a request is repeated (NACKs).
    pub backed_off: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests refused for good.
    pub refused: u64,
    /// Requests whose outcome is unknown.
    pub unknown: u64,
    /// Requests that never left.
    pub not_sent: u64,
    /// Times that somebody asked for packets of a long request.
    pub asked_for_packets: u64,
    /// Times that packets of a long answer were asked for.
    pub asks: u64,
    /// Sessions opened.
    pub sessions: u64,
}

impl ClientConfig {
    /// A client of `servers`, without a group.
    #[must_use]
    pub fn new(mode: Mode, servers: Vec<SocketAddr>) -> Self {
        let body_max = fragment::Form::PlainResponse { request_id: 0 }.body_max();
        Self {
            mode,
            servers,
            group: None,
            open_max: 1_024,
            retry_after: Duration::from_millis(30),
            retry_max: Duration::from_millis(500),
            tries_max: u32::MAX,
            give_up_after: Duration::from_secs(10),
            plain_window: Duration::from_secs(1),
            packet_life: Duration::from_millis(100),
            pool_bytes: 64 << 20,
            reassembly: reassembly::Settings {
                messages_max: 256,
                body_max,
                ..reassembly::Settings::default()
            },
            pacing: pacing::Settings { messages_max: 256, ..pacing::Settings::default() },
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.servers.is_empty() && self.group.is_none() {
            return Err(ConfigError::Nobody);
        }
        if !(1..=OPEN_MAX).contains(&self.open_max) {
            return Err(ConfigError::OpenMax(self.open_max));
        }
        if self.tries_max == 0 {
            return Err(ConfigError::TriesMax);
        }
        let range = Duration::from_millis(1)..=self.retry_max;
        if !range.contains(&self.retry_after) {
            return Err(ConfigError::RetryAfter(self.retry_after, self.retry_max));
        }
        Ok(())
    }
}
