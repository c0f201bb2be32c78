//! What the algorithms without locks share memory by. `hovercraft-loom` includes their files with loom's types in this place.

pub(crate) use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// How large the neighbours' table is.
pub(crate) mod table {
    /// Slots where one address may stand.
    pub(crate) const BUCKET: usize = 8;
    /// Buckets, as a power of two.
    pub(crate) const BUCKETS_BITS: u32 = 7;
    /// Addresses asked for between two polls of the stack, at most; the next to ask for another asks again.
    pub(crate) const ASKED: usize = 16;
}
