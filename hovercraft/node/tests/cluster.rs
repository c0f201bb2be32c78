//! Whole clusters in this process, on loopback with real multicast: every mode, both thread forms, every idle policy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use core::time::Duration;

use hovercraft_client::{CallError, Kind};
use hovercraft_node::{Node, Plan};
use kv::Kv;
use r2p2::refusal::Reason;
use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
    SnapshotReader,
};
use support::{Files, TIMING, increment, increment_once, wait_for};

/// Serves some hundred writes and a read; then all nodes have the same state and audit.
fn serves(mode: &str, threads: &str, idle: &str) {
    let ids: &[u8] = if mode == "unreplicated" { &[1] } else { &[1, 2, 3] };
    let count = u8::try_from(ids.len()).unwrap();
    let fields = format!("mode: {mode}, threads: {threads}, idle: {idle}, audit: true, {TIMING}");
    let files = Files::new(count, &fields);
    let nodes = files.start_all();
    let mut client = files.client();
    let values = increment(&mut client, b"n", 500);
    assert_eq!(values, (1..=500).collect(), "{mode}, {threads}, {idle}");
    let mut request = Vec::new();
    kv::Request::Get { key: b"n" }.encode(&mut request).unwrap();
    let answer = client.call(Kind::Read, &request).unwrap();
    assert_eq!(kv::Response::parse(&answer.body), Ok(kv::Response::Value(b"500")));
    assert!(client.close(Duration::from_secs(5)) || mode == "unreplicated");
    let applied = files.equal_states(ids);
    assert!(applied >= 500);
    if mode != "unreplicated" {
        let audits: Vec<String> = ids.iter().map(|&id| files.get(id, "/audit?from=1")).collect();
        assert_eq!(audits[0].lines().count() as u64, applied, "a line for every index");
        assert!(audits.iter().all(|audit| *audit == audits[0]));
        let rest = files.get(1, &format!("/audit?from={}", applied - 1));
        assert_eq!(rest.lines().count(), 2);
        assert!(audits[0].ends_with(&rest));
    }
    for node in &nodes {
        assert!(node.is_whole() && node.handle().is_ready());
        let status = node.handle().status().unwrap();
        assert_eq!((status.threads.as_str(), status.idle.as_str()), (threads, idle));
        assert_eq!(status.counters.application["executed"], 500);
        assert_eq!(status.counters.backend["dropped_send"], 0);
    }
}

fn serves_in_both_thread_forms(mode: &str) {
    for threads in ["split", "inline"] {
        for idle in ["spin", "yield", "sleep"] {
            serves(mode, threads, idle);
        }
    }
}

#[test]
fn unreplicated_serves_in_both_thread_forms_and_all_idle_policies() {
    serves_in_both_thread_forms("unreplicated");
}

#[test]
fn raft_serves_in_both_thread_forms_and_all_idle_policies() {
    serves_in_both_thread_forms("raft");
}

#[test]
fn hovercraft_serves_in_both_thread_forms_and_all_idle_policies() {
    serves_in_both_thread_forms("hovercraft");
}

#[test]
fn cores_are_used_and_one_that_is_not_there_stops_the_start() {
    let files = Files::new(1, "mode: unreplicated, threads: inline, idle: yield, cores: [0]");
    let nodes = files.start_all();
    increment(&mut files.client(), b"n", 5);
    drop(nodes);
    let files = Files::new(1, "mode: unreplicated, cores: [0, 1023]");
    let plan = Plan::new(files.cluster.clone(), None, Some(1)).unwrap();
    let refused = Node::start(plan, Kv::default()).unwrap_err().to_string();
    assert!(refused.starts_with("cores: cannot use core 1023"), "{refused}");
}

#[test]
fn a_node_that_is_dropped_frees_its_addresses() {
    let files = Files::new(1, "mode: unreplicated, idle: sleep");
    for _ in 0..3 {
        let nodes = files.start_all();
        assert_eq!(increment_once(&mut files.client(), b"n"), 1, "a new, empty state");
        let plan = Plan::new(files.cluster.clone(), None, Some(1)).unwrap();
        let refused = Node::start(plan, Kv::default()).unwrap_err().to_string();
        assert!(refused.contains("127.") && refused.contains("in use"), "{refused}");
        drop(nodes);
    }
}

#[test]
fn leadership_moves_when_asked_and_nothing_is_lost() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let nodes = files.start_all();
    let mut client = files.client();
    let mut expected = 0;
    for _ in 0..5 {
        let leader = files.leader(&[1, 2, 3]);
        let to = leader % 3 + 1;
        let handle = nodes[usize::from(leader) - 1].handle();
        expected += 100;
        let values = increment(&mut client, b"n", 100);
        assert_eq!(values.last(), Some(&expected));
        assert!(handle.hand_leadership_over(raft_core::ids::NodeId::new(to)).unwrap());
        let now =
            wait_for("new leader", || Some(files.leader(&[1, 2, 3])).filter(|&now| now != leader));
        assert_eq!(now, to);
    }
    files.equal_states(&[1, 2, 3]);
}

/// Counts, and panics when told to.
#[derive(Default)]
struct Fragile {
    count: u64,
    survives: bool,
}

impl Service for Fragile {
    fn execute(&mut self, _: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        self.count += 1;
        assert!(request != b"panic", "as asked");
        reply.write(&self.count.to_be_bytes());
        Outcome::Done
    }

    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        if request != b"count" {
            return Err(ChangesState);
        }
        reply.write(&self.count.to_be_bytes());
        Ok(Outcome::Done)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(self.count.to_be_bytes().to_vec()))
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        self.count = u64::from_be_bytes(SnapshotReader::new(snapshot).array()?);
        Ok(())
    }

    fn survives_panic(&self) -> bool {
        self.survives
    }
}

#[test]
fn a_panic_of_the_service_is_answered_and_ends_its_work_unless_it_survives() {
    for survives in [false, true] {
        let files = Files::new(3, &format!("service: fragile, idle: sleep, {TIMING}"));
        let start = |id| {
            let plan = Plan::new(files.cluster.clone(), None, Some(id)).unwrap();
            Node::start(plan, Fragile { survives, ..Fragile::default() }).unwrap()
        };
        let nodes: Vec<Node> = (1..=3).map(start).collect();
        let mut client = files.client_for(Duration::from_secs(2));
        let mut call = |request: &[u8]| client.call(Kind::Write, request);
        assert_eq!(*call(b"one").unwrap().body, 1_u64.to_be_bytes());
        let failed = call(b"panic").unwrap_err();
        assert!(matches!(failed, CallError::Refused(Reason::Failed)), "{failed:?}");
        let next = call(b"two");
        if survives {
            assert_eq!(*next.unwrap().body, 3_u64.to_be_bytes());
        } else {
            // Nobody answers, yes or no, from an entry that is not applied (HC7d).
            assert!(matches!(next.unwrap_err(), CallError::Unknown));
        }
        for node in &nodes {
            let handle = node.handle();
            wait_for("panic on every node", || {
                (handle.status().unwrap().counters.application["panics"] == 1).then_some(())
            });
            // The node goes on either way: it has told what happened, and answers.
            assert!(node.is_whole());
            assert_eq!(handle.is_serving(), survives);
            assert_eq!(handle.is_ready(), survives);
        }
    }
}
