//! Packet buffers of DPDK behind values that own them.
//!
//! Rules of this file:
//! - An [`Mbuf`] owns a chain of segments: the first exclusively, the others exclusively or as shared payloads that nobody
//!   writes. Only [`Burst`] and [`Ring`] give the pointer away, to DPDK or to another owner.
//! - Fields are read and written through the places that `dpdk_sys` says (`field`).

use core::ptr::{NonNull, null_mut};
use core::slice;
use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_sys as sys;

use super::{BURST, DeviceChecksums, PoolError, Verdict};
use crate::dpdk::eal::{Eal, error_of};

/// A pool of packet buffers. Copies are the same pool; any thread takes from it and gives back to it.
#[derive(Clone, Debug)]
pub struct Pool(Arc<PoolState>);

#[derive(Debug)]
struct PoolState {
    raw: NonNull<sys::rte_mempool>,
    count: u32,
    room: u16,
    eal: Eal,
}

// SAFETY: DPDK's pools may be used by all threads at once; caches are per thread, by EAL's own numbers.
unsafe impl Send for PoolState {}
// SAFETY: as above.
unsafe impl Sync for PoolState {}

/// Buffers that a thread keeps for itself, at most 1.5 times as many.
pub(crate) const CACHE: u32 = 128;

/// What DPDK keeps beside each buffer's data, in bytes, roughly: `rte_mbuf` and the pool's own header.
const BESIDE: u32 = 256;

impl Pool {
    /// A pool of `count` buffers with room for `room` bytes of a frame each, on a NUMA socket.
    ///
    /// # Errors
    ///
    /// [`PoolError`]: too little memory.
    pub fn new(eal: &Eal, count: u32, room: u16, socket: Option<u32>) -> Result<Self, PoolError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let data_room = room.saturating_add(sys::SHIM_HEADROOM);
        let failed = |cause| {
            let bytes = u32::from(data_room) + BESIDE;
            let megabytes = ((u64::from(count) * u64::from(bytes)) >> 19) + 64;
            PoolError { count, bytes, socket, cause, megabytes }
        };
        let name = format!("packets{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).map_err(|why| failed(io::Error::other(why)))?;
        let cache = CACHE.min(count / 4);
        let place = socket.and_then(|socket| i32::try_from(socket).ok()).unwrap_or(ANY_SOCKET);
        // SAFETY: EAL is started (`eal`), the name is a string that DPDK copies.
        let raw = unsafe {
            sys::rte_pktmbuf_pool_create(name.as_ptr(), count, cache, 0, data_room, place)
        };
        let raw = NonNull::new(raw).ok_or_else(|| failed(error_of(-1)))?;
        Ok(Self(Arc::new(PoolState { raw, count, room, eal: eal.clone() })))
    }

    /// An empty packet, or none when the pool has none left.
    #[must_use]
    pub fn take(&self) -> Option<Mbuf> {
        // SAFETY: a pool that lives; what it gives belongs to us alone.
        let raw = unsafe { sys::shim_mbuf_alloc(self.raw()) };
        NonNull::new(raw).map(Mbuf)
    }

    /// A copy of a packet, in one segment where it fits one; none when the pool has none left.
    #[must_use]
    pub fn copy(&self, packet: &Mbuf) -> Option<Mbuf> {
        // SAFETY: both live; the copy reads the one and takes from the other.
        let raw = unsafe { sys::rte_pktmbuf_copy(packet.0.as_ptr(), self.raw(), 0, u32::MAX) };
        NonNull::new(raw).map(Mbuf)
    }

    /// Buffers in the pool now, threads' own caches included. Counts one by one: not for the hot path.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: a pool that lives.
        unsafe { sys::rte_mempool_avail_count(self.raw()) }
    }

    /// Whether the calling thread could take this many at once, as far as it can see: those in others' caches are not seen.
    #[inline]
    pub(crate) fn has(&self, count: u32) -> bool {
        // SAFETY: a pool that lives.
        unsafe { sys::shim_pool_within_reach(self.raw()) >= count }
    }

    /// Buffers in all.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.count
    }

    /// Bytes of a frame that one buffer takes.
    #[must_use]
    pub fn room(&self) -> u16 {
        self.0.room
    }

    /// The EAL that it lives in.
    #[must_use]
    pub fn eal(&self) -> &Eal {
        &self.0.eal
    }

    /// For DPDK, while `self` lives.
    pub(crate) fn raw(&self) -> *mut sys::rte_mempool {
        self.0.raw.as_ptr()
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        // SAFETY: ours, not yet freed. Where all buffers are at home, no packet of it exists, and nobody can make one.
        unsafe {
            if sys::rte_mempool_avail_count(self.raw.as_ptr()) == self.count {
                sys::rte_mempool_free(self.raw.as_ptr());
            } else {
                self.eal.leaks();
            }
        }
    }
}

/// `SOCKET_ID_ANY`.
const ANY_SOCKET: i32 = -1;

/// One packet: a chain of buffers.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: a packet belongs to its owner alone (B1); shared payloads behind it are counted atomically and only read.
unsafe impl Send for Mbuf {}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this.
        unsafe { sys::shim_mbuf_free(self.0.as_ptr()) };
    }
}

impl Mbuf {
    /// Length of the frame in bytes, over all segments.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no frame is empty; a fresh buffer is")]
    pub fn len(&self) -> usize {
        self.get::<u32>(sys::SHIM_AT_PKT_LEN) as usize
    }

    /// Segments of the chain.
    #[must_use]
    pub fn segments(&self) -> usize {
        usize::from(self.get::<u16>(sys::SHIM_AT_NB_SEGS))
    }

    /// The first segment's bytes: all of the frame where there is only one.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        let len = usize::from(self.get::<u16>(sys::SHIM_AT_DATA_LEN));
        // SAFETY: the segment has `data_len` bytes at `data`, written by DPDK or by us, and is borrowed with `self`.
        unsafe { slice::from_raw_parts(self.data(), len) }
    }

    /// The whole frame: in place where it has one segment, else gathered in `room`. None when it is longer than that.
    #[must_use]
    pub fn contiguous<'a>(&'a self, room: &'a mut [u8]) -> Option<&'a [u8]> {
        if self.segments() == 1 {
            return Some(self.first());
        }
        let len = self.len();
        if len > room.len() {
            return None;
        }
        let wanted = u32::try_from(len).ok()?;
        // SAFETY: `room` has `len` bytes; what is given back points into it, or into the first segment.
        unsafe {
            let bytes = sys::shim_mbuf_read(self.0.as_ptr(), 0, wanted, room.as_mut_ptr().cast());
            (!bytes.is_null()).then(|| slice::from_raw_parts(bytes.cast::<u8>(), len))
        }
    }

    /// Appends to a packet of one segment. False, and nothing is written, where the buffer has no room for all of it.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let used = self.get::<u16>(sys::SHIM_AT_DATA_LEN);
        let before = usize::from(self.get::<u16>(sys::SHIM_AT_DATA_OFF)) + usize::from(used);
        let room = usize::from(self.get::<u16>(sys::SHIM_AT_BUF_LEN)).saturating_sub(before);
        let Ok(more) = u16::try_from(bytes.len()) else { return false };
        if bytes.len() > room || self.segments() != 1 {
            return false;
        }
        // SAFETY: behind the data is room for `bytes`, which the buffer's own segment has to itself.
        unsafe {
            let end = self.data().cast_mut().add(usize::from(used));
            end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        self.set(sys::SHIM_AT_DATA_LEN, used + more);
        self.set(sys::SHIM_AT_PKT_LEN, u32::from(used + more));
        true
    }

    /// Puts bytes before the data. False, and nothing is written, where there is no room.
    #[must_use]
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        let offset = self.get::<u16>(sys::SHIM_AT_DATA_OFF);
        let Ok(more) = u16::try_from(bytes.len()) else { return false };
        if more > offset {
            return false;
        }
        let len = self.get::<u16>(sys::SHIM_AT_DATA_LEN);
        let total = self.get::<u32>(sys::SHIM_AT_PKT_LEN);
        self.set(sys::SHIM_AT_DATA_OFF, offset - more);
        self.set(sys::SHIM_AT_DATA_LEN, len + more);
        self.set(sys::SHIM_AT_PKT_LEN, total + u32::from(more));
        // SAFETY: the `more` bytes before the old data are the segment's headroom.
        unsafe {
            self.data().cast_mut().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        true
    }

    /// Hangs a payload behind a packet of one segment, without a copy.
    pub fn attach(&mut self, payload: &Payload) {
        assert_eq!(self.segments(), 1, "one payload for one header");
        let more = payload.0.get::<u32>(sys::SHIM_AT_PKT_LEN);
        let total = self.get::<u32>(sys::SHIM_AT_PKT_LEN);
        // SAFETY: the payload lives, and with the count raised for as long as this packet.
        unsafe { sys::shim_mbuf_reference(payload.0.0.as_ptr(), 1) };
        self.set(sys::SHIM_AT_NEXT, payload.0.0.as_ptr());
        self.set(sys::SHIM_AT_NB_SEGS, 2_u16);
        self.set(sys::SHIM_AT_PKT_LEN, total + more);
    }

    /// Asks the device for the checksums of IPv4's header and of UDP. `l2` and `l3` are the lengths of the Ethernet (with
    /// VLAN) and the IPv4 header in bytes; IPv4's checksum field must be zero and UDP's that of the pseudo header.
    pub fn ask_checksums(&mut self, (ipv4, udp): (bool, bool), l2: u8, l3: u8) {
        let mut flags = sys::SHIM_MBUF_TX_IPV4;
        flags |= if ipv4 { sys::SHIM_MBUF_TX_IP_CHECKSUM } else { 0 };
        flags |= if udp { sys::SHIM_MBUF_TX_UDP_CHECKSUM } else { 0 };
        let lengths = u64::from(l2) | u64::from(l3) << sys::SHIM_L3_LEN_SHIFT;
        self.set(sys::SHIM_AT_TX_OFFLOAD, lengths);
        let old: u64 = self.get(sys::SHIM_AT_OL_FLAGS);
        self.set(sys::SHIM_AT_OL_FLAGS, old | flags);
    }

    /// What the device says of a received packet's checksums.
    #[must_use]
    pub fn checksums(&self) -> DeviceChecksums {
        let flags: u64 = self.get(sys::SHIM_AT_OL_FLAGS);
        let ipv4 = match flags & sys::SHIM_MBUF_IP_MASK {
            sys::SHIM_MBUF_IP_GOOD => Verdict::Good,
            sys::SHIM_MBUF_IP_BAD => Verdict::Bad,
            sys::SHIM_MBUF_IP_NONE => Verdict::Trusted,
            _ => Verdict::Unknown,
        };
        let udp = match flags & sys::SHIM_MBUF_L4_MASK {
            sys::SHIM_MBUF_L4_GOOD => Verdict::Good,
            sys::SHIM_MBUF_L4_BAD => Verdict::Bad,
            sys::SHIM_MBUF_L4_NONE => Verdict::Trusted,
            _ => Verdict::Unknown,
        };
        DeviceChecksums { ipv4, udp }
    }

    /// The VLAN tag that the device has taken out of a received frame (its 16 bits), if it has.
    #[must_use]
    pub fn stripped_vlan(&self) -> Option<u16> {
        let flags: u64 = self.get(sys::SHIM_AT_OL_FLAGS);
        (flags & sys::SHIM_MBUF_VLAN_STRIPPED != 0).then(|| self.get(sys::SHIM_AT_VLAN_TCI))
    }

    /// Makes a packet of one segment a payload that others can share.
    #[must_use]
    pub fn share(self) -> Payload {
        assert_eq!(self.segments(), 1, "a shared payload is one segment");
        Payload(self)
    }

    /// Where the first segment's data begins.
    fn data(&self) -> *const u8 {
        let offset = usize::from(self.get::<u16>(sys::SHIM_AT_DATA_OFF));
        // SAFETY: the offset lies within the buffer.
        unsafe { self.get::<*const u8>(sys::SHIM_AT_BUF_ADDR).add(offset) }
    }

    fn field<T>(&self, at: usize) -> *mut T {
        // SAFETY: `at` is one of `dpdk_sys`' places, which lie within the structure.
        unsafe { self.0.as_ptr().byte_add(at).cast() }
    }

    fn get<T: Copy>(&self, at: usize) -> T {
        // SAFETY: the field at this place is a `T` (each caller names the field's type), and initialised.
        unsafe { self.field::<T>(at).read() }
    }

    fn set<T: Copy>(&mut self, at: usize, value: T) {
        // SAFETY: as above; the first segment is ours alone.
        unsafe { self.field::<T>(at).write(value) };
    }
}

/// One segment that many packets carry behind their headers.
#[derive(Debug)]
pub struct Payload(Mbuf);

impl Payload {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.first()
    }

    /// How many hold it, this value included.
    #[must_use]
    pub fn holders(&self) -> u16 {
        // SAFETY: lives.
        unsafe { sys::shim_mbuf_references(self.0.0.as_ptr()) }
    }
}

/// Up to [`BURST`] packets, in order.
#[derive(Debug)]
pub struct Burst {
    packets: [*mut sys::rte_mbuf; BURST],
    /// The packets are those from `begin` to `end`: each pointer there is one that we own.
    begin: usize,
    end: usize,
}

// SAFETY: as `Mbuf`.
unsafe impl Send for Burst {}

impl Default for Burst {
    fn default() -> Self {
        Self { packets: [null_mut(); BURST], begin: 0, end: 0 }
    }
}

impl Burst {
    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.begin
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Whether no more can be pushed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end == BURST && !self.is_empty()
    }

    /// Takes the first.
    #[inline]
    pub fn pop(&mut self) -> Option<Mbuf> {
        if self.is_empty() {
            return None;
        }
        let packet = NonNull::new(self.packets[self.begin]).map(Mbuf);
        self.begin += 1;
        packet
    }

    /// Adds one at the end, or gives it back where none fits.
    ///
    /// # Errors
    ///
    /// The packet, when the burst is full.
    #[inline]
    pub fn push(&mut self, packet: Mbuf) -> Result<(), Mbuf> {
        if self.is_empty() {
            (self.begin, self.end) = (0, 0);
        }
        if self.end == BURST {
            return Err(packet);
        }
        self.packets[self.end] = packet.0.as_ptr();
        self.end += 1;
        core::mem::forget(packet);
        Ok(())
    }

    /// Frees all that are left; returns how many.
    pub fn clear(&mut self) -> usize {
        let count = self.len();
        while let Some(packet) = self.pop() {
            drop(packet);
        }
        count
    }

    /// Lets DPDK fill an empty burst: `with` writes pointers and says how many, each of which is then ours.
    ///
    /// # Safety
    ///
    /// `with` writes as many packets as it says, at most [`BURST`], that nobody else owns.
    pub(crate) unsafe fn fill(
        &mut self,
        with: impl FnOnce(*mut *mut sys::rte_mbuf, u16) -> u16,
    ) -> usize {
        if !self.is_empty() {
            return 0;
        }
        (self.begin, self.end) = (0, 0);
        self.end = usize::from(with(self.packets.as_mut_ptr(), MOST)).min(BURST);
        self.end
    }

    /// Lets DPDK take packets from the front: `with` is given them, and says how many are no longer ours.
    ///
    /// # Safety
    ///
    /// `with` takes over as many as it says, the first ones, at most as many as it is given.
    pub(crate) unsafe fn hand_over(
        &mut self,
        with: impl FnOnce(*mut *mut sys::rte_mbuf, u16) -> u16,
    ) -> usize {
        if self.is_empty() {
            return 0;
        }
        let count = u16::try_from(self.len()).unwrap_or(MOST);
        let first = &raw mut self.packets[self.begin];
        let taken = usize::from(with(first, count)).min(self.len());
        self.begin += taken;
        taken
    }
}

/// [`BURST`], as DPDK counts.
#[allow(clippy::cast_possible_truncation, reason = "32")]
const MOST: u16 = BURST as u16;

impl Drop for Burst {
    fn drop(&mut self) {
        self.clear();
    }
}
