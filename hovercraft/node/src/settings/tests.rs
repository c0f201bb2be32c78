use super::*;
use crate::testing::cluster;

#[test]
fn an_incarnation_is_the_clocks_milliseconds_then_random_bits() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let at = |random| incarnation(start, random).to_wire();
    assert_eq!(at(0) >> RANDOM_BITS, 1_700_000_000_123);
    assert_eq!(at(u64::MAX) >> RANDOM_BITS, 1_700_000_000_123);
    assert_eq!(at(u64::MAX) - at(0), (1 << RANDOM_BITS) - 1);
    let before_1970 = SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(incarnation(before_1970, 0).to_wire(), 1, "zero means none");
}

#[test]
fn the_files_numbers_reach_the_replica() {
    let cluster = cluster(
        3,
        "mode: raft, replier: random, bound: 300, audit: true, resources: (log_entries: 5000, log_reserve: 100, \
         body_bytes: \"64MiB\", unordered_bytes: \"16MiB\", reassembly_bytes: \"8MiB\", in_system_max: 4000)",
    );
    let group = cluster.group(0).unwrap();
    let raft = raft(group).unwrap();
    let settings = replica(&cluster, group, group.members[1], None, raft);
    assert_eq!(settings.me.number(), 2);
    assert_eq!(settings.mode, replica::Mode::Raft);
    assert_eq!(settings.replier, replier::ReplierPolicy::Random);
    assert_eq!((settings.bound, settings.in_system_max), (300, 4_000));
    assert_eq!(settings.log_entries, 8_192, "the ring's next size");
    assert_eq!(settings.body_bytes, 88 << 20);
    assert_eq!(settings.commands_max, 1_200);
    assert_eq!(settings.group.addresses.len(), 3);
    assert!(settings.audit_max > 0 && settings.mac.is_none());
}

#[test]
fn the_group_is_joined_where_clients_send_there() {
    for (mode, joined) in [("hovercraft", 1), ("raft", 0)] {
        let cluster = cluster(3, &format!("mode: {mode}"));
        let group = cluster.group(0).unwrap();
        assert_eq!(udp(group, group.members[0]).groups.len(), joined, "{mode}");
    }
}
