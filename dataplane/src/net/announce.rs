//! The own address, told to the segment, and defended (RFC 5227).
//!
//! Nothing waits for it: an address of a cluster's configuration is used at once. At the start, and whenever the link
//! comes up, one question whether another host has it (an ARP probe) and two announcements go out; a host that has it
//! answers the one or contradicts the other, which [`super::Stack`] counts.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::mac::MacAddress;
use super::outbox::{ArpOperation, Outbox};
use crate::backend::Instant;

/// Announcements (RFC 5227, 1.1: ANNOUNCE_NUM),
const ROUNDS: u8 = 2;
/// and the time between them (ANNOUNCE_INTERVAL).
const INTERVAL: Duration = Duration::from_secs(2);
/// The address is defended once in this time (DEFEND_INTERVAL): two hosts do not shout at each other for ever.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Announcements {
    own: Ipv4Addr,
    /// Still to come.
    rounds: u8,
    due: Instant,
    defended: Option<Instant>,
}

impl Announcements {
    pub(super) fn new(own: Ipv4Addr, now: Instant) -> Self {
        Self { own, rounds: ROUNDS, due: now, defended: None }
    }

    /// From the beginning.
    pub(super) fn again(&mut self, now: Instant) {
        (self.rounds, self.due) = (ROUNDS, now);
    }

    /// Another host says that it has the address: one announcement more, not too often (RFC 5227, 2.4 b).
    pub(super) fn defend(&mut self, now: Instant) {
        if self.defended.is_none_or(|before| now.saturating_sub(before) >= DEFEND_INTERVAL) {
            self.defended = Some(now);
            if self.rounds == 0 {
                (self.rounds, self.due) = (1, now);
            }
        }
    }

    pub(super) fn poll(&mut self, now: Instant, outbox: &mut Outbox) {
        let request = ArpOperation::Request;
        let ours = (MacAddress::NOBODY, self.own);
        if self.rounds == ROUNDS {
            // What does not find room is said by the next round.
            outbox.arp(request, Ipv4Addr::UNSPECIFIED, ours, MacAddress::BROADCAST);
        }
        outbox.arp(request, self.own, ours, MacAddress::BROADCAST);
        self.rounds -= 1;
        self.due = now + INTERVAL;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.rounds > 0).then_some(self.due)
    }
}
