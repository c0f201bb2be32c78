//! Rings, and ports of DPDK's driver `net_ring` that stand on them.
//!
//! Rules of this file:
//! - What is in a ring are packets that somebody owned and gave up: whoever takes them out owns them.
//! - A port lets go of its rings before they are freed: [`RingPort`] holds them.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_sys as sys;

use crate::dpdk::eal::{Eal, error_of};
use crate::dpdk::packet::{Burst, Mbuf};

/// A port that transmits into rings and receives from a ring. Removed when dropped.
#[derive(Debug)]
pub(super) struct RingPort {
    device: CString,
    /// As DPDK names the port.
    pub(super) name: String,
    pub(super) inbox: Arc<Ring>,
    pub(super) outboxes: Vec<Arc<Ring>>,
}

impl RingPort {
    /// A port with one receive queue on `inbox` and a transmit queue on each of `outboxes`.
    pub(super) fn new(inbox: Arc<Ring>, outboxes: Vec<Arc<Ring>>) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let short = format!("cable{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(short.as_str())?;
        let device = CString::new(format!("net_ring_{short}"))?;
        let receive = [inbox.raw()];
        let transmit: Vec<_> = outboxes.iter().map(|ring| ring.raw()).collect();
        let count = u32::try_from(transmit.len()).unwrap_or(u32::MAX);
        // SAFETY: as many rings as we say, which live as long as the port (`self`); DPDK copies names and pointers.
        let port = unsafe {
            sys::rte_eth_from_rings(name.as_ptr(), receive.as_ptr(), 1, transmit.as_ptr(), count, 0)
        };
        if port < 0 {
            return Err(error_of(-1));
        }
        let name = device.to_string_lossy().into_owned();
        Ok(Self { device, name, inbox, outboxes })
    }
}

impl Drop for RingPort {
    fn drop(&mut self) {
        // SAFETY: a name that lives. Whoever used the port has closed it; where not, DPDK does.
        unsafe { sys::rte_vdev_uninit(self.device.as_ptr()) };
    }
}

/// `SOCKET_ID_ANY`.
const ANY_SOCKET: i32 = -1;

/// A ring of packets in DPDK's memory; any thread puts, any takes.
#[derive(Debug)]
pub(super) struct Ring {
    raw: NonNull<sys::rte_ring>,
    _eal: Eal,
}

// SAFETY: made without flags, so that any number of threads may put and take at once.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// A ring for `room` packets, rounded up to a power of two less one.
    pub(super) fn new(eal: &Eal, room: u32) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = CString::new(format!("ring{}", NEXT.fetch_add(1, Ordering::Relaxed)))?;
        let count = room.saturating_add(1).next_power_of_two();
        // SAFETY: EAL is started (`eal`), the name is a string that DPDK copies.
        let raw = unsafe { sys::rte_ring_create(name.as_ptr(), count, ANY_SOCKET, 0) };
        let raw = NonNull::new(raw).ok_or_else(|| error_of(-1))?;
        Ok(Self { raw, _eal: eal.clone() })
    }

    /// Puts packets from the front of a burst, as many as there is room for.
    pub(super) fn put(&self, burst: &mut Burst) -> usize {
        let put = |first: *mut *mut sys::rte_mbuf, count: u16| {
            // SAFETY: `count` pointers at `first`; a ring that lives.
            let put = unsafe {
                sys::shim_ring_put(self.raw.as_ptr(), first.cast::<*mut c_void>(), count.into())
            };
            u16::try_from(put).unwrap_or(count)
        };
        // SAFETY: those that the ring has taken are the ring's.
        unsafe { burst.hand_over(put) }
    }

    /// Takes packets into an empty burst.
    pub(super) fn take(&self, burst: &mut Burst) -> usize {
        self.take_some(burst, u16::MAX)
    }

    /// Takes one packet.
    pub(super) fn take_one(&self) -> Option<Mbuf> {
        let mut burst = Burst::default();
        self.take_some(&mut burst, 1);
        burst.pop()
    }

    fn take_some(&self, burst: &mut Burst, at_most: u16) -> usize {
        let take = |first: *mut *mut sys::rte_mbuf, room: u16| {
            let count = room.min(at_most);
            // SAFETY: room for `count` pointers at `first`; a ring that lives.
            let taken = unsafe {
                sys::shim_ring_take(self.raw.as_ptr(), first.cast::<*mut c_void>(), count.into())
            };
            u16::try_from(taken).unwrap_or(0)
        };
        // SAFETY: what was in the ring were packets that somebody put there and gave up.
        unsafe { burst.fill(take) }
    }

    /// For DPDK, while `self` lives.
    pub(super) fn raw(&self) -> *mut sys::rte_ring {
        self.raw.as_ptr()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut left = Burst::default();
        while self.take(&mut left) > 0 {
            left.clear();
        }
        // SAFETY: ours, empty, and used by nobody any more.
        unsafe { sys::rte_ring_free(self.raw.as_ptr()) };
    }
}
