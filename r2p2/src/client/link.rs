//! Whether requests may go out: at once, or once a session is open.

use core::time::Duration;

use crate::Instant;
use crate::extension::Flags;
use crate::fragment::Form;
use crate::header::Policy;
use crate::opening::OpeningReply;

/// The way to the cluster.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// Requests need no session.
    Free,
    /// A session is being opened.
    Opening(Opening),
    /// A session is open.
    Open(Session),
    /// Nothing is sent any more.
    Closed,
}

/// An opening request, repeated until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// Tells it apart; kept for all tries within a plain window.
    pub(super) nonce: u64,
    pub(super) first_sent: Option<Instant>,
    pub(super) tries: u32,
    pub(super) sent_to: Option<usize>,
    pub(super) sent_at: Instant,
    /// When it is to be sent (again).
    pub(super) due: Instant,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) session: u64,
    pub(super) window: u64,
    pub(super) expiry: Duration,
    /// When a request was last answered.
    pub(super) used_at: Instant,
}

impl Opening {
    pub(super) fn new(nonce: u64, now: Instant) -> Self {
        Self { nonce, first_sent: None, tries: 0, sent_to: None, sent_at: now, due: now }
    }

    pub(super) fn form(&self) -> Form {
        let flags = Flags { opens: true, repeats: self.first_sent.is_some(), ..Flags::NONE };
        let policy = Policy::Replicated;
        Form::Request { session: 0, number: self.nonce, above_floor: 0, policy, flags }
    }
}

impl Session {
    pub(super) fn new(session: u64, reply: OpeningReply, now: Instant) -> Self {
        let (window, expiry) = (reply.window.into(), reply.expiry());
        Self { session, window, expiry, used_at: now }
    }

    /// Whether the cluster may be about to forget it. Log time and ours may differ: half of the expiry is kept in hand.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now > self.used_at + self.expiry / 2
    }
}

impl Link {
    /// What stands in the packets' session field: `None` while there is nothing to send requests under.
    pub(super) fn session(&self) -> Option<u64> {
        match self {
            Self::Free => Some(0),
            Self::Open(session) => Some(session.session),
            Self::Opening(_) | Self::Closed => None,
        }
    }

    /// Numbers that may be in use; while it is not known, as many as are taken.
    pub(super) fn window(&self) -> u64 {
        match self {
            Self::Open(session) => session.window,
            _ => u64::MAX,
        }
    }
}
