//! What a waking and a sleeping thread agree by.

#[path = "../../../dataplane/src/udp/waker/state.rs"]
pub(crate) mod state;
