//! The check as its users see it: runs that do nothing wrong, planted violations of each kind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod planted;
mod random;
mod run;
