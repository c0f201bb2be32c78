//! Every order of events of a small cluster of the real replicas (design, section 8; docs/model.md).
//!
//! Three nodes, each both halves of the real one, and packets that may arrive at any time, any number of times or never:
//! [`explore::Explorer`] goes breadth first through all states of a [`scope::Scope`] and checks every step and every state
//! ([`checks`]). What it finds is played again from the start on nodes of their own ([`replay`]), and told in words.
//!
//! Use: `cargo xtask model`, or [`explore::Explorer::new`] and [`explore::Explorer::run`].
//!
//! Invariants:
//! - M1. Two states are one only when their nodes' protocol states, what their services executed, the packets that may arrive, and
//!   what was committed and by whom are the same.
//! - M2. No event is left out but those that change nothing, or whose packets can never again have an effect.
//! - M3. A violation that is reported as confirmed happened to real nodes that were merged with none.
#![forbid(unsafe_code)]

pub mod checks;
pub mod explore;
pub mod machine;
pub mod node;
pub mod packets;
pub mod replay;
pub mod scope;
pub mod service;
pub mod state;
pub mod view;
pub mod words;

/// A table whose order is the same in every run.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;
