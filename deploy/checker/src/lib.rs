//! Did a replicated service behave like one server? (design 8, "Proof")
//!
//! Three kinds of evidence, each JSON, one value per line:
//!
//! | evidence | written by | type |
//! |---|---|---|
//! | history: what clients asked, when, and what they were told | load generator | [`history::Operation`] |
//! | audit: what a node did with each entry of its log | node | [`audit::AuditRecord`] |
//! | state: hash and scan of a node's service in the end | node's admin endpoint | [`state::NodeState`] |

#![forbid(unsafe_code)]

pub mod audit;
mod hex;
pub mod history;
pub mod lines;
pub mod state;
