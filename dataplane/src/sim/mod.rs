//! A network in memory: virtual time, every fault drawn from one seed.
//!
//! A test owns a [`SimNetwork`], tells it the time, and chooses how its nodes get their packets:
//!
//! - *stepped*: it takes what is due with [`SimNetwork::pop_due`] and feeds each node itself;
//! - *as a back end*: nodes run on [`SimQueue`]s, the same code as on the other back ends, and the test only moves the
//!   time with [`SimNetwork::advance_to`].
//!
//! ```
//! use core::time::Duration;
//! use dataplane::sim::{SimNetwork, Weather};
//!
//! let mut network = SimNetwork::new(7, Weather::CALM);
//! let [a, b] = ["10.0.0.1:1", "10.0.0.2:1"].map(|own| network.add_endpoint(own.parse().unwrap(), &[]));
//! network.send(Duration::ZERO, a, "10.0.0.2:1".parse().unwrap(), b"hello");
//! let due = network.next_due().unwrap();
//! let delivery = network.pop_due(due).unwrap();
//! assert_eq!((delivery.to, delivery.arrival().bytes), (b, &b"hello"[..]));
//! network.recycle(delivery);
//! ```
//!
//! Invariants:
//! - S1. What happens follows from the seed and the calls alone: no clock, no address of memory, no iteration over an
//!   unordered table. [`SimNetwork::trace`] is equal for equal runs.
//! - S2. Packets are delivered in the order of their due times, equal ones in the order of sending.
//! - S3. Each copy of a packet that was sent is lost, dropped, delivered, or still under way, and counted so.
//! - S4. Memory is bounded by the packets under way and the inboxes; buffers are used again.

mod capture;
mod inbox;
mod network;
mod queue;
pub(crate) mod random;
mod weather;

pub use capture::{Event, Fate};
pub use network::{Delivery, EndpointId, SimCounters, SimNetwork};
pub use queue::SimQueue;
pub use weather::Weather;
