//! What the trace ring shares memory by. `hovercraft-loom` includes its file with loom's types in this place.

pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};
