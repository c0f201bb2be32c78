//! What names a body, and what came with it.

use core::time::Duration;

use r2p2::Instant;
use r2p2::request_id::{ClientAddress, RequestId};

use crate::entry::EntryKind;

/// Names a body: the same id with other bytes is another body (HC6c).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BodyKey {
    /// The request's id.
    pub id: RequestId,
    /// Keyed hash of the body.
    pub hash: u64,
}

/// What came with the body from the client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// Where to answer.
    pub client: ClientAddress,
    /// Whether the request is plain R2P2.
    pub plain: bool,
    /// What it asks for.
    pub kind: EntryKind,
    /// Number minus the session's floor.
    pub above_floor: u16,
    /// When the first packet was surely not yet waiting here (HC8).
    pub age_from: Instant,
    /// Log time that had passed by then, in microseconds.
    pub age_log_us: u64,
}

impl BodyKey {
    /// The hash of bodies is keyed, so nobody can aim at one bucket (HC13); ids may be chosen freely.
    pub(super) fn bucket(&self) -> u64 {
        let id = self.id.number ^ self.id.session.rotate_left(32) ^ u64::from(self.id.client.port);
        (self.hash ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Origin {
    /// The greater of the own and the log time passed since the request was surely not yet here (HC8).
    #[must_use]
    pub fn age(&self, now: Instant, passed_us: u64) -> Duration {
        let own = now.saturating_sub(self.age_from);
        own.max(Duration::from_micros(passed_us.saturating_sub(self.age_log_us)))
    }
}
