use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant as Wall;

use dataplane::udp::Udp;
use hovercraft_client::{Client, Kind, Options};
use kv::Kv;
use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
};

use super::*;
use crate::ctl::{self, AdminError};
use crate::node::{Ends, Halves, Node, halves};
use crate::plan::Plan;
use crate::testing::{read, text};

/// How long a stuck thread may go unnoticed on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

fn failing(checks: &[Check]) -> Vec<&'static str> {
    let failing = checks.iter().filter(|check| check.trouble.is_some());
    failing.map(|check| check.name).collect()
}

/// Waits in `execute` until told to go on.
struct Waiting(Mutex<Receiver<()>>);

impl Service for Waiting {
    fn execute(&mut self, _: &Context, _: &[u8], _: &mut Reply<'_>) -> Outcome {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Outcome::Done
    }

    fn query(&self, _: &Context, _: &[u8], _: &mut Reply<'_>) -> Result<Outcome, ChangesState> {
        Err(ChangesState)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(Vec::new()))
    }

    fn restore(&mut self, _: &mut dyn Snapshot) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn waiting(threads: &str) -> (Node, Client, Sender<()>) {
    let fields = format!("mode: unreplicated, idle: sleep, service: waiting, threads: {threads}");
    let cluster = read(&text(1, &fields));
    let plan = Plan::new(cluster.clone(), None, Some(1)).unwrap();
    let (go_on, waits) = channel();
    let node = Node::start(plan, Waiting(Mutex::new(waits))).unwrap();
    let options = Options { request_timeout: 3 * NOTICED_WITHIN, ..Options::default() };
    (node, Client::connect(&cluster, &options).unwrap(), go_on)
}

fn ask(node: &Node, path: &str) -> Result<String, String> {
    let admin = node.handle().plan().member.admin;
    match ctl::get(admin, path, NOTICED_WITHIN) {
        Ok(text) => Ok(String::from_utf8(text).unwrap()),
        Err(AdminError::Refused { status: 503, text }) => Err(text),
        Err(error) => panic!("{path}: {error}"),
    }
}

#[test]
fn a_stuck_application_fails_livez_by_name_within_seconds_and_metrics_still_answer() {
    for (threads, stuck, turning) in
        [("split", "application-thread", "[+]network-thread ok\n"), ("inline", "inline-thread", "")]
    {
        let (node, mut client, go_on) = waiting(threads);
        assert_eq!(ask(&node, "/livez"), Ok("ok\n".to_owned()));
        client.submit(Kind::Write, b"wait", 0).unwrap();
        let begin = Wall::now();
        let trouble = loop {
            // Sends, and repeats what was lost.
            assert_eq!(client.poll(Duration::from_millis(1)).count(), 0);
            let Err(trouble) = ask(&node, "/livez?verbose") else {
                assert!(begin.elapsed() < NOTICED_WITHIN, "{threads}: nobody notices");
                continue;
            };
            break trouble;
        };
        assert!(begin.elapsed() >= STUCK_AFTER, "{threads}: too early");
        let line = format!("{turning}[-]{stuck} failed: no turn for ");
        assert!(trouble.starts_with(&line) && trouble.ends_with("livez check failed"), "{trouble}");
        assert!(ask(&node, "/readyz").unwrap_err().contains(stuck));
        let metrics = ask(&node, "/metrics").unwrap();
        // One thread may get stuck in the turn that ordered it, less than a millisecond after its numbers were published.
        let ordered = if threads == "split" { "1\n" } else { "" };
        let line = format!("\nhovercraft_proposals_ordered_total {ordered}");
        assert!(metrics.contains(&line), "{metrics}");
        go_on.send(()).unwrap();
        let answered = client.poll(NOTICED_WITHIN).next().expect("an answer");
        assert!(answered.result.is_ok(), "{threads}");
        assert_eq!(ask(&node, "/livez"), Ok("ok\n".to_owned()));
    }
}

#[test]
fn a_stuck_network_thread_is_named_too() {
    let plan = Plan::new(read(&text(1, "mode: unreplicated")), None, Some(1)).unwrap();
    let network = Udp::open(plan.udp.clone()).unwrap();
    let application = network.transmit_queue().unwrap();
    let ends = Ends { network, application, wake_network: None, wake_application: None };
    let Halves { network, mut application, handle } = halves(plan, Kv::default(), ends);
    assert_eq!(failing(&handle.live_checks()), [""; 0]);
    let begin = Wall::now();
    while begin.elapsed() <= STUCK_AFTER + Duration::from_millis(100) {
        application.turn();
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(failing(&handle.live_checks()), ["network-thread"]);
    drop(network);
}

#[test]
fn who_is_in_no_cluster_is_not_ready_and_says_why() {
    let plan = Plan::new(read(&text(3, "idle: sleep")), None, Some(1)).unwrap();
    let node = Node::start(plan, Kv::default()).unwrap();
    let shown = ask(&node, "/readyz?verbose").unwrap_err();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[2].starts_with("[-]born failed: in no cluster yet"), "{shown}");
    assert!(lines[4].starts_with("[-]leader failed: no leader is known"), "{shown}");
    assert_eq!(lines[6..], ["[+]service ok", "[+]bodies ok", "[+]room ok", "readyz check failed"]);
    let short = ask(&node, "/readyz").unwrap_err();
    assert!(!short.contains("ok") && short.contains("[-]born failed"), "{short}");
    assert!(!node.handle().is_ready());
}

#[test]
fn reports_are_lists_or_one_word() {
    let good = Check { name: "good", trouble: None };
    let bad = Check { name: "bad", trouble: Some("it is".to_owned()) };
    let both = [good.clone(), bad];
    let said = |checks: &[Check], verbose| report("x", checks, verbose);
    assert_eq!(said(core::slice::from_ref(&good), false), (true, "ok".to_owned()));
    assert_eq!(said(&[good], true), (true, "[+]good ok\nx check passed".to_owned()));
    assert_eq!(said(&both, false), (false, "[-]bad failed: it is\nx check failed".to_owned()));
    let long = "[+]good ok\n[-]bad failed: it is\nx check failed";
    assert_eq!(said(&both, true), (false, long.to_owned()));
}
