//! Command line of the key-value store.
//!
//! ```text
//! kvctl --config cluster.ron put KEY VALUE | get KEY | delete KEY | cas KEY EXPECTED VALUE | append KEY SUFFIX
//!                            | incr KEY [BY] | scan [FROM] [--limit N]
//! ```
//!
//! [`arguments`] is what was typed, [`answer`] says what an answer means, in words or as JSON, and with which exit
//! status the program ends. Only `main.rs` talks to a cluster.
//!
//! Exit status, for scripts:
//!
//! | status | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the answer is no: no such key, another value than expected, refused or failed |
//! | 2 | the command line or the configuration is wrong |
//! | 3 | no answer: a read was not answered; a write may have been done, or may yet be |
#![forbid(unsafe_code)]

pub mod answer;
pub mod arguments;
