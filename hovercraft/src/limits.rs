//! The limits that decide when an entry is applied: part of the replicated configuration (design HC7a).
//!
//! For an entry, the limits of the configuration at its index decide, never the newest in the log. A set of limits that
//! would let a plain client's request be executed twice is refused by [`Limits::check`].

use core::time::Duration;

use thiserror::Error;

/// Limits that every node of a cluster applies alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Limits {
    /// How long a body may wait to be ordered (HC8).
    pub unordered_expiry: Duration,
    /// How long a packet may live in the network.
    pub packet_life: Duration,
    /// How long after its entry a plain client may still be answered, and a long answer is kept (HC3c).
    pub answer_ttl: Duration,
    /// Log time within which an equal plain request is a repetition (HC7c).
    pub plain_window: Duration,
    /// Log time without an applied entry after which a session is forgotten (HC7b).
    pub session_expiry: Duration,
    /// Ids in the plain window, at most.
    pub plain_ids_max: u32,
    /// Sessions, at most.
    pub sessions_max: u32,
    /// Numbers above a session's floor that may be in use.
    pub session_window: u32,
    /// Longest reply that is kept for repetitions, in bytes.
    pub reply_keep_max: u32,
    /// Bytes of kept replies: as many of the longest as fit in here are kept, for any number of sessions and ids (HC12).
    pub replies_bytes_max: u64,
    /// Longest request body, in bytes.
    pub request_max: u32,
    /// Longest reply, in bytes; a longer one is answered "failed".
    pub reply_max: u32,
}

/// Limits that do not hold together: which field, what it says, and what would be right.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{field} = {value}: must be {bound}; {remedy}")]
pub struct LimitError {
    /// Name of the field, as in the configuration file.
    pub field: &'static str,
    /// What was found (durations in milliseconds).
    pub value: u64,
    /// The bound that it breaks.
    pub bound: LimitBound,
    /// What to do.
    pub remedy: &'static str,
}

/// A bound with its number.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LimitBound {
    /// At least this.
    #[error("at least {0}")]
    AtLeast(u64),
    /// At most this.
    #[error("at most {0}")]
    AtMost(u64),
}

/// Packets of one message, at most (wire.md 1.2: the field has 16 bits; longer messages serve nobody).
pub const PACKETS_MAX: u32 = 1_024;

/// Payload of one packet of a session's reply, in bytes.
const RESPONSE_PAYLOAD: u32 = 1_432;

impl Default for Limits {
    fn default() -> Self {
        Self {
            unordered_expiry: Duration::from_millis(400),
            packet_life: Duration::from_millis(100),
            answer_ttl: Duration::from_millis(400),
            plain_window: Duration::from_secs(1),
            session_expiry: Duration::from_secs(60),
            plain_ids_max: 262_144,
            sessions_max: 1_024,
            session_window: 4_096,
            reply_keep_max: 1_024,
            replies_bytes_max: 256 << 20,
            request_max: 262_144,
            reply_max: PACKETS_MAX * RESPONSE_PAYLOAD,
        }
    }
}

impl Limits {
    /// How many replies are kept, whatever their lengths: what is beyond counts as too long (HC7d).
    #[must_use]
    pub fn replies_max(&self) -> u64 {
        self.replies_bytes_max / u64::from(self.reply_keep_max.max(1))
    }

    /// Whether these limits keep HC7.
    ///
    /// # Errors
    ///
    /// [`LimitError`] for the first bound broken.
    pub fn check(&self) -> Result<(), LimitError> {
        let at_least = |field, value: u64, bound: u64, remedy| {
            let error = LimitError { field, value, bound: LimitBound::AtLeast(bound), remedy };
            if value < bound { Err(error) } else { Ok(()) }
        };
        let at_most = |field, value: u64, bound: u64, remedy| {
            let error = LimitError { field, value, bound: LimitBound::AtMost(bound), remedy };
            if value > bound { Err(error) } else { Ok(()) }
        };
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let late = ms(self.unordered_expiry) + ms(self.packet_life) + ms(self.answer_ttl);
        at_least("unordered_expiry", ms(self.unordered_expiry), 10, "raise it")?;
        at_least("answer_ttl", ms(self.answer_ttl), 10, "raise it")?;
        at_least(
            "plain_window",
            ms(self.plain_window),
            late,
            "raise it, or lower unordered_expiry, packet_life or answer_ttl, whose sum it must reach",
        )?;
        at_least(
            "session_expiry",
            ms(self.session_expiry),
            10 * ms(self.plain_window),
            "raise it to ten plain windows",
        )?;
        at_most("plain_window", ms(self.plain_window), 3_600_000, "lower it")?;
        at_most("session_expiry", ms(self.session_expiry), 86_400_000, "lower it")?;
        at_least("plain_ids_max", self.plain_ids_max.into(), 1, "raise it")?;
        at_most("plain_ids_max", self.plain_ids_max.into(), 1 << 24, "lower it")?;
        at_least("sessions_max", self.sessions_max.into(), 1, "raise it")?;
        at_most("sessions_max", self.sessions_max.into(), 1 << 20, "lower it")?;
        at_least("session_window", self.session_window.into(), 1, "raise it")?;
        at_most("session_window", self.session_window.into(), 32_768, "lower it")?;
        let kept = u64::from(self.sessions_max) * u64::from(self.session_window);
        at_most("session_window * sessions_max", kept, 1 << 28, "lower one of them")?;
        at_least("request_max", self.request_max.into(), 1, "raise it")?;
        at_most("request_max", self.request_max.into(), (PACKETS_MAX * 1_440).into(), "lower it")?;
        at_least("reply_max", self.reply_max.into(), 8, "raise it")?;
        at_most(
            "reply_max",
            self.reply_max.into(),
            (PACKETS_MAX * RESPONSE_PAYLOAD).into(),
            "lower it",
        )?;
        at_most("reply_keep_max", self.reply_keep_max.into(), self.reply_max.into(), "lower it")?;
        let longest = self.reply_keep_max.into();
        at_least("replies_bytes_max", self.replies_bytes_max, longest, "raise it")?;
        at_most("replies_bytes_max", self.replies_bytes_max, 1 << 40, "lower it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn hc7a_a_window_shorter_than_what_may_come_late_is_refused() {
        let limits = Limits { answer_ttl: Duration::from_millis(501), ..Limits::default() };
        let error = limits.check().unwrap_err();
        assert_eq!((error.field, error.bound), ("plain_window", LimitBound::AtLeast(1_001)));
    }

    #[test]
    fn hc7a_sessions_outlive_ten_plain_windows() {
        let limits = Limits { session_expiry: Duration::from_millis(9_999), ..Limits::default() };
        assert_eq!(limits.check().unwrap_err().field, "session_expiry");
    }
}
