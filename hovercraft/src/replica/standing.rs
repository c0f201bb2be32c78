//! Birth and lives: which cluster this node belongs to, and whether its present life is a member (design HC11).

use r2p2::Instant;
use raft_core::entry::Configuration;
use raft_core::ids::{LogIndex, Member, NodeId, NodeSet, Seq};
use raft_core::raft::Start;

use super::{Core, Mode, Replica, Settings};
use crate::birth::{self, Birth, Output, Standing};
use crate::wire::{self, BodyHashKey, GroupConfig, Head, PACKET_MAX, Report};

/// HC6b: the key of the bodies' hashes, made from the cluster key; without one it guards against accidents only.
pub(super) fn hash_key_at_birth(settings: &Settings, cluster_id: u64) -> BodyHashKey {
    BodyHashKey::at_birth(&settings.cluster_key.unwrap_or([0; 32]), cluster_id)
}

/// A node without memory begins to ask who the others are.
pub(super) fn unborn(settings: &Settings, now: Instant) -> Birth {
    let mut members = NodeSet::EMPTY;
    for address in &settings.group.addresses {
        members.insert(address.id);
    }
    let settings = birth::Settings {
        me: Member { id: settings.me, incarnation: settings.incarnation },
        members,
        election_timeout_max: settings.election_timeout_max,
        seed: settings.seed,
    };
    Birth::new(settings, now)
}

impl Replica {
    /// Whether requests have a place here: in a cluster, or alone.
    pub(super) fn takes_requests(&self) -> bool {
        self.core.is_some() || self.settings.mode == Mode::Unreplicated
    }

    /// Whether the cluster that lives does not know this life (HC11b).
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.birth.standing(), Standing::Silent { .. })
    }

    pub(super) fn birth_deadline(&self) -> Option<Instant> {
        (self.settings.mode != Mode::Unreplicated).then(|| self.birth.deadline())
    }

    pub(super) fn tick_birth(&mut self, now: Instant) {
        if self.birth.deadline() <= now {
            self.birth.tick(now);
            self.drain_birth(now);
        }
    }

    /// Somebody asks who this node is: from memory when it has one, else as the birth says.
    pub(super) fn on_question(&mut self, now: Instant, from: Member, nonce: u64) {
        let Some(core) = &self.core else {
            self.birth.on_question(from.id, nonce);
            return self.drain_birth(now);
        };
        let configuration = core.committed_configuration();
        let answer = birth::answer(configuration, from);
        self.configuration_bytes.clear();
        if answer.configuration {
            wire::configuration::encode(configuration, &mut self.configuration_bytes)
                .expect("a configuration in force was checked");
        }
        let carried = answer.configuration.then_some(&self.configuration_bytes[..]);
        let head = self.head(now);
        let mut packet = [0; PACKET_MAX];
        let lives = [head.sender];
        let report = self.encoder.report(&mut packet, &head, nonce, answer.memory, &lives, carried);
        self.outbox.to_nodes(NodeSet::only(from.id), &packet[..report], Seq::ZERO);
    }

    pub(super) fn on_report(&mut self, now: Instant, head: &Head, report: &Report<'_>) {
        self.birth.on_report(now, head, report);
        self.drain_birth(now);
    }

    fn drain_birth(&mut self, now: Instant) {
        let mut packet = [0; PACKET_MAX];
        while let Some(output) = self.birth.poll_output() {
            let head = self.head(now);
            match output {
                Output::Question { to, nonce } => {
                    let len = self.encoder.question(&mut packet, &head, nonce);
                    self.outbox.to_nodes(NodeSet::only(to), &packet[..len], Seq::ZERO);
                }
                Output::Report { to, nonce, lives } => {
                    let len = self.encoder.report(&mut packet, &head, nonce, false, &lives, None);
                    self.outbox.to_nodes(NodeSet::only(to), &packet[..len], Seq::ZERO);
                }
                Output::Born { cluster_id, members } => {
                    self.counters.births += 1;
                    self.begin(now, cluster_id, members.to_vec());
                }
                Output::Adopted { cluster_id, configuration } => {
                    self.adopt(now, cluster_id, &configuration);
                }
                Output::Silent { .. } => {}
            }
        }
    }

    /// The cluster is known and names this life: Raft begins, with an empty log.
    fn begin(&mut self, now: Instant, cluster_id: u64, voters: Vec<Member>) {
        let birth = Configuration {
            epoch: LogIndex::ZERO,
            voters,
            outgoing: Vec::new(),
            learners: Vec::new(),
            data: self.settings.group.clone(),
        };
        let me = Member { id: self.settings.me, incarnation: self.settings.incarnation };
        let (config, seed) = (self.settings.raft.clone(), self.settings.seed);
        self.cluster_id = cluster_id;
        self.hash_key = hash_key_at_birth(&self.settings, cluster_id);
        self.core = Some(Core::new(me, config, birth, Start::default(), seed, now));
    }

    fn adopt(&mut self, now: Instant, cluster_id: u64, configuration: &Configuration<GroupConfig>) {
        self.begin(now, cluster_id, configuration.voters.clone());
        if configuration.epoch == LogIndex::ZERO {
            return;
        }
        let key = self.settings.cluster_key.unwrap_or([0; 32]);
        self.hash_key = BodyHashKey::unwrap(&configuration.data.wrapped_hash_key, &key, cluster_id);
        if let Some(core) = &mut self.core {
            core.adopt(configuration.clone());
        }
    }

    /// HC7a: a leader whose log has no configuration appends one from its file.
    pub(super) fn propose_configuration(&mut self, now: Instant) {
        let key = self.settings.cluster_key.unwrap_or([0; 32]);
        let wrapped_hash_key = self.hash_key.wrap(&key, self.cluster_id);
        let Some(core) = &mut self.core else { return };
        let birth = core.configuration();
        let configuration = Configuration {
            data: GroupConfig { wrapped_hash_key, ..self.settings.group.clone() },
            ..birth.clone()
        };
        let appended = core.propose_configuration(now, configuration);
        debug_assert!(appended.is_ok(), "the first configuration: {appended:?}");
    }

    /// Where a member is reached.
    #[must_use]
    pub fn address_of(&self, id: NodeId) -> Option<core::net::SocketAddr> {
        let addresses = &self.settings.group.addresses;
        addresses.iter().find(|address| address.id == id).map(|address| address.data)
    }
}
