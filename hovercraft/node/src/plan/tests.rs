use super::*;
use crate::testing::{Scratch, cluster, read, text};

fn refusal(cluster: &Cluster, group: Option<&str>, id: Option<u8>) -> String {
    Plan::new(cluster.clone(), group, id).unwrap_err().to_string()
}

/// Two groups whose members have addresses of nobody.
fn two_groups() -> Cluster {
    read(
        r#"(groups: [
            (name: "a", multicast: "239.1.1.1:80", members: [
                (id: 1, data: "203.0.113.1:1", admin: "203.0.113.1:2"),
                (id: 2, data: "203.0.113.2:1", admin: "203.0.113.2:2"),
            ]),
            (name: "b", multicast: "239.1.1.2:80", members: [
                (id: 2, data: "203.0.113.2:3", admin: "203.0.113.2:4"),
            ]),
        ])"#,
    )
}

#[test]
fn a_node_is_found_by_group_and_id() {
    let cluster = two_groups();
    let plan = Plan::new(cluster.clone(), None, Some(1)).unwrap();
    assert_eq!((plan.group.name.as_str(), plan.member.id.number()), ("a", 1));
    let plan = Plan::new(cluster.clone(), Some("b"), Some(2)).unwrap();
    assert_eq!(plan.member.data.to_string(), "203.0.113.2:3");
    assert_eq!(
        refusal(&cluster, None, Some(2)),
        "--id 2: groups a, b have a member of this id; say which with --group"
    );
    assert_eq!(
        refusal(&cluster, Some("b"), Some(1)),
        "--id 1: no member of group b has this id; it has 2"
    );
    assert_eq!(
        refusal(&cluster, Some("c"), Some(1)),
        "--group c: no group has this name; there are a, b"
    );
}

#[test]
fn a_node_finds_itself_by_its_address_when_one_alone_is_here() {
    let none = refusal(&two_groups(), None, None);
    assert!(none.starts_with("no members have an address of this machine"), "{none}");
    let three = refusal(&cluster(3, ""), None, None);
    assert!(three.starts_with("3 members have an address of this machine"), "{three}");
    let one = text(1, "")
        .replace("(id: 1,", "(id: 2, data: \"203.0.113.1:1\", admin: \"203.0.113.1:2\"), (id: 1,");
    assert_eq!(Plan::new(read(&one), None, None).unwrap().member.id.number(), 1);
}

#[test]
fn what_the_layers_below_refuse_is_refused_here() {
    let long = text(3, "").replacen('(', &format!("(name: \"{}\", ", "n".repeat(33)), 1);
    let refused = refusal(&read(&long), None, Some(1));
    assert!(refused.ends_with("must be at most 32 bytes; shorten it"), "{refused}");
    let keyed = text(3, "").replacen('(', "(key_file: \"absent.key\", ", 1);
    let refused = refusal(&read(&keyed), None, Some(1));
    assert!(refused.contains("/nowhere/absent.key"), "{refused}");
}

#[test]
fn a_key_is_read_and_its_mode_warned_of() {
    let scratch = Scratch::new("plan");
    scratch.file("cluster.key", &"07".repeat(32));
    let keyed = text(3, "").replacen('(', "(key_file: \"cluster.key\", ", 1);
    let cluster = Cluster::load(&scratch.file("cluster.ron", &keyed)).unwrap();
    let plan = Plan::new(cluster, None, Some(3)).unwrap();
    assert_eq!(plan.replica.cluster_key, Some([7; 32]));
    assert!(plan.replica.mac.is_some());
    let warned = plan.warnings.iter().any(|w| matches!(w, Warning::KeyReadable { .. }));
    assert!(warned, "{:?}", plan.warnings);
}

#[test]
fn every_life_has_an_incarnation_of_its_own() {
    let cluster = cluster(3, "");
    let [first, second] = [(); 2].map(|()| Plan::new(cluster.clone(), None, Some(1)).unwrap());
    assert_ne!(first.incarnation(), second.incarnation());
}
