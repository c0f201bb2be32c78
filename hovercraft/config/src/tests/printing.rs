//! Printed and read again, a cluster is the same.

use core::time::Duration;

use proptest::prelude::*;

use super::{SHORT, read};
use crate::*;

#[test]
fn defaults_are_printed_and_read_back() {
    let cluster = read(SHORT).unwrap();
    let text = cluster.to_ron();
    for line in
        ["mode: hovercraft,", "service: kv,", "plain_window: \"1s\",", "log_entries: 262144,"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(read(&text).unwrap(), cluster);
}

#[test]
fn words_that_ron_takes_for_its_own_are_quoted() {
    for word in ["true", "Some", "my-own", "2nd"] {
        let text = SHORT.replacen("multicast:", &format!("service: \"{word}\", multicast:"), 1);
        let cluster = read(&text).unwrap();
        assert_eq!(cluster.groups[0].service, word);
        assert_eq!(read(&cluster.to_ron()).unwrap(), cluster);
    }
}

fn limits() -> impl Strategy<Value = LimitSettings> {
    (10_u64..500, 0_u64..100, 10_u64..500, 1_u64..1 << 13, 1_u64..32_768, 1_u64..200_000).prop_map(
        |(expiry, life, ttl, sessions, window, bytes)| {
            let ms = |ms| Span(Duration::from_millis(ms));
            let plain = expiry + life + ttl;
            LimitSettings {
                unordered_expiry: ms(expiry),
                packet_life: ms(life),
                answer_ttl: ms(ttl),
                plain_window: ms(plain),
                session_expiry: ms(10 * plain + window),
                sessions_max: sessions,
                session_window: window,
                request_max: Size(bytes),
                reply_max: Size(bytes + 8),
                reply_keep_max: Size(bytes),
                ..LimitSettings::default()
            }
        },
    )
}

fn members(first: u8) -> impl Strategy<Value = Vec<MemberSettings>> {
    proptest::sample::subsequence((1..=15_u64).collect::<Vec<_>>(), 1..=15).prop_map(move |ids| {
        let member = |id| MemberSettings {
            id,
            data: format!("10.{first}.0.{id}:8000"),
            admin: format!("10.{first}.0.{id}:9000"),
        };
        ids.into_iter().map(member).collect()
    })
}

fn group(place: u8) -> impl Strategy<Value = GroupSettings> {
    let choices = (0..2_usize, 0..3_usize, 0..2_usize, 0..4_usize, any::<[bool; 2]>());
    let numbers =
        (1_u64..60_000, 1_u64..1_000, 1_024_u64..1 << 20, 1_u64..400, "[a-z][a-zA-Z0-9_-]{0,9}");
    (choices, numbers, limits(), members(place)).prop_map(
        move |((mode, replier, threads, idle, [pinned, audit]), numbers, limits, members)| {
            let (bound, heartbeat, entries, ttl, service) = numbers;
            let ms = |ms| Span(Duration::from_millis(ms));
            let cores = if threads == 0 { vec![place.into(), 9] } else { vec![place.into()] };
            GroupSettings {
                name: format!("g{place}"),
                mode: ["raft", "hovercraft"][mode].into(),
                multicast: (mode == 1).then(|| format!("239.255.71.{place}:8000")),
                service: Name(service),
                replier: ["jbsq", "random", "leader"][replier].into(),
                bound: bound.min(entries - 16),
                members,
                timing: TimingSettings {
                    heartbeat: ms(heartbeat),
                    election_min: ms(3 * heartbeat + ttl),
                    election_max: ms(6 * heartbeat + 2 * ttl),
                },
                durability: "memory".into(),
                resources: ResourceSettings {
                    log_entries: entries,
                    log_reserve: 16,
                    in_system_max: entries - 16,
                    reassembly_ttl: ms(
                        ttl.min(limits.unordered_expiry.0.as_millis().try_into().unwrap())
                    ),
                    ..ResourceSettings::default()
                },
                limits,
                threads: ["split", "inline"][threads].into(),
                idle: ["spin", "yield", "sleep", "auto"][idle].into(),
                cores: pinned.then_some(cores),
                dpdk: DpdkSettings {
                    prefix: 8 + u64::from(place),
                    gateway: pinned.then(|| "10.0.0.254".to_owned()),
                    vlan: audit.then_some(4_094),
                    mtu: if audit { 9_000 } else { 1_500 },
                    receive_descriptors: 1 << (6 + place),
                    ..DpdkSettings::default()
                },
                audit,
                trace: TraceSettings { events: if audit { 0 } else { 1 << 20 } },
            }
        },
    )
}

proptest! {
    #[test]
    fn a_printed_cluster_reads_back(first in group(0), second in group(1), key in any::<bool>()) {
        let settings = Settings {
            name: "any".to_owned(),
            key_file: key.then(|| "a \"key\".hex".to_owned()),
            groups: vec![first, second],
        };
        let cluster = read(&settings.to_ron()).unwrap();
        prop_assert_eq!(&read(&cluster.to_ron()).unwrap(), &cluster);
        prop_assert_eq!(Settings::from(&cluster), settings);
    }
}
