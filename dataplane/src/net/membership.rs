//! Which groups this interface is member of, said to whoever forwards multicast: IGMPv3 (RFC 3376), v2 (RFC 2236), v1.
//!
//! Joining is reported three times, a second apart, and on each query within the time that it grants. Version 3 is
//! spoken until a querier of an older version is heard (RFC 3376, 7.2.1). Where no querier is, switches that snoop
//! forget members after minutes: then joining is reported again every [`UNASKED_INTERVAL`].
//!
//! Other members' reports suppress none of ours (RFC 2236 lets them): snooping switches have to hear each member.
//!
//! Invariants:
//! - M1. A report goes to the Ethernet address of its IP destination, with TTL 1 and the router alert option.
//! - M2. Any query sets at most one due time per group; any number of them makes one report per group.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::checksum::Sum;
use super::mac::MacAddress;
use super::outbox::{IpMessage, Outbox};
use super::wire::{GroupRecord, Igmp, PROTOCOL_IGMP};
use crate::backend::Instant;
use crate::sim::random::Random;
use crate::udp::GROUPS_MAX;

/// How memberships are reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IgmpVersion {
    /// RFC 1112: only for a querier that knows no other.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 3376.
    V3,
}

/// Unsolicited reports of a join (RFC 3376, 8.1, and one to be sure),
const ROUNDS: u8 = 3;
/// one per this time (RFC 3376, 8.11).
const ROUND_INTERVAL: Duration = Duration::from_secs(1);
/// How long an older querier is believed to be there (RFC 3376, 8.12, with its default intervals).
const OLDER_QUERIER: Duration = Duration::from_secs(260);
/// Silence of all queriers after which joining is reported unasked, and how often: half of what a switch remembers.
const UNASKED_INTERVAL: Duration = Duration::from_secs(130);
/// What a query of version 1, which cannot say it, grants (RFC 2236, 4).
const V1_RESPONSE: Duration = Duration::from_secs(10);

pub(super) const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// RFC 2113.
const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];
/// Internetwork control (RFC 3376, 4).
const SERVICE: u8 = 0xc0;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE_V2: u8 = 0x17;
const REPORT_V3: u8 = 0x22;
/// Kinds of records: a member as before, for all sources; from now on; no longer.
const IS_EXCLUDE: u8 = 2;
const TO_INCLUDE: u8 = 3;
const TO_EXCLUDE: u8 = 4;

/// The Ethernet addresses of groups that a device has to let in for a member of these: their own, and that of all hosts,
/// where queriers ask. Each once; none without groups.
#[must_use]
pub fn macs_of_groups(groups: &[SocketAddrV4]) -> Vec<MacAddress> {
    let mut macs: Vec<MacAddress> = Vec::new();
    let all_hosts = (!groups.is_empty()).then_some(ALL_HOSTS);
    for group in groups.iter().map(|group| *group.ip()).chain(all_hosts) {
        let mac = MacAddress::of_group(group);
        if !macs.contains(&mac) {
            macs.push(mac);
        }
    }
    macs
}

/// The groups, and the reports that are due.
#[derive(Debug)]
pub(super) struct Membership {
    own: Ipv4Addr,
    groups: Vec<Group>,
    forced: Option<IgmpVersion>,
    /// Until when queriers of versions 1 and 2 are believed to be there.
    older: [Option<Instant>; 2],
    rounds: u8,
    /// Next unsolicited report.
    round_due: Instant,
    random: Random,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    address: Ipv4Addr,
    /// A querier waits for a report until then.
    due: Option<Instant>,
}

/// A query, understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Query {
    version: IgmpVersion,
    /// None: all groups.
    group: Option<Ipv4Addr>,
    response_max: Duration,
}

impl Membership {
    pub(super) fn new(
        own: Ipv4Addr,
        addresses: impl Iterator<Item = Ipv4Addr>,
        forced: Option<IgmpVersion>,
        now: Instant,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for address in addresses {
            // Two ports of one group are one membership.
            if groups.iter().all(|group| group.address != address) {
                groups.push(Group { address, due: None });
            }
        }
        let random = Random::new(own.to_bits().into());
        let older = [None; 2];
        Self { own, groups, forced, older, rounds: ROUNDS, round_due: now, random }
    }

    /// Joining is reported anew: the segment may have forgotten.
    pub(super) fn join_again(&mut self, now: Instant) {
        self.rounds = ROUNDS;
        self.round_due = now;
    }

    /// An IGMP message with a good checksum came. False when it is not a query.
    pub(super) fn take(&mut self, now: Instant, message: &[u8]) -> bool {
        let Some(query) = Query::parse(message) else { return false };
        match query.version {
            IgmpVersion::V1 => self.older[0] = Some(now + OLDER_QUERIER),
            IgmpVersion::V2 => self.older[1] = Some(now + OLDER_QUERIER),
            IgmpVersion::V3 => {}
        }
        if self.rounds == 0 {
            self.round_due = now + UNASKED_INTERVAL;
        }
        let response_max = u64::try_from(query.response_max.as_millis()).unwrap_or(u64::MAX);
        let together = now + Duration::from_millis(self.random.up_to(response_max));
        for group in &mut self.groups {
            if query.group.is_none_or(|wanted| wanted == group.address) {
                // M2: the sooner of two.
                group.due = Some(group.due.map_or(together, |due| due.min(together)));
            }
        }
        true
    }

    /// Sends what is due; returns how many reports found room, and how many did not.
    pub(super) fn poll(&mut self, now: Instant, outbox: &mut Outbox) -> (u64, u64) {
        let (mut sent, mut lost) = (0, 0);
        if self.groups.is_empty() {
            return (0, 0);
        }
        if self.round_due <= now {
            self.rounds = self.rounds.saturating_sub(1);
            let interval = if self.rounds > 0 { ROUND_INTERVAL } else { UNASKED_INTERVAL };
            self.round_due = now + interval;
            (sent, lost) = self.report(now, TO_EXCLUDE, |_| true, outbox);
        }
        if self.groups.iter().any(|group| group.due.is_some_and(|due| due <= now)) {
            let is_due = |group: &Group| group.due.is_some_and(|due| due <= now);
            let (more_sent, more_lost) = self.report(now, IS_EXCLUDE, is_due, outbox);
            (sent, lost) = (sent + more_sent, lost + more_lost);
            for group in self.groups.iter_mut().filter(|group| is_due(group)) {
                group.due = None;
            }
        }
        (sent, lost)
    }

    /// Says that this interface is no member any more.
    pub(super) fn leave(&mut self, now: Instant, outbox: &mut Outbox) -> (u64, u64) {
        if self.groups.is_empty() {
            return (0, 0);
        }
        self.report(now, TO_INCLUDE, |_| true, outbox)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let rounds = (!self.groups.is_empty()).then_some(self.round_due);
        self.groups.iter().filter_map(|group| group.due).chain(rounds).min()
    }

    /// Of the oldest querier that is believed to be there.
    fn version(&self, now: Instant) -> IgmpVersion {
        let is_there = |until: Option<Instant>| until.is_some_and(|until| now < until);
        self.forced.unwrap_or(if is_there(self.older[0]) {
            IgmpVersion::V1
        } else if is_there(self.older[1]) {
            IgmpVersion::V2
        } else {
            IgmpVersion::V3
        })
    }

    fn report(
        &self,
        now: Instant,
        kind: u8,
        wanted: impl Fn(&Group) -> bool,
        outbox: &mut Outbox,
    ) -> (u64, u64) {
        let groups = self.groups.iter().filter(|group| wanted(group)).map(|group| group.address);
        let older = match self.version(now) {
            IgmpVersion::V3 => return count(self.report_v3(kind, groups, outbox)),
            // Version 1 knows no leaving.
            IgmpVersion::V1 if kind == TO_INCLUDE => return (0, 0),
            IgmpVersion::V1 => REPORT_V1,
            IgmpVersion::V2 if kind == TO_INCLUDE => LEAVE_V2,
            IgmpVersion::V2 => REPORT_V2,
        };
        groups.fold((0, 0), |(sent, lost), group| {
            let to = if older == LEAVE_V2 { ALL_ROUTERS } else { group };
            let head = head(older, group.to_bits(), &[]);
            let (one, none) = count(self.send(to, &head, &[], outbox));
            (sent + one, lost + none)
        })
    }

    /// All groups in one message.
    fn report_v3(
        &self,
        kind: u8,
        groups: impl Iterator<Item = Ipv4Addr>,
        outbox: &mut Outbox,
    ) -> bool {
        let nothing = GroupRecord { kind, auxiliary_len: 0, sources: U16::ZERO, group: U32::ZERO };
        let mut records = [nothing; GROUPS_MAX];
        let mut count = 0_u8;
        for (record, group) in records.iter_mut().zip(groups) {
            record.group = U32::new(group.to_bits());
            count += 1;
        }
        let records = records[..usize::from(count)].as_bytes();
        let head = head(REPORT_V3, u32::from(count), records);
        self.send(ALL_V3_ROUTERS, &head, records, outbox)
    }

    fn send(&self, to: Ipv4Addr, head: &Igmp, records: &[u8], outbox: &mut Outbox) -> bool {
        let message = IpMessage {
            to_mac: MacAddress::of_group(to), // M1
            from: self.own,
            to,
            protocol: PROTOCOL_IGMP,
            service: SERVICE,
            ttl: 1,
            options: &ROUTER_ALERT,
        };
        outbox.ip(message, [head.as_bytes(), records])
    }
}

impl Query {
    fn parse(message: &[u8]) -> Option<Self> {
        let (head, _) = Igmp::read_from_prefix(message).ok()?;
        if head.kind != QUERY {
            return None;
        }
        let code = head.max_response;
        let tenths = |count: u32| Duration::from_millis(100) * count;
        // By length, then by code (RFC 3376, 7.1).
        let (version, response_max) = match (message.len(), code) {
            (8, 0) => (IgmpVersion::V1, V1_RESPONSE),
            (8, _) => (IgmpVersion::V2, tenths(code.into())),
            (12.., _) => (IgmpVersion::V3, tenths(response_code(code))),
            _ => return None,
        };
        let group = Ipv4Addr::from_bits(head.group.get());
        let all = group.is_unspecified() || version == IgmpVersion::V1;
        Some(Self { version, group: (!all).then_some(group), response_max })
    }
}

/// A time in tenths of a second, long ones as a floating number (RFC 3376, 4.1.1).
fn response_code(code: u8) -> u32 {
    if code < 128 {
        return code.into();
    }
    let (exponent, mantissa) = (code >> 4 & 7, code & 15);
    u32::from(mantissa | 16) << (exponent + 3)
}

/// The first eight bytes of a message, with its checksum.
fn head(kind: u8, group: u32, records: &[u8]) -> Igmp {
    let mut head = Igmp { kind, max_response: 0, checksum: U16::ZERO, group: U32::new(group) };
    head.checksum = U16::new(Sum::of_both(head.as_bytes(), records).checksum());
    head
}

fn count(sent: bool) -> (u64, u64) {
    (u64::from(sent), u64::from(!sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_response_time_is_a_floating_number() {
        // RFC 3376, 4.1.1: (mant | 0x10) << (exp + 3).
        assert_eq!(response_code(127), 127);
        assert_eq!(response_code(0x80), 128);
        assert_eq!(response_code(0x8f), 248);
        assert_eq!(response_code(0x90), 256);
        assert_eq!(response_code(0xff), 31_744);
    }

    #[test]
    fn a_querys_version_is_in_its_length_and_code() {
        let query = |code: u8, group: [u8; 4], len: usize| {
            let mut message = vec![0x11, code, 0, 0, group[0], group[1], group[2], group[3]];
            message.resize(len, 0);
            Query::parse(&message)
        };
        let v1 = query(0, [0; 4], 8).unwrap();
        assert_eq!((v1.version, v1.group, v1.response_max), (IgmpVersion::V1, None, V1_RESPONSE));
        let v2 = query(25, [239, 1, 2, 3], 8).unwrap();
        assert_eq!(v2.version, IgmpVersion::V2);
        assert_eq!(v2.group, Some(Ipv4Addr::new(239, 1, 2, 3)));
        assert_eq!(v2.response_max, Duration::from_millis(2_500));
        let v3 = query(0x80, [0; 4], 12).unwrap();
        assert_eq!((v3.version, v3.group), (IgmpVersion::V3, None));
        assert_eq!(v3.response_max, Duration::from_millis(12_800));
        assert_eq!(query(10, [0; 4], 9), None);
        assert_eq!(query(10, [0; 4], 7), None);
    }
}
