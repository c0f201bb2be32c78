//! What a run explores: from where, with which requests, and how far.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use hovercraft::replica::{Mode, Role};
use r2p2::fragment::Form;
use r2p2::header::Policy;

use crate::node::{Incoming, NODES, Node, Shape, address};

/// Where a scope begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begin {
    /// The cluster was just born: all logs are empty, nobody leads.
    Born,
    /// One node leads, and everybody has committed its configuration.
    Led,
}

/// A plain client's write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Its 16-bit id; all come from one address.
    pub id: u16,
    /// Its body.
    pub body: &'static str,
}

/// Bounds of what happens.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The nodes' settings.
    pub shape: Shape,
    /// Where it begins.
    pub begin: Begin,
    /// What clients ask; each packet may come at any time, to any node, any number of times.
    pub requests: &'static [Request],
    /// Whether all who do not lead have them from the beginning.
    pub waiting: bool,
    /// Terms after the one in which it begins.
    pub terms: u64,
    /// Heartbeats of each leader, beside what it sends at once.
    pub rounds: u64,
    /// Whether one node may lose its memory and come back (HC11a).
    pub restart: bool,
}

const A: Request = Request { id: 1, body: "a" };
const B: Request = Request { id: 2, body: "b" };
/// The same id with another body.
const OTHER_A: Request = Request { id: 1, body: "z" };

const MANY: Shape = Shape { mode: Mode::Hovercraft, append_entries_max: 8 };
const ONE: Shape = Shape { append_entries_max: 1, ..MANY };
const BODIES: Shape = Shape { mode: Mode::Raft, ..MANY };

const LED: Scope = Scope {
    name: "led",
    what: "two requests under one leader",
    shape: MANY,
    begin: Begin::Led,
    requests: &[A, B],
    waiting: false,
    terms: 0,
    rounds: 0,
    restart: false,
};

/// All scopes.
pub const ALL: &[Scope] = &[
    Scope {
        name: "body",
        what: "one request under one leader, its body missed and recovered, a heartbeat",
        requests: &[A],
        rounds: 1,
        ..LED
    },
    LED,
    Scope {
        name: "election",
        what: "one request, one change of leader",
        requests: &[A],
        waiting: true,
        terms: 1,
        ..LED
    },
    Scope {
        name: "reuse",
        what: "one id with two bodies, and a change of leader",
        requests: &[A, OTHER_A],
        terms: 1,
        ..LED
    },
    Scope {
        name: "change",
        what: "one request, changes of leader, a heartbeat of each",
        requests: &[A],
        waiting: true,
        terms: 2,
        rounds: 1,
        ..LED
    },
    Scope {
        name: "one",
        what: "two requests, a change of leader, appends of one entry",
        shape: ONE,
        requests: &[A, B],
        waiting: true,
        terms: 1,
        ..LED
    },
    Scope {
        name: "figure8",
        what: "one request, three changes of leader, appends of one entry",
        shape: ONE,
        requests: &[A],
        waiting: true,
        terms: 3,
        ..LED
    },
    Scope {
        name: "born",
        what: "from empty logs: one request, two terms",
        begin: Begin::Born,
        requests: &[A],
        waiting: true,
        terms: 2,
        ..LED
    },
    Scope {
        name: "restart",
        what: "a node loses its memory and comes back; one request, a change of leader",
        requests: &[A],
        terms: 1,
        restart: true,
        ..LED
    },
    Scope {
        name: "raft",
        what: "mode raft: bodies in appends, requests passed on; one request, a change of leader",
        shape: BODIES,
        requests: &[A],
        terms: 1,
        ..LED
    },
];

/// Address of the client.
#[must_use]
pub fn client() -> SocketAddr {
    SocketAddr::from(([10, 0, 9, 1], 9_000))
}

impl Scope {
    /// The scope of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        ALL.iter().find(|scope| scope.name == name).copied()
    }

    /// The nodes as they stand when it begins, by id.
    ///
    /// # Panics
    ///
    /// When they do not come to stand so.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let ids = 1..=NODES;
        let mut nodes: Vec<_> =
            ids.map(|id| Node::new(id, 1, self.shape, Duration::ZERO)).collect();
        let mut now = Duration::ZERO;
        while !self.has_begun(&nodes) {
            let next = nodes.iter().map(|node| node.replica.deadline()).min();
            now = next.unwrap_or(now).max(now + Duration::from_micros(1));
            assert!(now < BEGIN_MAX, "the cluster is not where the scope begins");
            tick_all(&mut nodes, now);
        }
        for (id, node) in (1..).zip(&mut nodes) {
            let waits = self.waiting && node.replica.status().role != Role::Leader;
            for request in self.requests.iter().filter(|_| waits) {
                node.receive(now, &Self::incoming(*request));
            }
            let sent = node.finish(now);
            assert!(sent.to_nodes.is_empty(), "n{id} has nothing to say to requests that wait");
            (node.began, node.now) = (now, now);
        }
        nodes
    }

    fn has_begun(&self, nodes: &[Node]) -> bool {
        let mut states = nodes.iter().map(|node| node.replica.status());
        match self.begin {
            Begin::Born => states.all(|status| status.role == Role::Follower),
            // The no-op of its term, and the configuration.
            Begin::Led => states.all(|status| status.commit.to_wire() == 2),
        }
    }

    /// The packet of a request.
    #[must_use]
    pub fn incoming(request: Request) -> Incoming {
        let form = Form::PlainRequest { request_id: request.id, policy: Policy::Replicated };
        let fragments = form.fragments(request.body.len()).into_iter().flatten();
        let body = request.body.as_bytes();
        let bytes = fragments.flat_map(|one| [&one.head[..], &body[one.range]].concat()).collect();
        Incoming { from: client(), group: true, asks_for_vote: false, elects: false, bytes }
    }
}

/// Longer than a birth and an election take.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// Everybody who is due does what there is to do, and all that is sent arrives.
fn tick_all(nodes: &mut [Node], now: Duration) {
    let mut flying = VecDeque::new();
    let send = |flying: &mut VecDeque<_>, from: u8, sent: crate::node::Sent| {
        for (to, bytes) in sent.to_nodes {
            let from = address(from);
            let packet =
                Incoming { from, group: false, asks_for_vote: false, elects: false, bytes };
            flying.push_back((to, packet));
        }
    };
    for (id, node) in (1..).zip(nodes.iter_mut()) {
        if node.replica.deadline() <= now {
            node.replica.tick(now);
            let sent = node.finish(now);
            send(&mut flying, id, sent);
        }
    }
    while let Some((to, packet)) = flying.pop_front() {
        let node = &mut nodes[usize::from(to) - 1];
        node.receive(now, &packet);
        let sent = node.finish(now);
        send(&mut flying, to, sent);
    }
}
