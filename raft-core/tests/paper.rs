//! Sentences of "In Search of an Understandable Consensus Algorithm" (Ongaro and Ousterhout, extended version), sections
//! 5.1 to 5.5, each with its test. Where this crate asks first (pre-vote), the tests say so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "paper/elections.rs"]
mod elections;
#[path = "paper/logs.rs"]
mod logs;
mod support;
