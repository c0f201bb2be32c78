//! Memberships, reported and asked for.

use std::net::Ipv4Addr;
use std::time::Duration;

use dataplane::net::{IgmpVersion, MacAddress, Stack, StackConfig, StackEvent, macs_of_groups};
use etherparse::igmp::{MaxResponseCode, MembershipQueryType, MembershipQueryWithSourcesHeader};
use etherparse::{IgmpHeader, IgmpType, IpNumber};

use super::frames::{IpFrame, What, config, event, ip, mac, polled, read, seconds, settled, stack};

const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(239, 0, 0, 9), Ipv4Addr::new(239, 129, 2, 3)];
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// To all hosts, or to the group.
fn message(from: Ipv4Addr, to: Ipv4Addr, igmp: IgmpType, behind: &[u8]) -> Vec<u8> {
    let header = IgmpHeader::with_checksum(igmp, behind);
    let payload = [&header.to_bytes()[..], behind].concat();
    let to = (MacAddress::of_group(to), to);
    IpFrame::new((mac(254), from), to, IpNumber::IGMP, payload).bytes()
}

fn query(version: IgmpVersion, group: Ipv4Addr, code: u8) -> Vec<u8> {
    let group_address = group.into();
    let igmp = match version {
        IgmpVersion::V3 => IgmpType::MembershipQueryWithSources(MembershipQueryWithSourcesHeader {
            max_response_code: MaxResponseCode(code),
            group_address,
            raw_byte_8: 2,
            qqic: 125,
            num_of_sources: 0,
        }),
        IgmpVersion::V2 | IgmpVersion::V1 => {
            let max_response_time = code;
            IgmpType::MembershipQuery(MembershipQueryType { max_response_time, group_address })
        }
    };
    let to = if group.is_unspecified() { ALL_HOSTS } else { group };
    message(ip(254), to, igmp, &[])
}

/// Reports among frames: where to, kind, group, records.
type Report = (Ipv4Addr, u8, Ipv4Addr, Vec<(u8, Ipv4Addr)>);

fn reports(stack: &mut Stack, now: Duration) -> Vec<Report> {
    let frames: Vec<_> = polled(stack, now).iter().map(|frame| read(frame)).collect();
    frames
        .into_iter()
        .filter_map(|frame| match frame.what {
            What::Igmp { to, kind, group, records } => {
                assert_eq!(frame.to, MacAddress::of_group(to));
                Some((to, kind, group, records))
            }
            _ => None,
        })
        .collect()
}

/// Reports within a time, and when the last one came.
fn within(stack: &mut Stack, from: Duration, time: Duration) -> (Vec<Report>, Duration) {
    let (mut all, mut last, mut now) = (Vec::new(), from, from);
    while now <= from + time {
        let some = reports(stack, now);
        if !some.is_empty() {
            last = now;
        }
        all.extend(some);
        now += Duration::from_millis(10);
    }
    (all, last)
}

fn v3(kind: u8, groups: &[Ipv4Addr]) -> Report {
    (V3_ROUTERS, 0x22, NONE, groups.iter().map(|&group| (kind, group)).collect())
}

#[test]
fn joining_is_reported_three_times_and_again_where_nobody_asks() {
    let mut stack = stack(1);
    let joined = v3(4, &GROUPS);
    for second in 0..3 {
        assert_eq!(
            reports(&mut stack, seconds(second)),
            std::slice::from_ref(&joined),
            "second {second}"
        );
    }
    for second in 3..132 {
        assert_eq!(reports(&mut stack, seconds(second)), [], "second {second}");
    }
    assert_eq!(reports(&mut stack, seconds(132)), std::slice::from_ref(&joined));
    // A querier asks: the unasked ones end as long as it does.
    for round in 0..5 {
        let at = seconds(200 + round * 125);
        event(&mut stack, at, &query(IgmpVersion::V3, NONE, 100));
        assert_eq!(within(&mut stack, at, seconds(124)).0, [v3(2, &GROUPS)], "round {round}");
    }
}

#[test]
fn a_query_is_answered_by_its_version_within_its_time() {
    for (version, code, limit, expected) in [
        (IgmpVersion::V3, 100, seconds(10), vec![v3(2, &GROUPS)]),
        (IgmpVersion::V3, 0x80, Duration::from_millis(12_800), vec![v3(2, &GROUPS)]),
        (IgmpVersion::V3, 1, Duration::from_millis(100), vec![v3(2, &GROUPS)]),
        (IgmpVersion::V2, 20, seconds(2), GROUPS.map(|g| (g, 0x16, g, vec![])).to_vec()),
        (IgmpVersion::V1, 0, seconds(10), GROUPS.map(|g| (g, 0x12, g, vec![])).to_vec()),
    ] {
        let mut stack = settled(stack(1));
        let at = seconds(20);
        assert_eq!(event(&mut stack, at, &query(version, NONE, code)), StackEvent::IgmpQuery);
        let (answers, last) = within(&mut stack, at, limit);
        assert_eq!(answers, expected, "{version:?}");
        assert!(last <= at + limit, "{version:?}");
        assert_eq!(within(&mut stack, at + limit + seconds(1), seconds(20)).0, []);
    }
}

#[test]
fn answers_of_many_members_do_not_come_at_once() {
    let mut times: Vec<_> = (1..40)
        .map(|n| {
            let mut stack = settled(stack(n));
            event(&mut stack, seconds(20), &query(IgmpVersion::V3, NONE, 100));
            within(&mut stack, seconds(20), seconds(10)).1
        })
        .collect();
    times.sort();
    assert!(times[2] < seconds(23) && times[36] > seconds(27), "{times:?}");
}

#[test]
fn a_query_for_one_group_is_answered_for_that_one() {
    let mut stack = settled(stack(1));
    event(&mut stack, seconds(20), &query(IgmpVersion::V3, GROUPS[1], 10));
    assert_eq!(within(&mut stack, seconds(20), seconds(1)).0, [v3(2, &GROUPS[1..])]);
    // A group that we are not member of: its query is not for us.
    let other = query(IgmpVersion::V3, [239, 9, 9, 9].into(), 10);
    assert_eq!(event(&mut stack, seconds(22), &other), StackEvent::OtherAddress);
    // M2: many queries make one report.
    for _ in 0..1_000 {
        event(&mut stack, seconds(30), &query(IgmpVersion::V3, NONE, 10));
        event(&mut stack, seconds(30), &query(IgmpVersion::V3, GROUPS[1], 10));
    }
    let (answers, _) = within(&mut stack, seconds(30), seconds(2));
    assert!(answers.len() <= 2, "{answers:?}");
    let records = answers.iter().flat_map(|report| &report.3);
    assert_eq!(records.filter(|record| record.1 == GROUPS[1]).count(), 1);
}

#[test]
fn an_older_querier_is_spoken_to_in_its_version_until_it_is_gone() {
    let mut stack = settled(stack(1));
    event(&mut stack, seconds(20), &query(IgmpVersion::V2, NONE, 1));
    assert_eq!(within(&mut stack, seconds(20), seconds(1)).0.len(), 2);
    // A query of version 3 within 260 s changes nothing.
    event(&mut stack, seconds(279), &query(IgmpVersion::V3, NONE, 1));
    let (answers, _) = within(&mut stack, seconds(279), Duration::from_millis(500));
    assert!(answers.iter().all(|report| report.1 == 0x16), "{answers:?}");
    event(&mut stack, seconds(281), &query(IgmpVersion::V3, NONE, 1));
    assert_eq!(within(&mut stack, seconds(281), seconds(1)).0, [v3(2, &GROUPS)]);
    // Forced, whatever is heard.
    let config = StackConfig { igmp: Some(IgmpVersion::V2), ..config(1) };
    let mut forced = Stack::new(config, Duration::ZERO).unwrap();
    assert_eq!(reports(&mut forced, Duration::ZERO), GROUPS.map(|g| (g, 0x16, g, vec![])));
}

/// Any of these ended the old program.
#[test]
fn others_reports_and_unknown_messages_harm_nobody() {
    let mut stack = settled(stack(1));
    for (kind, len) in
        [(0x12, 8), (0x16, 8), (0x17, 8), (0x22, 8), (0x22, 16), (0x11, 9), (0x99, 8), (0, 4)]
    {
        let mut payload = vec![0; len];
        payload[0] = kind;
        let mut sum = u32::from(kind) << 8;
        sum = (sum & 0xffff) + (sum >> 16);
        payload[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
        for to in [ALL_HOSTS, GROUPS[1]] {
            let to = (MacAddress::of_group(to), to);
            let frame = IpFrame::new((mac(7), ip(7)), to, IpNumber::IGMP, payload.clone()).bytes();
            assert_eq!(event(&mut stack, seconds(20), &frame), StackEvent::OtherIgmp, "{kind:#x}");
        }
        payload[1] ^= 1;
        let to = (MacAddress::of_group(ALL_HOSTS), ALL_HOSTS);
        let frame = IpFrame::new((mac(7), ip(7)), to, IpNumber::IGMP, payload).bytes();
        assert_eq!(event(&mut stack, seconds(20), &frame), StackEvent::BadChecksum);
    }
    assert_eq!(within(&mut stack, seconds(20), seconds(20)).0, []);
    // A snooping switch that has no address asks from 0.0.0.0.
    let igmp = IgmpType::MembershipQuery(MembershipQueryType {
        max_response_time: 1,
        group_address: NONE.into(),
    });
    let asked = message(NONE, ALL_HOSTS, igmp, &[]);
    assert_eq!(event(&mut stack, seconds(50), &asked), StackEvent::IgmpQuery);
}

#[test]
fn a_filtering_device_lets_queriers_in() {
    let groups = ["239.1.2.3:1", "239.129.2.3:1", "239.0.0.9:1", "239.0.0.9:2"];
    let macs = macs_of_groups(&groups.map(|group| group.parse().unwrap()));
    let expected = [[1, 0, 0x5e, 1, 2, 3], [1, 0, 0x5e, 0, 0, 9], [1, 0, 0x5e, 0, 0, 1]];
    assert_eq!(macs, expected.map(MacAddress));
    assert_eq!(macs_of_groups(&[]), []);
}

#[test]
fn leaving_is_said_and_two_ports_are_one_membership() {
    let groups = ["239.0.0.9:1", "239.0.0.9:2"].map(|group| group.parse().unwrap()).to_vec();
    for (igmp, expected) in [
        (None, v3(3, &GROUPS[..1])),
        (Some(IgmpVersion::V2), (Ipv4Addr::new(224, 0, 0, 2), 0x17, GROUPS[0], vec![])),
    ] {
        let config = StackConfig { groups: groups.clone(), igmp, ..config(1) };
        let mut stack = settled(Stack::new(config, Duration::ZERO).unwrap());
        let mut left = Vec::new();
        stack.leave(seconds(20), &mut |frame| left.push(read(frame).what));
        let (to, kind, group, records) = expected;
        assert_eq!(left, [What::Igmp { to, kind, group, records }]);
    }
    // No groups, no reports.
    let config = StackConfig { groups: Vec::new(), ..config(1) };
    let mut alone = Stack::new(config, Duration::ZERO).unwrap();
    assert_eq!(within(&mut alone, Duration::ZERO, seconds(200)).0, []);
    alone.leave(seconds(300), &mut |_| panic!("nothing to leave"));
}
