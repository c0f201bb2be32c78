//! Why packets were dropped, counted (HC13). Nothing is logged per packet.

use crate::packet::ParseError;

/// Why a packet had no effect.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum DropReason {
    /// Shorter than its header.
    Truncated,
    /// Not R2P2.
    Magic,
    /// A header size that nobody knows.
    HeaderSize,
    /// A kind of message that nobody knows.
    Kind,
    /// A policy that nobody knows.
    Policy,
    /// An impossible packet count or index.
    Order,
    /// Another version of the extension.
    Version,
    /// Reserved bits are set.
    Reserved,
    /// Fields of the request's number contradict each other.
    Number,
    /// The payload is not what this kind carries, or its length does not fit its place.
    Payload,
    /// A kind of message that this endpoint has no use for.
    Unexpected,
    /// A packet that is held already.
    Duplicate,
    /// A later packet of a plain message of which no first packet is held.
    NoFirst,
    /// A later packet that belongs to another message than the held one with its id.
    OtherMessage,
    /// A message longer than allowed here.
    TooLong,
    /// No room in the table of partial messages.
    TableFull,
    /// No buffer left.
    PoolFull,
    /// A partial message that died of age (HC6d).
    Expired,
    /// A partial message replaced by another first packet (HC6d).
    Restarted,
    /// An answer to nothing that is open here.
    NotOpen,
    /// A second answer (HC3d).
    SecondAnswer,
    /// Asks for packets of a message that is not held (any more).
    NotHeld,
}

/// Dropped packets by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DropCounters {
    counts: [u64; DropReason::ALL.len()],
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Truncated,
        Self::Magic,
        Self::HeaderSize,
        Self::Kind,
        Self::Policy,
        Self::Order,
        Self::Version,
        Self::Reserved,
        Self::Number,
        Self::Payload,
        Self::Unexpected,
        Self::Duplicate,
        Self::NoFirst,
        Self::OtherMessage,
        Self::TooLong,
        Self::TableFull,
        Self::PoolFull,
        Self::Expired,
        Self::Restarted,
        Self::NotOpen,
        Self::SecondAnswer,
        Self::NotHeld,
    ];

    /// The name that metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Magic => "magic",
            Self::HeaderSize => "header_size",
            Self::Kind => "kind",
            Self::Policy => "policy",
            Self::Order => "order",
            Self::Version => "version",
            Self::Reserved => "reserved",
            Self::Number => "number",
            Self::Payload => "payload",
            Self::Unexpected => "unexpected",
            Self::Duplicate => "duplicate",
            Self::NoFirst => "no_first",
            Self::OtherMessage => "other_message",
            Self::TooLong => "too_long",
            Self::TableFull => "table_full",
            Self::PoolFull => "pool_full",
            Self::Expired => "expired",
            Self::Restarted => "restarted",
            Self::NotOpen => "not_open",
            Self::SecondAnswer => "second_answer",
            Self::NotHeld => "not_held",
        }
    }
}

impl From<ParseError> for DropReason {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Truncated(_) => Self::Truncated,
            ParseError::Magic(_) => Self::Magic,
            ParseError::HeaderSize(_) => Self::HeaderSize,
            ParseError::Kind(_) => Self::Kind,
            ParseError::Policy(_) => Self::Policy,
            ParseError::Order(_) => Self::Order,
            ParseError::Version(_) => Self::Version,
            ParseError::Reserved => Self::Reserved,
            ParseError::Number(_) => Self::Number,
            ParseError::Payload(_) => Self::Payload,
        }
    }
}

impl DropCounters {
    /// One packet more was dropped.
    pub fn count(&mut self, reason: impl Into<DropReason>) {
        self.counts[reason.into() as usize] += 1;
    }

    /// Packets dropped for `reason`.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.counts[reason as usize]
    }

    /// Every reason's name and count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason.name(), self.get(reason)))
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another endpoint's counts.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_place_and_a_name_of_its_own() {
        let mut counters = DropCounters::default();
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            counters.count(reason);
        }
        assert!(counters.iter().all(|(_, count)| count == 1));
        let mut names: alloc::vec::Vec<_> = counters.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
