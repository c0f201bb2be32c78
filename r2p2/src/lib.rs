//! R2P2: request/response pairs over datagrams (Kogias et al., USENIX ATC 2019), with the session extension.
//!
//! No I/O, no clock, no threads: bytes and times go in, packets and outcomes come out, and one seed decides the rest.
//!
//! | layer | modules |
//! |---|---|
//! | bytes | [`header`], [`extension`], [`packet`]; payloads: [`ack`], [`feedback`], [`opening`], [`refusal`] |
//! | messages | [`fragment`] (one message into packets), [`reassembly`] (and back), [`pacing`] (long ones), [`answer`] |
//! | endpoints | [`client`], [`server`] |
//! | application | [`service`], [`request_id`], [`buffer`] |
//!
//! A plain client of a server, with the network left out:
//!
//! ```
//! use core::time::Duration;
//! use r2p2::answer::AnswerForm;
//! use r2p2::client::{Client, ClientConfig, Event, Mode};
//! use r2p2::header::Policy;
//! use r2p2::server::{Server, ServerConfig};
//!
//! let (now, here, there) = (Duration::ZERO, ([10, 0, 0, 9], 3000).into(), ([10, 0, 0, 1], 8000).into());
//! let mut client = Client::new(ClientConfig::new(Mode::Plain, vec![there]), 1, now)?;
//! let mut server = Server::new(ServerConfig::default(), 2);
//!
//! client.submit(now, Policy::Unrestricted, b"ping", 7).unwrap();
//! while let Some(packet) = client.poll_transmit() {
//!     let datagram = [packet.head, packet.tail].concat();
//!     if let Some(request) = server.receive(now, now, here, &datagram) {
//!         let form = AnswerForm::new(&request.id, request.plain);
//!         server.answer(now, here, form, 0, &[&request.body, &b" pong"[..]].concat());
//!         server.give_back(request.body);
//!     }
//! }
//! while let Some(packet) = server.poll_transmit() {
//!     client.receive(now, there, &[packet.head, packet.tail].concat());
//! }
//! let Some(Event::Answered { tag: 7, body, .. }) = client.poll_event() else { panic!() };
//! assert_eq!(&*body, b"ping pong");
//! # Ok::<(), r2p2::client::ConfigError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ack;
pub mod answer;
pub mod buffer;
pub mod client;
pub mod drops;
pub mod extension;
pub mod feedback;
pub mod fragment;
pub mod header;
pub mod opening;
pub mod pacing;
pub mod packet;
mod random;
pub mod reassembly;
pub mod refusal;
pub mod request_id;
pub mod server;
pub mod service;
mod table;

/// A moment: time since the epoch of the node or process (monotonic, never a wall clock).
pub type Instant = core::time::Duration;
