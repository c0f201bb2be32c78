//! Did a replicated service behave like one server? (design 8, "Proof")
//!
//! Three kinds of evidence, each JSON, one value per line:
//!
//! | evidence | written by | type |
//! |---|---|---|
//! | history: what clients asked, when, and what they were told | load generator | [`history::Operation`] |
//! | audit: what a node did with each entry of its log | node | [`audit::AuditRecord`] |
//! | state: hash and scan of a node's service in the end | node's admin endpoint | [`state::NodeState`] |

//! [`check()`] takes all three and a fresh service, and says whether the history is linearizable, with the operations that
//! prove otherwise. The binary `history-check` does the same for files.
//!
//! ```
//! use history_checker::{Audits, Options, Truth, check};
//!
//! let verdict = check(&[], &Audits::new(), &mut kv::Kv::default(), &[], &Options::kv());
//! assert_eq!(verdict.linearizable, Truth::Undecided, "nothing was compared");
//! ```

#![forbid(unsafe_code)]

pub mod audit;
mod audits;
mod black_box;
mod check;
mod describe;
mod hex;
pub mod history;
pub mod lines;
mod placing;
mod reads;
mod replay;
mod report;
pub mod state;
mod verdict;

pub use audits::Audits;
pub use check::{KnownService, Options, check};
pub use verdict::{Evidence, Truth, Verdict, Violation, ViolationKind};
