use std::io;
use std::sync::{Arc, Mutex};

use hovercraft::replica::{Counters, LostBody, Status};
use hovercraft::store::BodyKey;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, NodeId, Term};

use super::*;

/// What is logged during `work`.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept(Arc::default());
    let writer = kept.clone();
    let logs = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::with_default(logs.finish(), work);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn view(role: Role, leader: Option<u8>) -> View {
    let status = Status {
        id: NodeId::new(1).unwrap(),
        incarnation: 0xab,
        cluster_id: 0xcd,
        role,
        term: Term::from_wire(7),
        leader: leader.and_then(NodeId::new),
        commit: LogIndex::ZERO,
        applied: LogIndex::ZERO,
        last: LogIndex::ZERO,
        unordered: 0,
        missing_bodies: 0,
        parked: 0,
        sessions: 0,
        lost_body: None,
        log_time_us: 0,
        queues: Vec::new(),
    };
    View { status, counters: Counters::default(), other_version: None }
}

fn look(watch: &mut Watch, view: &View) -> String {
    let said = logged(|| watch.compare(view));
    watch.last = Some(view.clone());
    said
}

#[test]
fn what_changes_is_said_once() {
    let mut watch = Watch::new(Instant::now());
    let said = look(&mut watch, &view(Role::Follower, None));
    assert!(said.contains("role=\"follower\" from=\"none\" term=7"), "{said}");
    assert!(said.contains("in a cluster cluster=00000000000000cd"), "{said}");
    let said = look(&mut watch, &view(Role::Leader, Some(1)));
    assert!(said.contains("role=\"leader\" from=\"follower\""), "{said}");
    assert!(said.contains("leader leader=1 term=7"), "{said}");
    assert_eq!(look(&mut watch, &view(Role::Leader, Some(1))), "");
    let said = look(&mut watch, &view(Role::Follower, None));
    assert!(said.contains("no leader"), "{said}");
}

#[test]
fn hc11_births_and_lives_that_are_no_members_are_loud() {
    let mut watch = Watch::new(Instant::now());
    look(&mut watch, &view(Role::Joining, None));
    let mut born = view(Role::Follower, None);
    born.counters.births = 1;
    let said = look(&mut watch, &born);
    assert!(said.contains("WARN") && said.contains("A CLUSTER IS BORN, EMPTY"), "{said}");
    assert!(!look(&mut watch, &born).contains("BORN"), "once");
    let said = look(&mut watch, &view(Role::Silent, None));
    assert!(said.contains("this life is not a member of the cluster that lives"), "{said}");
    assert!(said.contains("incarnation=00000000000000ab"), "{said}");
}

#[test]
fn hc1d_a_body_that_nobody_has_is_told_to_the_operator() {
    let mut watch = Watch::new(Instant::now());
    look(&mut watch, &view(Role::Follower, Some(2)));
    let mut stopped = view(Role::Follower, Some(2));
    let key = BodyKey { id: RequestId::new(ClientAddress::default(), 5, 6), hash: 7 };
    stopped.status.lost_body = Some(LostBody { index: LogIndex::from_wire(44), key });
    let said = look(&mut watch, &stopped);
    assert!(said.contains("ERROR") && said.contains("whose body no member has"), "{said}");
    assert!(said.contains("index=i44 session=5 number=6"), "{said}");
    assert_eq!(look(&mut watch, &stopped), "", "once");
}

#[test]
fn another_version_is_said_once_per_peer() {
    let mut watch = Watch::new(Instant::now());
    let mut strange = view(Role::Leader, Some(1));
    let mut from = |last: u8| {
        strange.other_version = Some((SocketAddr::from(([10, 0, 0, last], 1)), 9));
        look(&mut watch, &strange)
    };
    let said = from(2);
    assert!(said.contains("peer=10.0.0.2:1 peer_version=9 own_version=1"), "{said}");
    assert_eq!(from(2), "");
    assert!(from(3).contains("peer=10.0.0.3:1"));
    let told = (0..=255).filter(|&last| !from(last).is_empty()).count();
    assert_eq!(told, TOLD_MAX - 2, "whoever pretends to be many fills no log");
}

#[test]
fn losses_are_said_when_they_grow_and_work_is_not() {
    let mut watch = Watch::new(Instant::now());
    let mut totals = Totals::default();
    totals.replica.extend([("packets".to_owned(), 9), ("bad_packets".to_owned(), 2)]);
    totals.application.extend([("answers".to_owned(), 9), ("too_late".to_owned(), 1)]);
    totals.backend.extend([("sent".to_owned(), 9), ("dropped_receive".to_owned(), 5)]);
    let said = logged(|| watch.tell_losses(&totals));
    assert!(said.contains("bad_packets +2, too_late +1, dropped_receive +5"), "{said}");
    assert_eq!(logged(|| watch.tell_losses(&totals)), "");
    totals.replica.insert("bad_packets".to_owned(), 5);
    let said = logged(|| watch.tell_losses(&totals));
    assert!(said.contains("refused: bad_packets +3") && !said.contains("too_late"), "{said}");
}
