//! What `trace.rs` takes from its neighbour.

/// Nanoseconds of a node's clock.
pub(crate) fn nanoseconds(time: r2p2::Instant) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
