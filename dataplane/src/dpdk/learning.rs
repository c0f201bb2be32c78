//! Which end of a switch an Ethernet address is at, learned from who sends.
//!
//! Invariants:
//! - L1. A frame to one address goes to the end that was last heard to send from it; one to a group, or to an address that
//!   nobody has been heard from, to all ends but its own.
//! - L2. Memory is bounded: [`LEARNED_MAX`] addresses for each end, the oldest forgotten first.

/// Addresses that are remembered for each end, at most.
const LEARNED_MAX: usize = 16;

/// What was learned.
#[derive(Debug, Default)]
pub(super) struct Learned {
    ends: Vec<Vec<[u8; 6]>>,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// To this end.
    One(usize),
    /// To all but the one it came from.
    Others,
    /// Nowhere: its receiver is where it came from, or it is no frame.
    Nowhere,
}

impl Learned {
    /// One end more, the last; it allocates what it will ever need.
    pub(super) fn add_end(&mut self) {
        self.ends.push(Vec::with_capacity(LEARNED_MAX));
    }

    /// The end `place` is gone; those behind it move up.
    pub(super) fn remove_end(&mut self, place: usize) {
        self.ends.remove(place);
    }

    /// Learns from a frame that came from an end, and says where it goes.
    #[inline]
    pub(super) fn way(&mut self, from: usize, frame: &[u8]) -> Way {
        let Some((&to, rest)) = frame.split_first_chunk::<6>() else { return Way::Nowhere };
        let Some(&sender) = rest.first_chunk::<6>() else { return Way::Nowhere };
        if !self.ends[from].contains(&sender) && !is_group(sender) {
            self.learn(from, sender);
        }
        if is_group(to) {
            return Way::Others;
        }
        match self.ends.iter().position(|end| end.contains(&to)) {
            Some(one) if one == from => Way::Nowhere,
            Some(one) => Way::One(one),
            None => Way::Others,
        }
    }

    fn learn(&mut self, from: usize, sender: [u8; 6]) {
        for end in &mut self.ends {
            end.retain(|&known| known != sender);
        }
        let end = &mut self.ends[from];
        if end.len() == LEARNED_MAX {
            end.remove(0);
        }
        end.push(sender);
    }
}

fn is_group(address: [u8; 6]) -> bool {
    address[0] & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> [u8; 14] {
        let group = u8::from(to == 255);
        [2 | group, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0]
    }

    #[test]
    fn l1_frames_go_where_their_receiver_was_heard_last() {
        let mut learned = Learned::default();
        (0..3).for_each(|_| learned.add_end());
        assert_eq!(learned.way(0, &frame(2, 1)), Way::Others, "not heard of");
        assert_eq!(learned.way(1, &frame(1, 2)), Way::One(0));
        assert_eq!(learned.way(0, &frame(2, 1)), Way::One(1));
        assert_eq!(learned.way(1, &frame(2, 9)), Way::Nowhere, "it is there already");
        assert_eq!(learned.way(2, &frame(255, 3)), Way::Others);
        // It has moved.
        assert_eq!(learned.way(2, &frame(1, 2)), Way::One(0));
        assert_eq!(learned.way(0, &frame(2, 1)), Way::One(2));
        learned.remove_end(1);
        assert_eq!(learned.way(0, &frame(2, 1)), Way::One(1), "moved up");
        assert_eq!(learned.way(0, &frame(1, 2)[..11]), Way::Nowhere, "no frame");
    }

    #[test]
    fn l2_the_oldest_address_of_an_end_is_forgotten() {
        let mut learned = Learned::default();
        (0..2).for_each(|_| learned.add_end());
        for sender in 1..=17 {
            learned.way(0, &frame(100, sender));
        }
        assert_eq!(learned.way(1, &frame(1, 100)), Way::Others);
        assert_eq!(learned.way(1, &frame(2, 100)), Way::One(0));
        assert_eq!(learned.way(1, &frame(17, 100)), Way::One(0));
    }
}
