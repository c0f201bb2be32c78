//! Frames into the network thread, through the stack.

use rtrb::Consumer;

use super::transmit::Sender;
use crate::backend::{Arrival, Instant};
use crate::capture::Direction;
use crate::dpdk::packet::{BURST, Burst, DeviceChecksums, Mbuf, Pool, Verdict};
use crate::dpdk::port::{Port, PortWatch, RxQueue};
use crate::net::{Checksum, DeviceSays, Stack};
use crate::not_before::{NotBefore, Read};

/// Buffers that a driver asks its pool for at once, at most, roughly: where there are fewer, it may leave frames where they
/// wait. The pools of [`super::pools_for`] have twice as many to spare.
#[allow(clippy::cast_possible_truncation, reason = "64")]
const REFILL_MAX: u32 = 2 * BURST as u32;

/// What only the thread that receives has.
#[derive(Debug)]
pub(super) struct Receiver {
    queue: RxQueue,
    /// Where the driver takes buffers from.
    pool: Pool,
    pub(super) stack: Stack,
    moments: NotBefore,
    /// Read, and not yet handed up.
    staged: Burst,
    /// No packet of it was waiting before this moment.
    staged_moment: Instant,
    /// For frames of several segments.
    room: Box<[u8]>,
    /// Frames of threads without a queue of their own, and the ones on their way.
    handed: Vec<Handed>,
    watch: PortWatch,
    link_changes: u64,
    pub(super) received: u64,
    /// Frames too long for any packet.
    pub(super) too_long: u64,
    /// Frames of the stack's own that were lost.
    pub(super) own_lost: u64,
    /// Last, so that the queues are gone before it closes.
    pub(super) port: Port,
}

#[derive(Debug)]
struct Handed {
    ring: Consumer<Mbuf>,
    burst: Burst,
}

impl Receiver {
    pub(super) fn new(
        (port, queue): (Port, RxQueue),
        pool: Pool,
        stack: Stack,
        moments: NotBefore,
        frame_max: usize,
    ) -> Self {
        let watch = port.watch();
        Self {
            queue,
            pool,
            stack,
            moments,
            staged: Burst::default(),
            staged_moment: Instant::ZERO,
            room: vec![0; frame_max].into_boxed_slice(),
            handed: Vec::new(),
            link_changes: 0,
            watch,
            received: 0,
            too_long: 0,
            own_lost: 0,
            port,
        }
    }

    /// Frames from here are sent by this thread.
    pub(super) fn take_from(&mut self, ring: Consumer<Mbuf>) {
        self.handed.push(Handed { ring, burst: Burst::default() });
    }

    /// Reads one burst, unless one waits to be handed up; whether one does then. `now` is a time from before the call.
    #[inline]
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        if !self.staged.is_empty() {
            return true;
        }
        let read = match self.queue.receive(&mut self.staged) {
            None => Read::Failed,
            Some(0) if !self.pool.has(REFILL_MAX) => Read::Failed,
            Some(0) => Read::Empty,
            Some(count) => Read::Packets(count),
        };
        self.staged_moment = self.moments.of_burst(now, read);
        !self.staged.is_empty()
    }

    /// Hands up the datagrams of the burst that was read; returns how many.
    #[inline]
    pub(super) fn hand_up(
        &mut self,
        now: Instant,
        sender: &mut Sender,
        take: &mut dyn FnMut(Arrival<'_>),
    ) -> usize {
        let mut handed_up = 0;
        while let Some(frame) = self.staged.pop() {
            let Some(bytes) = frame.contiguous(&mut self.room) else {
                self.too_long += 1;
                continue;
            };
            if let Some(tap) = sender.tap() {
                tap.frame(now, Direction::In, &[bytes]);
            }
            if let Some(datagram) = self.stack.take(now, bytes, said_of(&frame)) {
                handed_up += 1;
                take(Arrival {
                    from: datagram.from,
                    to: datagram.to,
                    not_before: self.staged_moment,
                    bytes: datagram.bytes,
                });
            }
        }
        self.received += handed_up as u64;
        handed_up
    }

    /// Sends what the stack owes to others, packets whose neighbour was found, and other threads' frames.
    #[inline]
    pub(super) fn serve(&mut self, now: Instant, sender: &mut Sender) {
        let changes = self.watch.link_changes();
        if changes != self.link_changes {
            self.link_changes = changes;
            if self.watch.is_up() {
                self.stack.link_up(now);
            }
        }
        let lost = &mut self.own_lost;
        self.stack.poll(now, &mut |frame| *lost += u64::from(!sender.send_frame(now, frame)));
        sender.release(now);
        for handed in &mut self.handed {
            handed.pass_on(sender);
        }
    }

    /// Says that the groups are left.
    pub(super) fn leave(&mut self, now: Instant, sender: &mut Sender) {
        self.stack.leave(now, &mut |frame| {
            sender.send_frame(now, frame);
        });
    }
}

impl Handed {
    /// Until the ring is empty, or the device takes no more for now.
    fn pass_on(&mut self, sender: &mut Sender) {
        loop {
            if self.burst.is_empty() {
                while !self.burst.is_full() {
                    let Ok(frame) = self.ring.pop() else { break };
                    let pushed = self.burst.push(frame);
                    assert!(pushed.is_ok(), "a burst that is not full takes a frame");
                }
            }
            if self.burst.is_empty() || sender.send_handed(&mut self.burst) == 0 {
                return;
            }
        }
    }
}

/// What the device says of a frame, in the stack's words.
fn said_of(frame: &Mbuf) -> DeviceSays {
    let DeviceChecksums { ipv4, udp } = frame.checksums();
    DeviceSays { ipv4: in_words(ipv4), udp: in_words(udp), vlan: frame.stripped_vlan() }
}

fn in_words(verdict: Verdict) -> Checksum {
    match verdict {
        Verdict::Good | Verdict::Trusted => Checksum::Good,
        Verdict::Bad => Checksum::Bad,
        Verdict::Unknown => Checksum::Unknown,
    }
}
