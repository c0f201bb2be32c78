//! Key-value store: get, put, delete, compare-and-swap, append, increment, scan.
//!
//! A [`r2p2::service::Service`] that runs alone or replicated without a change. Clients build a [`Request`], send its
//! bytes, and read the answer as a [`Response`]; [`Kv`] is the state between them. Get and scan are reads; everything
//! else goes through the log.
//!
//! ```
//! use kv::{Kv, Request, Response};
//! use r2p2::service::{Context, Reply, Service};
//!
//! let (mut request, mut answer) = (Vec::new(), Vec::new());
//! Request::Increment { key: b"visits", by: 2 }.encode(&mut request)?;
//! let mut kv = Kv::default();
//! let context = Context { index: 1, log_time_us: 0 };
//! kv.execute(&context, &request, &mut Reply::new(&mut answer, 1_024));
//! assert_eq!(Response::parse(&answer)?, Response::Integer(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! - K1. What a request does follows from the state, its bytes and the room for its reply (a replicated limit, HC7a),
//!   and from nothing else: not from addresses, hashes, capacities of buffers, or time.
//! - K2. A request that is answered [`Response::Failed`] has changed nothing.
//! - K3. No more than [`Capacity`] is stored, and no bytes of a request make it panic.

#![forbid(unsafe_code)]

mod fields;
mod request;
mod response;
mod snapshot;
mod store;

pub use request::{Request, RequestError};
pub use response::{Failure, Pairs, PairsIter, Response, ResponseError};
pub use store::{Capacity, Kv};

/// The longest key, in bytes.
pub const KEY_MAX: usize = 1_024;

/// The longest value, in bytes.
pub const VALUE_MAX: usize = 1_048_576;

#[cfg(test)]
mod tests;
