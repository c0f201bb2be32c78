//! What the threads of a node share.

#[path = "../../node/src/link.rs"]
pub(crate) mod link;
