//! Whole files: what they mean, the exact text of every error, and printing.

use core::time::Duration;
use std::path::Path;

use hovercraft::limits::Limits;
use raft_core::ids::NodeId;

use crate::*;

mod errors;
mod printing;

/// A file that says only what it must.
const SHORT: &str = r#"(
  name: "demo",
  key_file: Some("cluster.key"),
  groups: [(
    multicast: "239.255.71.1:8000",
    members: [
      (id: 2, data: "10.71.0.2:8000", admin: "10.71.0.2:9000"),
      (id: 1, data: "10.71.0.1:8000", admin: "10.71.0.1:9000"),
      (id: 3, data: "10.71.0.3:8000", admin: "10.71.0.3:9000"),
    ],
  )],
)"#;

fn read(text: &str) -> Result<Cluster, ConfigError> {
    Cluster::from_str_at(Path::new("lab/cluster.ron"), text)
}

#[test]
fn a_short_file_has_every_default() {
    let cluster = read(SHORT).unwrap();
    assert_eq!(cluster.name, "demo");
    assert_eq!(cluster.warnings, []);
    assert_eq!(cluster.key_path().unwrap(), Path::new("lab/cluster.key"));
    let group = cluster.group(0).unwrap();
    assert_eq!((group.name.as_str(), group.service.as_str()), ("g0", "kv"));
    assert_eq!((group.mode, group.replier), (Mode::Hovercraft, ReplierPolicy::Jbsq));
    assert_eq!(group.multicast, Some("239.255.71.1:8000".parse().unwrap()));
    assert_eq!((group.bound, group.limits), (128, Limits::default()));
    assert_eq!(group.timing.election_min, Duration::from_millis(150));
    assert_eq!(group.node.resources.log_entries, 262_144);
    assert_eq!((group.node.threads, group.node.idle), (Threads::Split, Idle::Auto));
    assert!(group.node.cores.is_empty() && !group.node.audit);
    assert_eq!(group.node.trace_events, 16_384);
}

#[test]
fn members_are_sorted_and_found_by_id_and_by_address() {
    let cluster = read(SHORT).unwrap();
    let group = cluster.group(0).unwrap();
    let ids: Vec<u8> = group.members.iter().map(|member| member.id.number()).collect();
    assert_eq!(ids, [1, 2, 3]);
    let second = group.member(NodeId::new(2).unwrap()).unwrap();
    assert_eq!(cluster.member_at("10.71.0.2:8000".parse().unwrap()), Some((0, second)));
    assert_eq!(cluster.member_at("10.71.0.2:9000".parse().unwrap()), Some((0, second)));
    assert_eq!(cluster.member_at("10.71.0.4:8000".parse().unwrap()), None);
    assert_eq!(cluster.group_named("g0"), Some(group));
    assert!(cluster.group(1).is_none() && cluster.group_named("g1").is_none());
}

#[test]
fn every_field_can_be_given() {
    let cluster = read(
        r#"( name: "all", key_file: None, groups: [(
            name: "first", mode: raft, multicast: None, service: "my-own", replier: leader, bound: 64,
            members: [(id: 15, data: "[::1]:8000", admin: "127.0.0.1:9000")],
            limits: (unordered_expiry: "200ms", plain_window: "2s", session_expiry: "1min",
                     request_max: "64KiB", reply_keep_max: 512, sessions_max: 9),
            timing: (heartbeat: "1ms", election_min: "5ms", election_max: "10ms"),
            resources: (log_entries: 4096, in_system_max: 1000, receive_buffer: "1MiB"),
            durability: memory, threads: inline, idle: sleep, cores: Some([3]), audit: true, trace: (events: 0),
        )] )"#,
    )
    .unwrap();
    let group = cluster.group_named("first").unwrap();
    assert_eq!((group.mode, group.replier), (Mode::Raft, ReplierPolicy::Leader));
    assert_eq!((group.service.as_str(), group.bound), ("my-own", 64));
    assert_eq!(group.limits.unordered_expiry, Duration::from_millis(200));
    assert_eq!((group.limits.request_max, group.limits.reply_keep_max), (65_536, 512));
    assert_eq!(group.timing.heartbeat, Duration::from_millis(1));
    assert_eq!(group.node.resources.receive_buffer, 1 << 20);
    assert_eq!((group.node.threads, group.node.idle), (Threads::Inline, Idle::Sleep));
    assert_eq!(group.node.cores, [3]);
    assert!(group.node.audit);
    assert_eq!(group.node.trace_events, 0);
}

#[test]
fn what_deserves_a_word_is_warned_of() {
    let text = SHORT
        .replace("key_file: Some(\"cluster.key\"),", "")
        .replace("(id: 3, data: \"10.71.0.3:8000\", admin: \"10.71.0.3:9000\"),", "");
    let warnings: Vec<String> =
        read(&text).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "no key_file: messages between nodes are not authenticated, and whoever reaches their ports can disturb them (HC13)",
            "group g0: 2 members bear no more failures than 1",
        ]
    );
}

#[test]
fn the_key_stands_beside_the_file() {
    let directory = std::env::temp_dir().join(format!("hc-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("cluster.ron");
    std::fs::write(&file, SHORT).unwrap();
    let cluster = Cluster::load(&file).unwrap();
    let missing = cluster.load_key().unwrap_err().to_string();
    let shown = file.display().to_string();
    assert_eq!(
        missing,
        format!(
            "{shown}: key_file: {}: cannot be read: No such file or directory (os error 2); create it with `openssl rand -hex 32`",
            directory.join("cluster.key").display()
        )
    );
    let key = ClusterKey::new([9; 32]);
    key.save_new(&directory.join("cluster.key")).unwrap();
    assert_eq!(cluster.load_key().unwrap(), Some((key, None)));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_files_that_we_ship_hold_together() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clusters");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let cluster = Cluster::load(&entry.unwrap().path()).unwrap();
        assert_eq!(cluster.warnings, [Warning::NoKey]);
        files += 1;
    }
    assert!(files > 0);
}
