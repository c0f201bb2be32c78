use std::io;

use super::status::{Row, exit_code, json_of, table};
use super::*;
use crate::report::{NodeStatus, QueueStatus, Totals};
use crate::testing::cluster;

fn status(id: u8, role: &str, applied: u64) -> NodeStatus {
    NodeStatus {
        id,
        incarnation: "01".to_owned(),
        cluster_id: "02".to_owned(),
        group: "g0".to_owned(),
        mode: "hovercraft".to_owned(),
        role: role.to_owned(),
        term: 3,
        leader: Some(1),
        commit: 1_000,
        applied,
        last: 1_001,
        unordered: 4,
        sessions: 0,
        missing_bodies: 0,
        parked: 0,
        queue: Vec::new(),
        service: "kv".to_owned(),
        serving: true,
        threads: "split".to_owned(),
        idle: "sleep".to_owned(),
        uptime_s: 1,
        version: "0".to_owned(),
        counters: Totals::default(),
    }
}

fn refused() -> AdminError {
    AdminError::Silent(io::Error::other("connection refused"))
}

#[test]
fn the_table_shows_each_member_and_who_does_not_answer() {
    let cluster = cluster(3, "");
    let members = &cluster.groups[0].members;
    let queue = |id, depth| QueueStatus { id, depth, applied: 1, matched: 2, lag: 3 };
    let leader =
        NodeStatus { queue: vec![queue(1, 0), queue(2, 17)], ..status(1, "leader", 1_000) };
    let follower = NodeStatus { serving: false, ..status(2, "follower", 990) };
    let answers = [Ok(leader), Ok(follower), Err(refused())];
    let rows: Vec<Row<'_>> = members.iter().zip(answers).collect();
    let shown = table(&rows);
    let lines: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["node", "role", "term", "leader"]);
    assert_eq!(lines[1][..9], ["1", "leader", "3", "1", "1000", "1000", "0", "4", "0"]);
    assert_eq!(lines[2][..9], ["2", "follower", "3", "1", "1000", "990", "10", "4", "17"]);
    assert_eq!(lines[3][..5], ["3", "no", "answer", "-", "-"]);
    assert!(shown.contains("node 2: it has stopped"), "{shown}");
    assert!(shown.contains("node 3: no answer: connection refused"), "{shown}");
    let column = shown.lines().next().unwrap().find("address").unwrap();
    for (line, member) in shown.lines().skip(1).zip(members) {
        assert_eq!(&line[column..], member.admin.to_string(), "columns stand in line");
    }
    let json: Vec<Option<NodeStatus>> = serde_json::from_str(&json_of(&rows)).unwrap();
    assert_eq!((json.len(), &json[2]), (3, &None));
}

#[test]
fn exit_codes_say_who_leads_and_who_is_silent() {
    let cluster = cluster(2, "");
    let members = &cluster.groups[0].members;
    let code = |answers: [Result<NodeStatus, AdminError>; 2]| {
        exit_code(&members.iter().zip(answers).collect::<Vec<_>>())
    };
    assert_eq!(code([Ok(status(1, "leader", 0)), Ok(status(2, "follower", 0))]), 0);
    assert_eq!(code([Ok(status(1, "alone", 0)), Ok(status(2, "alone", 0))]), 0);
    assert_eq!(code([Ok(status(1, "leader", 0)), Err(refused())]), SOME_SILENT);
    assert_eq!(code([Ok(status(1, "candidate", 0)), Ok(status(2, "follower", 0))]), NO_LEADER);
    assert_eq!(code([Err(refused()), Err(refused())]), NO_LEADER);
}

#[test]
fn times_have_units() {
    assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
    assert!(span("0s").is_err());
    assert!(span("5").unwrap_err().contains("write it as 500ms"));
}
