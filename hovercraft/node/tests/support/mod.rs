//! Files, addresses and clients for the tests of this crate.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use hovercraft_client::{Client, Kind, Options};
use hovercraft_config::Cluster;
use hovercraft_node::report::NodeStatus;
use hovercraft_node::{Node, Plan, ctl};
use kv::{Kv, Request, Response};

use self::addresses::network_of_our_own;

/// How long anything may take before a test gives up: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Timeouts that keep births and elections short, and yet bear a machine that is shared.
pub(crate) const TIMING: &str =
    "timing: (heartbeat: \"20ms\", election_min: \"150ms\", election_max: \"250ms\")";

/// A directory with a cluster.ron, which goes with the value.
pub(crate) struct Files {
    pub(crate) directory: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) cluster: Cluster,
}

impl Files {
    /// One group of `nodes` on loopback addresses that nobody else has; `fields` are more of its fields.
    pub(crate) fn new(nodes: u8, fields: &str) -> Self {
        let [third, fourth] = network_of_our_own(100..200);
        let directory = format!("hovercraft-node-test-{}-{third}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let members: Vec<String> = (1..=nodes)
            .map(|id| {
                let ip = format!("127.{third}.{fourth}.{id}");
                format!("(id: {id}, data: \"{ip}:8200\", admin: \"{ip}:9200\")")
            })
            .collect();
        let multicast = format!("239.{third}.{fourth}.7:8200");
        let text = format!(
            "(key_file: \"cluster.key\", groups: [(members: [{}], multicast: \"{multicast}\", {fields})])",
            members.join(", ")
        );
        let config = directory.join("cluster.ron");
        std::fs::write(&config, text).unwrap();
        let key = hovercraft_config::ClusterKey::new([9; 32]);
        key.save_new(&directory.join("cluster.key")).unwrap();
        let cluster = Cluster::load(&config).unwrap();
        Self { directory, config, cluster }
    }

    /// One node, with the service kv.
    pub(crate) fn start(&self, id: u8) -> Node {
        let plan = Plan::new(self.cluster.clone(), None, Some(id)).unwrap();
        Node::start(plan, Kv::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// All nodes of the file.
    pub(crate) fn start_all(&self) -> Vec<Node> {
        let members = &self.cluster.groups[0].members;
        members.iter().map(|member| self.start(member.id.number())).collect()
    }

    pub(crate) fn admin(&self, id: u8) -> SocketAddr {
        self.cluster.groups[0].members[usize::from(id) - 1].admin
    }

    /// What a node says; `None` when it does not.
    pub(crate) fn status(&self, id: u8) -> Option<NodeStatus> {
        let answer = ctl::get(self.admin(id), "/status", Duration::from_secs(2)).ok()?;
        Some(serde_json::from_slice(&answer).unwrap())
    }

    pub(crate) fn get(&self, id: u8, path: &str) -> String {
        let answer = ctl::get(self.admin(id), path, PATIENCE).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Waits until the living nodes `ids` agree on a leader among them; which.
    pub(crate) fn leader(&self, ids: &[u8]) -> u8 {
        wait_for("a leader that all agree on", || {
            let statuses: Option<Vec<NodeStatus>> = ids.iter().map(|&id| self.status(id)).collect();
            let statuses = statuses?;
            let leader = statuses.iter().find(|status| status.role == "leader")?.id;
            statuses.iter().all(|status| status.leader == Some(leader)).then_some(leader)
        })
    }

    /// Waits until the nodes have applied the same, and asks that their states and scans be equal; the index.
    pub(crate) fn equal_states(&self, ids: &[u8]) -> u64 {
        wait_for("equal applied indexes", || {
            let applied: Option<BTreeSet<(u64, u64)>> = ids
                .iter()
                .map(|&id| self.status(id).map(|status| (status.applied, status.commit)))
                .collect();
            let applied: Vec<(u64, u64)> = applied?.into_iter().collect();
            matches!(applied.as_slice(), [(applied, commit)] if applied == commit).then_some(())
        });
        let state = |id| -> history_checker::state::NodeState {
            serde_json::from_str(&self.get(id, "/state?query=070000ffffffff")).unwrap()
        };
        let states: Vec<_> = ids.iter().map(|&id| state(id)).collect();
        for state in &states {
            assert_eq!(state.state_hash, states[0].state_hash, "states differ: {states:?}");
            assert_eq!(state.scan, states[0].scan);
        }
        states[0].applied
    }

    pub(crate) fn client(&self) -> Client {
        self.client_for(Duration::from_secs(20))
    }

    /// A client that waits so long for an answer.
    pub(crate) fn client_for(&self, request_timeout: Duration) -> Client {
        let options = Options { connect_timeout: PATIENCE, request_timeout, ..Options::default() };
        Client::connect(&self.cluster, &options).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Asks again and again.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Increments one counter `count` times, many at once; asks that each was executed once and each answer is another.
pub(crate) fn increment(client: &mut Client, key: &[u8], count: u64) -> BTreeSet<i64> {
    let mut request = Vec::new();
    Request::Increment { key, by: 1 }.encode(&mut request).unwrap();
    let (mut submitted, mut values) = (0, BTreeSet::new());
    while (values.len() as u64) < count {
        while submitted < count && client.open() < 64 {
            client.submit(Kind::Write, &request, submitted).unwrap();
            submitted += 1;
        }
        for completion in client.poll(Duration::from_millis(100)) {
            let answer = completion.result.unwrap_or_else(|error| panic!("{error}"));
            let Ok(Response::Integer(value)) = Response::parse(&answer.body) else {
                panic!("no number: {:?}", &*answer.body)
            };
            assert!(values.insert(value), "{value} was answered twice");
        }
    }
    values
}

/// One increment; its value.
pub(crate) fn increment_once(client: &mut Client, key: &[u8]) -> i64 {
    *increment(client, key, 1).first().unwrap()
}
