//! A client over UDP: blocking calls, and submit/poll with thousands open in one session.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use hovercraft_client::{Client, Kind, Options};
//! use hovercraft_config::Cluster;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::load(Path::new("cluster.ron"))?;
//! let mut client = Client::connect(&cluster, &Options::default())?;
//!
//! // One at a time:
//! let answer = client.call(Kind::Write, b"a request of your service")?;
//! println!("{} bytes, executed at index {}", answer.body.len(), answer.index);
//!
//! // Many at a time:
//! for tag in 0..1_000 {
//!     client.submit(Kind::Read, b"another one", tag)?;
//! }
//! let mut left = 1_000;
//! while left > 0 {
//!     for completion in client.poll(core::time::Duration::from_secs(1)) {
//!         println!("{}: {:?}", completion.tag, completion.result.map(|answer| answer.index));
//!         left -= 1;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Where requests go follows from the group's mode: to all nodes by multicast (`hovercraft`), to a node, by preference
//! the one that answered last (`raft`), or to the server (`unreplicated`). In the replicated modes a client has a session
//! of its own, in which a write is executed at most once, and exactly once when it is answered (HC7b); it is opened by
//! [`Client::connect`], and anew when it was lost.
//!
//! Invariants:
//! - U1. Every request taken ends in one [`Completion`], within [`Options::request_timeout`] of its submission.
//! - U2. What is not known is said to be unknown: a time-out, and a refusal that may speak of one copy of several, is
//!   never reported as "not executed" ([`CallError::may_have_been_executed`]).
//! - U3. A request is sent when it is submitted and flushed, or not taken: none waits unseen for room in the window.
#![forbid(unsafe_code)]

mod client;
mod error;
mod local;
mod options;
#[cfg(feature = "test-server")]
pub mod test_server;

pub use client::{Answer, Client, Completion, Kind};
pub use error::{CallError, ConnectError, SubmitError, reason_text};
pub use options::Options;
