//! Packets that wait for the flush, in buffers taken once.
//!
//! Invariants:
//! - T1. No packet is sent twice; each one taken is counted once, as sent or as dropped.
//! - T2. A flush ends: each round sends, drops, or spends one of [`RETRIES`].

use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use super::ffi::{self, BURST, Buffer, PACKET_MAX, Readiness};

/// How often a flush waits for room in the socket's send buffer, at most.
const RETRIES: u32 = 4;

/// How long each time, at most. With [`RETRIES`], what a card that stands still can cost a turn of the loop.
const RETRY_WAIT: Duration = Duration::from_micros(250);

/// Packets taken and not yet handed to the kernel.
#[derive(Debug)]
pub(super) struct Outbox {
    payloads: Box<[Buffer]>,
    payloads_used: usize,
    packets: Vec<Packet>,
    pub(super) sent: u64,
    pub(super) dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    to: SocketAddrV4,
    /// Which payload: one may go to many.
    payload: usize,
    len: usize,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            payloads: vec![[0; PACKET_MAX]; BURST].into_boxed_slice(),
            payloads_used: 0,
            packets: Vec::with_capacity(BURST),
            sent: 0,
            dropped: 0,
        }
    }

    /// Takes one packet for each of `to`; a full burst is sent at once. Returns how many were taken.
    pub(super) fn take(
        &mut self,
        socket: BorrowedFd<'_>,
        to: &[SocketAddr],
        head: &[u8],
        tail: &[u8],
    ) -> usize {
        let len = head.len() + tail.len();
        if len > PACKET_MAX {
            self.dropped += to.len() as u64;
            return 0;
        }
        let mut taken = 0;
        for burst in to.chunks(BURST) {
            if self.payloads_used == BURST || self.packets.len() + burst.len() > BURST {
                self.flush(socket);
            }
            let payload = self.payloads_used;
            self.payloads_used += 1;
            self.payloads[payload][..head.len()].copy_from_slice(head);
            self.payloads[payload][head.len()..len].copy_from_slice(tail);
            for &to in burst {
                let SocketAddr::V4(to) = to else {
                    self.dropped += 1;
                    continue;
                };
                self.packets.push(Packet { to, payload, len });
                taken += 1;
            }
        }
        taken
    }

    /// Hands everything to the kernel, or counts it as dropped.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>) {
        let mut done = 0;
        let mut retries = RETRIES;
        while done < self.packets.len() {
            let rest = self.packets[done..].iter();
            let packets = rest.map(|p| (p.to, &self.payloads[p.payload][..p.len]));
            match ffi::send_burst(socket, packets) {
                Ok(count) if count > 0 => {
                    self.sent += count as u64;
                    done += count;
                }
                Err(error) if retries > 0 && is_passing(&error) => {
                    retries -= 1;
                    ffi::wait_for([socket].into_iter(), Readiness::Writable, RETRY_WAIT);
                }
                Err(error) if is_full(&error) => {
                    self.dropped += (self.packets.len() - done) as u64;
                    break;
                }
                // The first packet cannot be sent (no route, forbidden, refused): the others may.
                Ok(_) | Err(_) => {
                    self.dropped += 1;
                    done += 1;
                }
            }
        }
        self.packets.clear();
        self.payloads_used = 0;
    }
}

/// No room now, for any packet.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

/// Worth another try: no room, interrupted, or news of an earlier packet (`ECONNREFUSED`).
fn is_passing(error: &io::Error) -> bool {
    is_full(error) || matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNREFUSED))
}
