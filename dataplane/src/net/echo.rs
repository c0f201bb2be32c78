//! ICMP: answers to echoes, and what is heard of packets that did not arrive (RFC 792).

use core::net::Ipv4Addr;
use core::time::Duration;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

use super::checksum::Sum;
use super::counters::StackEvent;
use super::mac::MacAddress;
use super::outbox::{IpMessage, Outbox};
use super::wire::{Icmp, PROTOCOL_ICMP};
use crate::backend::Instant;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;
/// Code of [`UNREACHABLE`]: longer than the next network carries, and may not be cut.
const TOO_LONG: u8 = 4;

/// Echoes answered per second, in the long run,
const RATE: u32 = 100;
/// and in one go.
const BURST: u32 = 20;
const TTL: u8 = 64;

/// Bounds the rate of answers.
#[derive(Debug)]
pub(super) struct Echoes {
    own: Ipv4Addr,
    /// Answers that may be sent now.
    allowed: u32,
    /// Since when no more were allowed.
    since: Instant,
}

impl Echoes {
    pub(super) fn new(own: Ipv4Addr, now: Instant) -> Self {
        Self { own, allowed: BURST, since: now }
    }

    /// A message with a good checksum came to the own address; says what it was.
    pub(super) fn take(
        &mut self,
        now: Instant,
        (from, from_mac): (Ipv4Addr, MacAddress),
        message: &[u8],
        outbox: &mut Outbox,
    ) -> StackEvent {
        let Ok((head, data)) = Icmp::read_from_prefix(message) else { return StackEvent::Short };
        match (head.kind, head.code) {
            (ECHO, 0) if !self.may_answer(now) => StackEvent::EchoRefused,
            (ECHO, 0) => self.answer((from, from_mac), head, data, outbox),
            (UNREACHABLE, TOO_LONG) => StackEvent::TooLongOnWay,
            (UNREACHABLE, _) => StackEvent::Unreachable,
            _ => StackEvent::OtherIcmp,
        }
    }

    /// To where the frame came from, a router's or the asker's interface.
    fn answer(
        &self,
        (to, to_mac): (Ipv4Addr, MacAddress),
        mut head: Icmp,
        data: &[u8],
        outbox: &mut Outbox,
    ) -> StackEvent {
        head.kind = ECHO_REPLY;
        head.checksum = U16::ZERO;
        head.checksum = U16::new(Sum::of_both(head.as_bytes(), data).checksum());
        let message = IpMessage {
            to_mac,
            from: self.own,
            to,
            protocol: PROTOCOL_ICMP,
            service: 0,
            ttl: TTL,
            options: &[],
        };
        if outbox.ip(message, [head.as_bytes(), data]) {
            StackEvent::Echo
        } else {
            StackEvent::OwnDropped
        }
    }

    fn may_answer(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / RATE;
        let since = now.saturating_sub(self.since);
        let more = u32::try_from(since.as_nanos() / each.as_nanos()).unwrap_or(BURST).min(BURST);
        if more > 0 {
            self.allowed = (self.allowed + more).min(BURST);
            self.since = now;
        }
        if self.allowed == 0 {
            return false;
        }
        self.allowed -= 1;
        true
    }
}
