//! The network stack of one interface, for back ends that bypass the kernel. No I/O, no clock.
//!
//! A [`Stack`] belongs to the thread that receives. It takes frames and returns datagrams ([`Stack::take`]); whatever
//! else a host owes its segment it does itself, with the frames of [`Stack::poll`]: ARP, ICMP echo, IGMP. Each thread that
//! sends, that one included, has an [`Addressing`] that writes headers in front of payloads.
//!
//! ```
//! use core::time::Duration;
//! use dataplane::net::{Addressing, DeviceSays, HEADERS_MAX, MacAddress, Offload, Refused, Stack, StackConfig};
//!
//! let stack = |n: u8| {
//!     let own = format!("10.0.0.{n}:8000").parse().unwrap();
//!     Stack::new(StackConfig::new(MacAddress([2, 0, 0, 0, 0, n]), own, 24), Duration::ZERO).unwrap()
//! };
//! let (mut a, mut b, now) = (stack(1), stack(2), Duration::ZERO);
//! let to = "10.0.0.2:8000".parse().unwrap();
//! let mut addressing = a.addressing(Offload::default());
//! let payload = addressing.payload(b"head", b"tail", 1).unwrap();
//! let mut headers = [0; HEADERS_MAX];
//! assert_eq!(addressing.write(to, payload, &mut headers), Err(Refused::Unresolved));
//! assert!(addressing.hold(now, to, b"head", b"tail"));
//! let mut wire: Vec<Vec<u8>> = Vec::new();
//! a.poll(now, &mut |frame| wire.push(frame.to_vec())); // asks who has 10.0.0.2
//! for frame in wire.drain(..) {
//!     assert!(b.take(now, &frame, DeviceSays::default()).is_none());
//! }
//! b.poll(now, &mut |frame| wire.push(frame.to_vec())); // answers
//! for frame in wire.drain(..) {
//!     a.take(now, &frame, DeviceSays::default());
//! }
//! addressing.release(now, &mut |frame| wire.push(frame.to_vec()));
//! assert_eq!(b.take(now, &wire[0], DeviceSays::default()).unwrap().bytes, b"headtail");
//! assert_eq!(addressing.write(to, payload, &mut headers), Ok(42));
//! ```
//!
//! A back end's turn: frames of the device through [`Stack::take`]; [`Stack::poll`]; [`Addressing::release`] on each
//! sending thread; and to each packet to send [`Addressing::payload`] once, [`Addressing::write`] per destination, and
//! [`Addressing::hold`] where the next hop is not known. Short frames are not padded but for the stack's own: devices do.
//!
//! A device that filters has to let in the groups of [`macs_of_groups`]: without that of all hosts no querier is heard, and
//! switches forget the member.
//!
//! Not spoken: IPv6, fragments (one MTU for all; [`StackEvent::Fragment`] counts whoever exceeds it), IP routes but the
//! gateway, ICMP errors of our own.
//!
//! Invariants:
//! - E1. Any bytes: no panic, no loop, no allocation. Each frame is counted once by what became of it.
//! - E2. What is sent without being asked is bounded: a ring of 32 frames, echoes by rate, questions for neighbours as
//!   `neighbours.rs` says.
//! - E3. A received datagram is a slice of its frame, cut by UDP's length; padding never reaches the application.
//! - E4. After [`Stack::new`] and [`Stack::addressing`] nothing is allocated.

mod addressing;
mod announce;
mod bridge;
mod checksum;
mod config;
mod counters;
mod echo;
mod held;
mod mac;
mod membership;
mod neighbours;
mod outbox;
mod receive;
mod stack;
mod table;
mod wire;

pub use addressing::{Addressing, HEADERS_MAX, IPV4_HEADER_LEN, Offload, Payload, Refused};
pub use bridge::{AGE_MAX, Bridge, LEARNED_MAX, Way, Why};
pub use checksum::Sum;
pub use config::{ConfigError, HOLD_FOR, StackConfig};
pub use counters::{AddressingCounters, AddressingEvent, StackCounters, StackEvent};
pub use mac::MacAddress;
pub use membership::{IgmpVersion, macs_of_groups};
pub use receive::{Checksum, DeviceSays};
pub use stack::{Datagram, Stack};
pub use table::NeighbourReader;
