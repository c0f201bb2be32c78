//! Groups that have begun: born, led, with requests of plain clients and of sessions behind them. Made once, copied for each run.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::OnceLock;

use hovercraft::replica::{Mode, Role};
use hovercraft::wire::BodyHashKey;
use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::{MessageKind, Policy};
use r2p2::opening::OpeningReply;
use r2p2::packet::Packet;

use crate::forge::{Forger, first_lives};
use crate::host::{CLUSTER_KEY, Host, Sent, Shape, address};

/// Nodes and what they know of each other.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) shape: Shape,
    pub(crate) hosts: Vec<Host>,
    pub(crate) now: Duration,
    /// Sessions that were opened.
    pub(crate) sessions: Vec<u64>,
}

const SHAPES: [Shape; 6] = [
    Shape { nodes: 3, mode: Mode::Hovercraft, key: true },
    Shape { nodes: 3, mode: Mode::Hovercraft, key: false },
    Shape { nodes: 3, mode: Mode::Raft, key: true },
    Shape { nodes: 3, mode: Mode::Raft, key: false },
    Shape { nodes: 1, mode: Mode::Hovercraft, key: true },
    Shape { nodes: 1, mode: Mode::Unreplicated, key: false },
];

/// A group of one of the six shapes, settled.
pub(crate) fn settled(which: usize) -> Group {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    let groups = GROUPS.get_or_init(|| SHAPES.into_iter().map(begun).collect());
    groups[which % groups.len()].clone()
}

impl Group {
    /// As its nodes are before they know of each other.
    pub(crate) fn unborn(shape: Shape) -> Self {
        let now = Duration::from_secs(1);
        let hosts = (1..=shape.nodes).map(|id| Host::new(shape, id, 0, now)).collect();
        Self { shape, hosts, now, sessions: Vec::new() }
    }

    /// The place of the node that leads, or serves alone.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |host: &Host| matches!(host.replica.status().role, Role::Leader | Role::Alone);
        self.hosts.iter().position(leads)
    }

    /// What a forger knows who wants to be heard by the node at `place`.
    pub(crate) fn with_forger<R>(&self, place: usize, work: impl FnOnce(&Forger<'_>) -> R) -> R {
        let (host, status) = (&self.hosts[place], self.hosts[place].replica.status());
        let indexes = [status.commit, status.applied, status.last].map(|index| index.to_wire());
        let cluster_key = if self.shape.key { CLUSTER_KEY } else { [0; 32] };
        work(&Forger {
            encoder: host.encoder(),
            hash_key: BodyHashKey::at_birth(&cluster_key, status.cluster_id),
            cluster_id: status.cluster_id,
            lives: &first_lives(self.shape.nodes),
            term: status.term.to_wire(),
            indexes: &indexes,
            log_time_us: status.log_time_us,
            sessions: &self.sessions,
        })
    }

    /// Every node has a turn, and everything sent arrives, until `span` has passed.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(5);
            // What is sent in answer arrives within the same step; nobody answers for ever.
            let mut sent = vec![Vec::new(); self.hosts.len()];
            for _ in 0..16 {
                for (place, host) in self.hosts.iter_mut().enumerate() {
                    host.turn(self.now, &mut sent[place]);
                    host.apply(self.now, usize::MAX, &mut sent[place]);
                    host.turn(self.now, &mut sent[place]);
                    host.check();
                }
                let flying: Vec<(usize, Sent)> = sent
                    .iter_mut()
                    .enumerate()
                    .flat_map(|(from, sent)| sent.drain(..).map(move |sent| (from, sent)))
                    .collect();
                if flying.is_empty() {
                    break;
                }
                flying.into_iter().for_each(|(from, sent)| self.arrive(from, &sent));
            }
        }
    }

    /// A packet from the node at `from` reaches all that it is for.
    pub(crate) fn arrive(&mut self, from: usize, sent: &Sent) {
        match sent {
            Sent::ToNodes(nodes, bytes) => {
                for to in nodes.iter() {
                    self.deliver(from, usize::from(to.number()) - 1, bytes);
                }
            }
            Sent::ToClient(bytes) => self.note_session(bytes),
        }
    }

    /// A packet from the node at `from` reaches the one at `to`.
    pub(crate) fn deliver(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let from = u8::try_from(from + 1).unwrap_or_default();
        if let Some(host) = self.hosts.get_mut(to) {
            host.receive(self.now, address(from), false, bytes);
        }
    }

    /// The answer to an opening tells a session.
    fn note_session(&mut self, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        let Some(extension) = packet.extension else { return };
        let opened = packet.header.kind == MessageKind::Response
            && OpeningReply::parse(packet.payload).is_ok()
            && !self.sessions.contains(&extension.session);
        if opened && extension.session != 0 && self.sessions.len() < 8 {
            self.sessions.push(extension.session);
        }
    }

    /// A request to every node, as a client's multicast brings it; in mode `raft` the leader gets it.
    fn ask(&mut self, form: Form, body: &[u8]) {
        let client = SocketAddr::from(([10, 0, 2, 1], 4_000));
        let group = self.shape.mode == Mode::Hovercraft;
        for fragment in form.fragments(body.len()).into_iter().flatten() {
            let bytes = [&fragment.head, &body[fragment.range]].concat();
            for host in &mut self.hosts {
                host.receive(self.now, client, group, &bytes);
            }
        }
        self.run(Duration::from_millis(20));
    }
}

fn begun(shape: Shape) -> Group {
    let mut group = Group::unborn(shape);
    for _ in 0..40 {
        group.run(Duration::from_millis(200));
        let Some(leader) = group.leader() else { continue };
        let status = group.hosts[leader].replica.status();
        if shape.mode == Mode::Unreplicated || status.commit.to_wire() >= 2 {
            break;
        }
    }
    assert!(group.leader().is_some(), "{shape:?}: no leader within 8 s");
    let mut put = Vec::new();
    let encoded = kv::Request::Put { key: b"k", value: &[b'v'; 3_000] }.encode(&mut put);
    assert!(encoded.is_ok(), "{encoded:?}");
    let policy = Policy::Replicated;
    for request_id in 1..4 {
        group.ask(Form::PlainRequest { request_id, policy }, &put);
    }
    if shape.mode != Mode::Unreplicated {
        let flags = Flags { opens: true, ..Flags::NONE };
        group.ask(Form::Request { session: 0, number: 77, above_floor: 0, policy, flags }, b"");
        assert_eq!(group.sessions.len(), 1, "{shape:?}");
        let (session, flags) = (group.sessions[0], Flags::NONE);
        for number in 1..4 {
            group.ask(Form::Request { session, number, above_floor: 1, policy, flags }, &put);
        }
    }
    let applied: Vec<u64> = group.hosts.iter().map(|host| host.gauges().applied).collect();
    assert!(applied.iter().all(|&applied| applied >= 3), "{shape:?}: {applied:?}");
    group
}
