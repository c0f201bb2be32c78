//! Where a learning bridge sends a frame (IEEE 802.1D): pure, for the switch and the cables of `dataplane::dpdk`.
//!
//! ```
//! use core::time::Duration;
//! use dataplane::net::{Bridge, Way};
//!
//! let mut bridge = Bridge::default();
//! (0..3).for_each(|_| bridge.add_end());
//! let frame = |to, from| [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
//! let now = Duration::ZERO;
//! assert_eq!(bridge.way(0, &frame(2, 1), now), Way::Others); // nobody has heard of 2
//! assert_eq!(bridge.way(1, &frame(1, 2), now), Way::One(0));
//! ```
//!
//! Left out: IGMP snooping, so that groups' frames go to all ends; spanning trees, so that a ring of bridges is not for it;
//! VLANs, whose tags are passed on and not looked at.
//!
//! Invariants:
//! - L1. A frame to one address goes to the end that was last heard to send from it, within [`AGE_MAX`]; one to a group, or to
//!   an address that nobody has been heard from, to all ends but its own. None goes back to the end it came from.
//! - L2. Memory is bounded: [`LEARNED_MAX`] addresses for each end, the one that was silent the longest forgotten first. An end
//!   that makes addresses up drives out its own only.
//! - L3. Any bytes: no panic, no loop, and no allocation but by [`Bridge::add_end`].

use super::MacAddress;
use crate::backend::Instant;

/// Addresses that are remembered for each end, at most.
pub const LEARNED_MAX: usize = 256;

/// How long an address is remembered that is silent (802.1D, table 7-5).
pub const AGE_MAX: Instant = Instant::from_secs(300);

/// Bytes of an Ethernet header.
const HEADER_LEN: usize = 14;

/// What was learned of a number of ends.
#[derive(Debug, Default)]
pub struct Bridge {
    /// By address.
    heard: Vec<Heard>,
    /// How many of them are at each end.
    ends: Vec<usize>,
}

/// An address that frames came from.
#[derive(Clone, Copy, Debug)]
struct Heard {
    address: u64,
    end: usize,
    at: Instant,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// To this end.
    One(usize),
    /// To all but the one it came from.
    Others,
    /// Nowhere.
    Nowhere(Why),
}

/// Why a frame goes nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// It is shorter than an Ethernet header.
    Short,
    /// It says that a group, or nobody, has sent it.
    Sender,
    /// It is for its receiver's neighbour only, such as 802.3x's pause and spanning trees' messages (01:80:c2:00:00:0x).
    Reserved,
    /// Its receiver is where it came from.
    Local,
}

impl Bridge {
    /// One end more, the last; it allocates what it will ever need.
    pub fn add_end(&mut self) {
        self.ends.push(0);
        let most = self.ends.len() * LEARNED_MAX;
        self.heard.reserve(most - self.heard.len());
    }

    /// The end `place` is gone; those behind it move up.
    ///
    /// # Panics
    ///
    /// When there is no such end.
    pub fn remove_end(&mut self, place: usize) {
        self.ends.remove(place);
        self.heard.retain(|heard| heard.end != place);
        for heard in &mut self.heard {
            heard.end -= usize::from(heard.end > place);
        }
    }

    /// Addresses that are remembered.
    #[must_use]
    pub fn learned(&self) -> usize {
        self.heard.len()
    }

    /// Learns from a frame that came from an end at the moment `now`, and says where it goes. `frame` needs no more than
    /// the Ethernet header.
    ///
    /// # Panics
    ///
    /// When there is no such end.
    #[inline]
    pub fn way(&mut self, from: usize, frame: &[u8], now: Instant) -> Way {
        let Some(&[a, b, c, d, e, f, g, h, i, j, k, l, ..]) = frame.first_chunk::<HEADER_LEN>()
        else {
            return Way::Nowhere(Why::Short);
        };
        let (to, sender) = (MacAddress([a, b, c, d, e, f]), MacAddress([g, h, i, j, k, l]));
        if !sender.is_one_interface() {
            return Way::Nowhere(Why::Sender);
        }
        self.learn(from, sender.to_bits(), now);
        if to.is_group() {
            let is_reserved = matches!(to.0, [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f]);
            return if is_reserved { Way::Nowhere(Why::Reserved) } else { Way::Others };
        }
        let found = self.place(to.to_bits()).ok().map(|place| self.heard[place]);
        match found.filter(|heard| now.saturating_sub(heard.at) <= AGE_MAX) {
            Some(heard) if heard.end == from => Way::Nowhere(Why::Local),
            Some(heard) => Way::One(heard.end),
            None => Way::Others,
        }
    }

    /// Where an address stands, or would.
    fn place(&self, address: u64) -> Result<usize, usize> {
        self.heard.binary_search_by_key(&address, |heard| heard.address)
    }

    fn learn(&mut self, from: usize, address: u64, now: Instant) {
        if let Ok(place) = self.place(address) {
            if self.heard[place].end == from {
                self.heard[place].at = now;
                return;
            }
            self.forget(place);
        }
        if self.ends[from] == LEARNED_MAX {
            let own = self.heard.iter().enumerate().filter(|(_, heard)| heard.end == from);
            let oldest = own.min_by_key(|(_, heard)| heard.at).map(|(place, _)| place);
            oldest.into_iter().for_each(|place| self.forget(place));
        }
        let place = self.place(address).unwrap_or_else(|place| place);
        self.heard.insert(place, Heard { address, end: from, at: now });
        self.ends[from] += 1;
    }

    fn forget(&mut self, place: usize) {
        let gone = self.heard.remove(place);
        self.ends[gone.end] -= 1;
    }
}

#[cfg(test)]
mod tests;
