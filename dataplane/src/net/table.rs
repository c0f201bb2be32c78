//! Who has which Ethernet address: written by one thread, read by those that send.
//!
//! A slot is an address, its Ethernet address, and a version that is odd while the writer changes the slot (a seqlock).
//! Slots stand in buckets of eight, two lines of the cache; 1,024 in all.
//!
//! Invariants:
//! - A1. A reader gets the Ethernet address that was written with the address it asks for, or none: never half of two.
//! - A2. A reader ends: it looks at a slot a few times at most. One that the writer changes all the time is a miss.
//! - A3. One writer: [`TableWriter`] cannot be copied.

use core::net::Ipv4Addr;
use std::sync::Arc;

use super::mac::MacAddress;
pub(super) use crate::sync::table::BUCKET;
use crate::sync::table::{ASKED, BUCKETS_BITS};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Neighbours, at most.
pub(super) const SLOTS: usize = BUCKET << BUCKETS_BITS;

/// Looks at a slot that changes, at most.
const LOOKS: usize = 4;
/// In a slot's `mac`, above its 48 bits: somebody has sent there.
const USED: u64 = 1 << 63;

/// First slot of the bucket in which an address stands.
pub(super) fn bucket(ip: Ipv4Addr) -> usize {
    // Fibonacci hashing: neighbouring addresses spread evenly.
    let hash = ip.to_bits().wrapping_mul(0x9e37_79b1) >> (32 - BUCKETS_BITS);
    usize::try_from(hash).unwrap_or(0) * BUCKET
}

#[derive(Debug)]
struct Table {
    slots: Box<[Slot]>,
    /// Addresses that senders miss; 0 = free.
    asked: [AtomicU32; ASKED],
    /// Whether one of them is set, so that the writer need not look.
    any_asked: AtomicU32,
}

#[derive(Debug, Default)]
struct Slot {
    version: AtomicU32,
    /// 0 = free: nobody's address.
    ip: AtomicU32,
    mac: AtomicU64,
}

/// The one that writes.
#[derive(Debug)]
pub(super) struct TableWriter(Arc<Table>);

/// What a sending thread sees of the neighbours. Copies see the same.
#[derive(Clone, Debug)]
pub struct NeighbourReader(Arc<Table>);

impl TableWriter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Table {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            asked: Default::default(),
            any_asked: AtomicU32::new(0),
        }))
    }

    pub(super) fn reader(&self) -> NeighbourReader {
        NeighbourReader(Arc::clone(&self.0))
    }

    /// From now on the slot says this. Without use.
    pub(super) fn set(&mut self, place: usize, ip: Ipv4Addr, mac: MacAddress) {
        self.0.slots[place].write(ip.to_bits(), mac.to_bits());
    }

    pub(super) fn clear(&mut self, place: usize) {
        self.0.slots[place].write(0, 0);
    }

    /// Whether somebody has sent there since this was last asked.
    pub(super) fn take_use(&mut self, place: usize) -> bool {
        let mac = &self.0.slots[place].mac;
        mac.load(Ordering::Relaxed) & USED != 0
            && mac.fetch_and(!USED, Ordering::Relaxed) & USED != 0
    }

    pub(super) fn is_used(&self, place: usize) -> bool {
        self.0.slots[place].mac.load(Ordering::Relaxed) & USED != 0
    }

    pub(super) fn mark_used(&mut self, place: usize) {
        self.0.slots[place].mac.fetch_or(USED, Ordering::Relaxed);
    }

    /// Whether senders miss a neighbour.
    pub(super) fn is_asked(&self) -> bool {
        self.0.any_asked.load(Ordering::Relaxed) != 0
    }

    /// The neighbours that senders miss, each once.
    pub(super) fn take_asked(&mut self) -> [Option<Ipv4Addr>; ASKED] {
        // Before the slots are read: one that is set behind our back sets it again.
        self.0.any_asked.swap(0, Ordering::Acquire);
        core::array::from_fn(|place| {
            let ip = self.0.asked[place].swap(0, Ordering::Relaxed);
            (ip != 0).then_some(Ipv4Addr::from_bits(ip))
        })
    }
}

impl NeighbourReader {
    /// The Ethernet address of a neighbour, if it is known now.
    #[must_use]
    pub fn find(&self, ip: Ipv4Addr) -> Option<MacAddress> {
        let first = bucket(ip);
        let slots = &self.0.slots[first..first + BUCKET];
        slots.iter().find_map(|slot| slot.read(ip.to_bits()))
    }

    /// Asks for a neighbour to be looked for. False when too many are asked for at this moment.
    #[must_use]
    pub fn ask(&self, ip: Ipv4Addr) -> bool {
        let wanted = ip.to_bits();
        for asked in &self.0.asked {
            let held = match asked.compare_exchange(0, wanted, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => wanted,
                Err(held) => held,
            };
            if held == wanted {
                self.0.any_asked.store(1, Ordering::Release);
                return true;
            }
        }
        false
    }
}

impl Slot {
    fn write(&self, ip: u32, mac: u64) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Whoever sees a value written below sees the odd version as well.
        fence(Ordering::Release);
        self.ip.store(ip, Ordering::Relaxed);
        self.mac.store(mac, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    fn read(&self, ip: u32) -> Option<MacAddress> {
        for _ in 0..LOOKS {
            let version = self.version.load(Ordering::Acquire);
            if self.ip.load(Ordering::Relaxed) != ip {
                return None;
            }
            let mac = self.mac.load(Ordering::Relaxed);
            // What was read above is read before the version is read again.
            fence(Ordering::Acquire);
            if version & 1 == 0 && self.version.load(Ordering::Relaxed) == version {
                if mac & USED == 0 {
                    // Should the slot be another's by now, that one is taken for used: it is asked once more.
                    self.mac.fetch_or(USED, Ordering::Relaxed);
                }
                return Some(MacAddress::from_bits(mac));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicBool;
    use std::collections::BTreeSet;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn address(n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 + n)
    }

    /// Every octet tells whose it is.
    fn mac(n: u8) -> MacAddress {
        MacAddress([2, n, n, n, n, n])
    }

    #[test]
    fn what_is_set_is_found_until_it_is_cleared() {
        let mut writer = TableWriter::new();
        let reader = writer.reader();
        let place = bucket(address(1)) + 3;
        assert_eq!(reader.find(address(1)), None);
        writer.set(place, address(1), mac(1));
        assert!(!writer.is_used(place));
        assert_eq!(reader.find(address(1)), Some(mac(1)));
        assert!(writer.take_use(place));
        assert!(!writer.take_use(place));
        writer.set(place, address(1), mac(2));
        assert_eq!(reader.find(address(1)), Some(mac(2)));
        writer.clear(place);
        assert_eq!(reader.find(address(1)), None);
    }

    #[test]
    fn a_subnet_of_254_hosts_spreads_evenly() {
        let mut counts = vec![0; SLOTS / BUCKET];
        for n in 1..255 {
            counts[bucket(address(n)) / BUCKET] += 1;
        }
        assert!(counts.iter().all(|&count| count <= 4), "{counts:?}");
    }

    #[test]
    fn what_is_asked_comes_once_and_too_much_is_refused() {
        let mut writer = TableWriter::new();
        let reader = writer.reader();
        assert!(!writer.is_asked());
        for _ in 0..3 {
            assert!(reader.ask(address(7)));
        }
        assert!(writer.is_asked());
        let asked: Vec<_> = writer.take_asked().into_iter().flatten().collect();
        assert_eq!(asked, [address(7)]);
        assert!(!writer.is_asked());
        let taken = (0..100).filter(|&n| reader.ask(address(n))).count();
        assert_eq!(taken, ASKED);
        let asked: BTreeSet<_> = writer.take_asked().into_iter().flatten().collect();
        assert_eq!(asked.len(), ASKED);
        assert!(reader.ask(address(99)));
    }

    /// A1: addresses take turns in one slot, and an address' Ethernet address changes; no reader ever gets another's.
    #[test]
    fn a_reader_beside_the_writer_never_gets_half_of_two() {
        let first = address(1);
        let rivals: Vec<Ipv4Addr> =
            (1..).map(address).filter(|&ip| bucket(ip) == bucket(first)).take(4).collect();
        let mut writer = TableWriter::new();
        let reader = writer.reader();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut found = [0_u64; 4];
                while !stop.load(Ordering::Relaxed) {
                    for (n, &ip) in (0_u8..).zip(&rivals) {
                        let Some(MacAddress(octets)) = reader.find(ip) else { continue };
                        assert!(
                            octets[1..].iter().all(|&octet| octet >> 4 == n),
                            "{ip}: {octets:?}"
                        );
                        assert!(octets[1..].iter().all(|&octet| octet == octets[1]), "{octets:?}");
                        found[usize::from(n)] += 1;
                    }
                }
                found
            });
            let end = Instant::now() + Duration::from_millis(700);
            let mut turn = 0_u8;
            while Instant::now() < end {
                for _ in 0..1_000 {
                    turn = turn.wrapping_add(1);
                    let n = turn % 4;
                    writer.set(bucket(first), rivals[usize::from(n)], mac((n << 4) | (turn % 16)));
                }
            }
            stop.store(true, Ordering::Relaxed);
            let found = reading.join().unwrap();
            assert!(found.iter().all(|&count| count > 100), "the reader found {found:?}");
        });
    }
}
