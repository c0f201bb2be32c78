//! One wrong thing at a time, and the exact text that an operator reads.

use super::{SHORT, read};
use crate::Cluster;

/// The error of [`SHORT`] with `from` replaced by `to` reads `wanted`, the file's name left out.
#[track_caller]
fn replaced(from: &str, to: &str, wanted: &str) {
    assert!(SHORT.contains(from), "the short file has no {from:?}");
    let error = read(&SHORT.replacen(from, to, 1)).unwrap_err();
    assert_eq!(error.to_string(), format!("lab/cluster.ron:{wanted}"));
}

/// The error of [`SHORT`] with `field` added in front of its group, in line 5.
#[track_caller]
fn added(field: &str, wanted: &str) {
    replaced("    multicast:", &format!("    {field}, multicast:"), wanted);
}

#[test]
fn what_is_no_ron_is_placed() {
    replaced(
        "],\n  )],",
        "],\n",
        "12:1: groups[0]: cannot be read: Expected comma; correct the text here",
    );
    let whole = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        whole(""),
        "lab/cluster.ron:1:1: cannot be read: Expected opening `(` for struct `Settings`; correct the text here"
    );
    assert_eq!(
        Cluster::load("/nowhere/cluster.ron".as_ref()).unwrap_err().to_string(),
        "/nowhere/cluster.ron: cannot be read: No such file or directory (os error 2); give the path of a cluster.ron"
    );
}

#[test]
fn a_wrong_kind_of_value_names_its_field() {
    replaced(
        "id: 2",
        "id: x",
        "7:12: groups[0].members[0].id: cannot be read: Expected integer; correct the text here",
    );
    added(
        "audit: 1",
        "5:12: groups[0].audit: cannot be read: Expected boolean; correct the text here",
    );
    added(
        "mode: (1)",
        "5:14: groups[0].mode: cannot be read: expected a word or a text in quotes, found `(1)`; correct the text here",
    );
    added(
        "limits: (answer_ttl: 501)",
        "5:26: groups[0].limits.answer_ttl: cannot be read: Expected a duration in quotes, like \"400ms\" or \"1s\" but found the unsigned integer `501` instead; correct the text here",
    );
    added(
        "limits: (answer_ttl: \"501\")",
        "5:27: groups[0].limits.answer_ttl: cannot be read: \"501\" must end in one of the units ns, us, ms, s, min, h; correct the text here",
    );
    added(
        "limits: (request_max: \"5MB\")",
        "5:28: groups[0].limits.request_max: cannot be read: \"5MB\" must end in one of the units B, KiB, MiB, GiB; correct the text here",
    );
}

#[test]
fn fields_unknown_missing_and_doubled_are_named() {
    replaced(
        "groups: [(",
        "groupz: [(",
        "4:3: groupz: is no field here; known are name, key_file, groups",
    );
    added(
        "timing: (beat: 7)",
        "5:14: groups[0].timing.beat: is no field here; known are heartbeat, election_min, election_max",
    );
    replaced("id: 2,", "", "7:7: groups[0].members[0].id: is missing; add it");
    added("bound: 1, bound: 2", "5:15: groups[0].bound: is given twice; take one out");
}

#[test]
fn a_cluster_has_a_name_groups_and_members() {
    replaced(
        "\"demo\"",
        "\"de mo\"",
        "2:9: name = \"de mo\" must be 1 to 63 letters, digits, `-` or `_`; rename it",
    );
    replaced(
        "Some(\"cluster.key\")",
        "\"\"",
        "3:13: key_file: is missing; name a file, or leave the field out to run without authentication",
    );
    added(
        "service: \"a b\"",
        "5:14: groups[0].service = \"a b\" must be 1 to 63 letters, digits, `-` or `_`; rename it",
    );
    added(
        "name: \"\"",
        "5:11: groups[0].name = \"\" must be 1 to 63 letters, digits, `-` or `_`; rename it",
    );
    let whole = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        whole("()"),
        "lab/cluster.ron:1:1: groups: is missing; give at least one group with its members"
    );
    assert_eq!(
        whole("(groups: [(multicast: \"239.1.1.1:1\")])"),
        "lab/cluster.ron:1:11: groups[0].members: is missing; list the first members, as (id: 1, data: \"10.71.0.1:8000\", admin: \"10.71.0.1:9000\")"
    );
    assert_eq!(
        whole(
            "(groups: [\n (mode: raft, members: [(id: 1, data: \"10.0.0.1:1\", admin: \"10.0.0.1:1\")]),\n (mode: raft)])"
        ),
        "lab/cluster.ron:3:2: groups[1].name = g0 stands in line 2 already; give each group a name of its own"
    );
}

#[test]
fn members_differ_and_can_be_reached() {
    let (id, data) = ("8:12: groups[0].members[1].id", "8:21: groups[0].members[1].data");
    let bound = "must be 1 to 15; give each member a number from 1 to 15";
    replaced("id: 1", "id: 0", &format!("{id} = 0 {bound}"));
    replaced("id: 1", "id: 16", &format!("{id} = 16 {bound}"));
    replaced("id: 1", "id: 257", &format!("{id} = 257 {bound}"));
    replaced(
        "id: 1",
        "id: 2",
        &format!("{id} = 2 stands in line 7 already; give each member an id of its own"),
    );
    let own = "\"10.71.0.1:8000\"";
    for (address, wanted) in [
        ("10.71.0.1", "\"10.71.0.1\" is no address and port; write it as \"10.71.0.1:8000\""),
        ("10.71.0.1:0", "10.71.0.1:0 cannot be used: port 0 is none; give one from 1 to 65535"),
        (
            "0.0.0.0:8000",
            "0.0.0.0:8000 cannot be used: others cannot reach it; give the address by which they do",
        ),
        (
            "239.1.1.1:8000",
            "239.1.1.1:8000 cannot be used: it is a group's address; give the member's own",
        ),
        (
            "[::1]:8000",
            "[::1]:8000 cannot be used: all data addresses of a group and its multicast address must be of one family",
        ),
        (
            "10.71.0.2:8000",
            "10.71.0.2:8000 stands in line 7 already; give each member an address or port of its own",
        ),
    ] {
        replaced(own, &format!("\"{address}\""), &format!("{data} = {wanted}"));
    }
    replaced(
        "\"10.71.0.1:9000\"",
        "\"10.71.0.2:9000\"",
        "8:46: groups[0].members[1].admin = 10.71.0.2:9000 stands in line 7 already; give each member an address or port of its own",
    );
}

#[test]
fn a_mode_has_what_it_needs() {
    added(
        "mode: raftt",
        "5:11: groups[0].mode = raftt is not known; choose unreplicated, raft or hovercraft",
    );
    for (written, shown) in [
        ("\"hovercraft++\"", "\"hovercraft++\""),
        ("r#hovercraft++", "\"hovercraft++\""),
        ("hovercraft_plus", "hovercraft_plus"),
    ] {
        added(
            &format!("mode: {written}"),
            &format!(
                "5:11: groups[0].mode = {shown} is not served: it needs a switch, which this version does not have; choose hovercraft"
            ),
        );
    }
    added(
        "mode: unreplicated",
        "6:14: groups[0].members = 3 must be exactly 1; mode unreplicated is one server; take the other members out",
    );
    replaced(
        "multicast: \"239.255.71.1:8000\",",
        "",
        "4:12: groups[0].multicast: is missing; mode hovercraft needs a group address, like \"239.255.71.1:8000\"",
    );
    replaced(
        "\"239.255.71.1:8000\"",
        "\"10.0.0.1:8000\"",
        "5:16: groups[0].multicast = 10.0.0.1:8000 cannot be used: it is no multicast address; take one of 239.0.0.0/8",
    );
}

#[test]
fn choices_are_listed() {
    added("replier: x", "5:14: groups[0].replier = x is not known; choose jbsq, random or leader");
    added("threads: \"2\"", "5:14: groups[0].threads = \"2\" is not known; choose split or inline");
    added(
        "idle: nap",
        "5:11: groups[0].idle = nap is not known; choose spin, yield, sleep or auto",
    );
    added(
        "durability: disk",
        "5:17: groups[0].durability = disk is not served: this version keeps its log in memory only; choose memory",
    );
    added("durability: paper", "5:17: groups[0].durability = paper is not known; choose memory");
}

#[test]
fn limits_hold_together_and_say_it_in_the_files_units() {
    for (field, wanted) in [
        (
            "answer_ttl: \"501ms\"",
            "13: groups[0].limits.plain_window = 1s must be at least 1001ms; raise it, or lower unordered_expiry, packet_life or answer_ttl, whose sum it must reach",
        ),
        (
            "session_expiry: \"9999ms\"",
            "30: groups[0].limits.session_expiry = 9999ms must be at least 10s; raise it to ten plain windows",
        ),
        (
            "request_max: \"5GiB\"",
            "27: groups[0].limits.request_max = 5GiB must be at most 4294967295B; lower it",
        ),
        (
            "request_max: \"5MiB\"",
            "27: groups[0].limits.request_max = 5MiB must be at most 1440KiB; lower it",
        ),
        (
            "sessions_max: 99999999999",
            "28: groups[0].limits.sessions_max = 99999999999 must be at most 4294967295; lower it",
        ),
        (
            "session_window: 32768, sessions_max: 10000",
            "30: groups[0].limits.session_window * sessions_max = 327680000 must be at most 268435456; lower one of them",
        ),
        (
            "session_window: 0",
            "30: groups[0].limits.session_window = 0 must be at least 1; raise it",
        ),
    ] {
        added(&format!("limits: ({field})"), &format!("5:{wanted}"));
    }
}

#[test]
fn timing_leaves_room_for_lost_heartbeats() {
    for (field, wanted) in [
        (
            "heartbeat: \"60ms\"",
            "13: groups[0].timing.election_min = 150ms must be at least 180ms; raise it to three heartbeats, or lower heartbeat",
        ),
        (
            "heartbeat: \"0s\"",
            "25: groups[0].timing.heartbeat = 0ns must be at least 1ms; raise it",
        ),
        (
            "election_max: \"160ms\"",
            "28: groups[0].timing.election_max = 160ms must be at least 187500us; raise it to 1.25 times election_min, so that nodes differ",
        ),
        (
            "election_min: \"70s\"",
            "28: groups[0].timing.election_min = 70s must be at most 1min; lower it",
        ),
    ] {
        added(&format!("timing: ({field})"), &format!("5:{wanted}"));
    }
}

#[test]
fn the_trace_is_bounded() {
    let wanted = "5:21: groups[0].trace.events = 1048577 must be at most 1048576; lower it";
    added("trace: (events: 1048577)", wanted);
}

#[test]
fn memory_is_bounded_both_ways() {
    for (field, wanted) in [
        (
            "log_entries: 10",
            "30: groups[0].resources.log_entries = 10 must be at least 1024; raise it",
        ),
        (
            "log_entries: 1024",
            "16: groups[0].resources.log_reserve = 1024 must be at most 512; lower it, or raise log_entries, of which it may be half",
        ),
        (
            "in_system_max: 300000",
            "32: groups[0].resources.in_system_max = 300000 must be at most 261120; lower it, or raise log_entries",
        ),
        (
            "body_bytes: 1000",
            "29: groups[0].resources.body_bytes = 1000B must be at least 512KiB; raise it, or lower limits.request_max",
        ),
        (
            "unordered_bytes: 1000",
            "34: groups[0].resources.unordered_bytes = 1000B must be at least 256KiB; raise it, or lower limits.request_max",
        ),
        (
            "reassembly_bytes: 1000",
            "35: groups[0].resources.reassembly_bytes = 1000B must be at least 256KiB; raise it, or lower limits.request_max",
        ),
        (
            "kept_replies_bytes: 1",
            "37: groups[0].resources.kept_replies_bytes = 1B must be at least 1432KiB; raise it, or lower limits.reply_max",
        ),
        (
            "reassembly_ttl: \"1s\"",
            "33: groups[0].resources.reassembly_ttl = 1s must be at most 400ms; lower it to limits.unordered_expiry",
        ),
        (
            "unordered_max: 9999999",
            "32: groups[0].resources.unordered_max = 9999999 must be at most 1048576; lower it",
        ),
        ("parked_max: 0", "29: groups[0].resources.parked_max = 0 must be at least 1; raise it"),
        (
            "reassembly_max: 0",
            "33: groups[0].resources.reassembly_max = 0 must be at least 1; raise it",
        ),
        (
            "receive_buffer: \"2GiB\"",
            "33: groups[0].resources.receive_buffer = 2GiB must be at most 1GiB; lower it",
        ),
        (
            "send_buffer: 7",
            "30: groups[0].resources.send_buffer = 7B must be at least 64KiB; raise it",
        ),
    ] {
        added(&format!("resources: ({field})"), &format!("5:{wanted}"));
    }
    added("bound: 0", "5:12: groups[0].bound = 0 must be at least 1; raise it");
    added(
        "bound: 70000",
        "5:12: groups[0].bound = 70000 must be at most 65536; lower it, or raise resources.log_entries",
    );
}

#[test]
fn a_network_on_dpdk_is_bounded() {
    for (field, wanted) in [
        ("prefix: 33", "20: groups[0].dpdk.prefix = 33 must be at most 32; lower it"),
        ("prefix: 0", "20: groups[0].dpdk.prefix = 0 must be at least 1; raise it"),
        (
            "gateway: \"10.0.0.256\"",
            "21: groups[0].dpdk.gateway = \"10.0.0.256\" is no machine's IPv4 address; give the router's, or leave \
             the field out",
        ),
        (
            "gateway: \"224.0.0.1\"",
            "21: groups[0].dpdk.gateway = \"224.0.0.1\" is no machine's IPv4 address; give the router's, or leave \
             the field out",
        ),
        (
            "vlan: 0",
            "18: groups[0].dpdk.vlan = 0 must be at least 1; leave it out for frames without a tag",
        ),
        (
            "vlan: 4095",
            "18: groups[0].dpdk.vlan = 4095 must be at most 4094; a VLAN's number has 12 bits",
        ),
        (
            "mtu: 1499",
            "17: groups[0].dpdk.mtu = 1499 must be at least 1500; packets between nodes are so large; raise it, on \
             the switches too",
        ),
        (
            "receive_descriptors: 63",
            "33: groups[0].dpdk.receive_descriptors = 63 must be at least 64; raise it",
        ),
    ] {
        added(&format!("dpdk: ({field})"), &format!("5:{wanted}"));
    }
}

#[test]
fn each_thread_has_a_core() {
    added(
        "cores: [1]",
        "5:12: groups[0].cores = 1 must be exactly 2; threads: split runs two threads; name a core for each",
    );
    added(
        "threads: inline, cores: Some([1,2])",
        "5:29: groups[0].cores = 2 must be exactly 1; threads: inline runs one thread; name its core",
    );
    added("cores: [1, 5000]", "5:16: groups[0].cores[1] = 5000 must be at most 1023; lower it");
}
