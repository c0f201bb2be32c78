use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn member(id: u8, incarnation: u64) -> Member {
    Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation::from_wire(incarnation) }
}

fn address(id: u8) -> MemberAddress {
    let ip = Ipv4Addr::new(10, 0, 0, id);
    let (data, admin) = ((ip, 9_000).into(), (Ipv6Addr::LOCALHOST, 9_100).into());
    MemberAddress { id: NodeId::new(id).unwrap(), data, admin }
}

fn example() -> Configuration<GroupConfig> {
    Configuration {
        epoch: LogIndex::from_wire(2),
        voters: vec![member(1, 0x11), member(2, 0x12)],
        outgoing: vec![member(1, 0x10)],
        learners: Vec::new(),
        data: GroupConfig {
            limits: Limits::default(),
            addresses: vec![address(1), address(2)],
            name: "lab".to_owned(),
            wrapped_hash_key: [0xEE; 16],
        },
    }
}

/// [`example`], written by hand from the figure.
fn bytes() -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 2];
    bytes.extend([2, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0, 0x12]);
    bytes.extend([1, 1, 0, 0, 0, 0, 0, 0, 0, 0x10]);
    bytes.push(0);
    bytes.push(2);
    for id in [1, 2] {
        bytes.push(id);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, id, 0x23, 0x28]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x23, 0x8C]);
    }
    bytes.extend(b"\x03lab");
    bytes.extend([0xEE; 16]);
    for micros in [400_000u64, 100_000, 400_000, 1_000_000, 60_000_000] {
        bytes.extend(micros.to_be_bytes());
    }
    for number in [262_144u32, 1_024, 4_096, 1_024, 262_144, 1_024 * 1_432] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(268_435_456u64.to_be_bytes());
    bytes
}

#[track_caller]
fn refused(edit: impl Fn(&mut Configuration<GroupConfig>)) -> ConfigurationError {
    let mut configuration = example();
    edit(&mut configuration);
    let mut out = Vec::new();
    let error = encode(&configuration, &mut out).unwrap_err();
    assert!(out.is_empty(), "half a configuration is written");
    error
}

#[test]
fn the_documented_bytes_both_ways() {
    let mut out = vec![7];
    encode(&example(), &mut out).unwrap();
    assert_eq!(out[1..], bytes());
    assert_eq!(decode(&bytes()), Ok(example()));
}

#[test]
fn every_cut_and_every_byte_too_many_is_refused() {
    let bytes = bytes();
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "cut at {len}");
    }
    assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(ConfigurationError::Length));
}

#[test]
fn any_change_is_refused_or_means_what_it_says() {
    let good = bytes();
    let mut accepted = 0;
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(configuration) = decode(&changed) else { continue };
        accepted += 1;
        let mut again = Vec::new();
        encode(&configuration, &mut again).unwrap();
        assert_eq!(again, changed, "G1: bit {bit}");
    }
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn lists_must_hold_together() {
    let members = ConfigurationError::Members;
    assert_eq!(refused(|it| it.voters.clear()), members);
    assert_eq!(refused(|it| it.voters.swap(0, 1)), members);
    assert_eq!(refused(|it| it.voters.push(member(2, 9))), members, "one id twice");
    assert_eq!(refused(|it| it.learners.push(member(3, 9))), members, "without an address");
    assert_eq!(refused(|it| it.data.addresses.swap(0, 1)), members);
    assert_eq!(refused(|it| it.epoch = LogIndex::from_wire(NUMBER_MAX)), members);
    assert_eq!(refused(|it| it.data.name = "n".repeat(33)), ConfigurationError::Name);
    let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 1).into();
    assert_eq!(refused(|it| it.data.addresses[0].data = mapped), members, "one address, two forms");
    let mut other = bytes();
    other[0] = 2;
    assert_eq!(decode(&other), Err(ConfigurationError::Version(2)));
}

#[test]
fn hc7a_limits_that_do_not_hold_are_refused() {
    let short = |it: &mut Configuration<GroupConfig>| {
        it.data.limits.plain_window = Duration::from_millis(899);
    };
    let ConfigurationError::Limits(error) = refused(short) else { panic!() };
    assert_eq!(error.field, "plain_window");
    let mut late = bytes();
    let at = late.len() - 72 + 3 * 8;
    late[at..at + 8].copy_from_slice(&899_000u64.to_be_bytes());
    assert_eq!(decode(&late), Err(ConfigurationError::Limits(error)));
}

#[test]
fn the_longest_fits_an_append() {
    let everybody: Vec<Member> = (0..16).map(|id| member(id, u64::MAX)).collect();
    let configuration = Configuration {
        voters: everybody.clone(),
        outgoing: everybody.clone(),
        learners: everybody,
        data: GroupConfig {
            addresses: (0..16).map(address).collect(),
            name: "n".repeat(NAME_MAX),
            ..example().data
        },
        ..example()
    };
    let mut out = Vec::new();
    encode(&configuration, &mut out).unwrap();
    assert_eq!(out.len(), CONFIGURATION_MAX);
    assert_eq!(decode(&out), Ok(configuration));
}
