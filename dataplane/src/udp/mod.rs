//! Kernel UDP: the back end that works everywhere.
//!
//! One socket is bound to the node's own address; it sends everything, so that all answers leave from there. Each
//! multicast group has a socket of its own, bound to the group's address, so that a packet's way here is known from the
//! socket. Packets move in bursts of 32 per system call (`recvmmsg`, `sendmmsg`) and are copied once, between the
//! kernel's memory and buffers of 2 KiB that are taken at the start.
//!
//! ```no_run
//! use dataplane::backend::Queue;
//! use dataplane::udp::{Udp, UdpConfig};
//!
//! # fn main() -> Result<(), dataplane::error::BackendError> {
//! let own = "10.0.0.1:8000".parse().unwrap();
//! let group = "239.0.0.1:8000".parse().unwrap();
//! let mut network = Udp::open(UdpConfig { groups: vec![group], ..UdpConfig::new(own) })?;
//! let application = network.transmit_queue()?; // for another thread, from the same address
//! network.receive(&mut |arrival| println!("{} bytes from {}", arrival.bytes.len(), arrival.from));
//! # drop(application);
//! # Ok(())
//! # }
//! ```
//!
//! Several processes of one host can use this back end side by side, each on an address of its own (127.0.0.1,
//! 127.0.0.2, …) and all in the same groups. A process hears its own multicast when it is a member.
//!
//! Invariants:
//! - U1. [`Queue::receive`] asks every socket for one burst, a group's for a few, but for those just seen empty
//!   (`udp/expect.rs`): a flooded one cannot starve another.
//! - U2. `not_before` is never later than the packet's arrival (`not_before.rs` says why).
//! - U3. After [`Udp::open`] nothing is allocated, and nothing waits but [`Queue::wait`] and, for a millisecond at most,
//!   a flush for which the kernel has no room.

mod expect;
#[allow(unsafe_code, reason = "the one door to libc; see its header")]
mod ffi;
mod open;
mod receive;
mod transmit;
mod waker;

use core::net::SocketAddr;
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

pub use ffi::PACKET_MAX;
pub use open::{BufferSizes, GROUPS_MAX, UdpConfig};
pub use waker::Waker;

use self::ffi::Readiness;
use self::receive::{Inbox, Receiver};
use self::transmit::Outbox;
use crate::backend::{Arrival, BackendCounters, Instant, Queue};
use crate::clock::Clock;
use crate::error::BackendError;

/// Bursts that one turn reads of a group's socket before it reads the own one.
const GROUP_BURSTS: usize = 4;

/// One thread's queue on kernel UDP sockets.
#[derive(Debug)]
pub struct Udp {
    own: SocketAddr,
    clock: Clock,
    /// Bound to the own address; sends.
    socket: Socket,
    /// One per address, the own one first; none in a queue that only transmits.
    receivers: Vec<Receiver>,
    inbox: Inbox,
    outbox: Outbox,
    waker: Waker,
    buffers: BufferSizes,
}

impl Udp {
    /// Binds the sockets, joins the groups, takes the memory.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: the address is not this machine's, is in use, is not one IPv4 address; a group is not a
    /// multicast address or cannot be joined; the process may open no more files.
    pub fn open(config: UdpConfig) -> Result<Self, BackendError> {
        open::open(config)
    }

    /// A second queue that sends from the same address and port, for another thread; it receives nothing.
    ///
    /// Its wait ends with its own [`Self::waker`] only.
    ///
    /// # Errors
    ///
    /// [`BackendError`] when the process may open no more files.
    pub fn transmit_queue(&self) -> Result<Self, BackendError> {
        open::transmit_queue(self)
    }

    /// What ends [`Queue::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The address that packets leave from; its port is the system's choice when 0 was configured.
    #[must_use]
    pub fn own(&self) -> SocketAddr {
        self.own
    }

    /// Socket buffers as the kernel gave them: less than asked for when `net.core.rmem_max` is lower and the process
    /// may not override it.
    #[must_use]
    pub fn buffers(&self) -> BufferSizes {
        self.buffers
    }

    /// The clock that stamps; copies of it mean the same moments.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// The socket on the own address, for a caller that waits for many queues at once; it is not read from or written to.
impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Queue for Udp {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Groups first: what is sent to the own address may speak of what was sent to a group before it (appends, of requests).
    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        let (clock, inbox) = (self.clock, &mut self.inbox);
        let Some((own, groups)) = self.receivers.split_first_mut() else { return 0 };
        let mut received = 0;
        for group in groups {
            for _ in 0..GROUP_BURSTS {
                let burst = group.receive(clock, inbox, take);
                received += burst;
                if burst < ffi::BURST {
                    break;
                }
            }
        }
        received + own.receive(clock, inbox, take)
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        self.outbox.take(self.socket.as_fd(), &[to], head, tail) == 1
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        self.outbox.take(self.socket.as_fd(), to, head, tail)
    }

    fn flush(&mut self) {
        self.outbox.flush(self.socket.as_fd());
    }

    fn wait(&mut self, for_at_most: Duration) {
        if !self.waker.sleeps() {
            return;
        }
        let sockets = self.receivers.iter().map(Receiver::socket);
        let watched = core::iter::once(self.waker.counter()).chain(sockets);
        let before = self.clock.now();
        let ready = ffi::wait_for(watched, Readiness::Readable, for_at_most);
        self.waker.is_awake(ready.is_some_and(|ready| ready & 1 != 0));
        let Some(ready) = ready.filter(|&ready| ready != 0) else { return };
        let length = self.clock.now().saturating_sub(before);
        for (place, receiver) in self.receivers.iter_mut().enumerate() {
            receiver.waited(before, length, ready >> (place + 1) & 1 != 0);
        }
    }

    /// Totals. Asks the kernel for each socket's drops: one system call per socket, so not for every turn of a loop.
    fn counters(&self) -> BackendCounters {
        let in_kernel: u64 = self.receivers.iter().map(Receiver::kernel_drops).sum();
        BackendCounters {
            received: self.inbox.received(),
            sent: self.outbox.sent,
            dropped_receive: self.inbox.truncated() + in_kernel,
            dropped_send: self.outbox.dropped,
        }
    }
}
