//! What the threads of a node share memory by. `hovercraft-loom` includes `link.rs` with loom's types in this place.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use crossbeam::channel;
