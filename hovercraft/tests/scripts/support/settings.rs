//! What a script may say about its cluster, `key=value` each, and the settings of a replica that follow.

use core::str::FromStr;
use core::time::Duration;

use hovercraft::application::ApplicationSettings;
use hovercraft::limits::Limits;
use hovercraft::replica::{Mode, Settings};
use hovercraft::replier::ReplierPolicy;
use hovercraft::store::StoreSettings;
use hovercraft::wire::{GroupConfig, MacKey, MemberAddress};
use raft_core::ids::{Incarnation, NodeId};

use super::names;

/// Elections come a little more than three heartbeats after the last word of a leader.
const HEARTBEAT: Duration = Duration::from_millis(6);
const ELECTION_MIN: Duration = Duration::from_millis(20);
pub(crate) const ELECTION_MAX: Duration = Duration::from_millis(25);

/// The first line of a script, read.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: u8,
    mode: Mode,
    policy: ReplierPolicy,
    key: bool,
    limits: Limits,
    bound: u32,
    in_system: u32,
    parked: u32,
    wants: u32,
    unordered: u32,
    unordered_bytes: usize,
    bodies: u32,
    body_bytes: usize,
    entries: u16,
    log: u32,
    audit: u32,
}

/// The value of `key=value` among the words, or what it is without.
pub(crate) fn value<T: FromStr>(words: &[&str], key: &str, without: T) -> T {
    let found = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    found.map_or(without, |text| text.parse().unwrap_or_else(|_| panic!("{key}={text}")))
}

/// `key=30ms` among the words, or what it is without.
pub(crate) fn time(words: &[&str], key: &str, without: Duration) -> Duration {
    let text = value(words, key, String::new());
    if text.is_empty() { without } else { duration(&text) }
}

/// `2s`, `30ms` or `200us`.
pub(crate) fn duration(text: &str) -> Duration {
    let number = |suffix: &str| text.strip_suffix(suffix).and_then(|number| number.parse().ok());
    let ms = number("ms").map(Duration::from_millis);
    let us = || number("us").map(Duration::from_micros);
    let s = || number("s").map(Duration::from_secs);
    ms.or_else(us).or_else(s).unwrap_or_else(|| panic!("no time: {text}"))
}

impl Shape {
    pub(crate) fn read(words: &[&str]) -> Self {
        let mode = match value(words, "mode", String::from("hovercraft")).as_str() {
            "raft" => Mode::Raft,
            "unreplicated" => Mode::Unreplicated,
            "hovercraft" => Mode::Hovercraft,
            other => panic!("mode={other}"),
        };
        let policy = match value(words, "policy", String::from("jbsq")).as_str() {
            "jbsq" => ReplierPolicy::Jbsq,
            "random" => ReplierPolicy::Random,
            "leader" => ReplierPolicy::Leader,
            other => panic!("policy={other}"),
        };
        let usual = Limits::default();
        let limits = Limits {
            unordered_expiry: time(words, "unordered_expiry", usual.unordered_expiry),
            packet_life: time(words, "packet_life", usual.packet_life),
            answer_ttl: time(words, "answer_ttl", usual.answer_ttl),
            plain_window: time(words, "plain_window", usual.plain_window),
            session_expiry: time(words, "session_expiry", usual.session_expiry),
            plain_ids_max: value(words, "plain_ids", 64),
            sessions_max: value(words, "sessions", 16),
            session_window: value(words, "window", 16),
            reply_keep_max: value(words, "reply_keep", 64),
            replies_bytes_max: value(words, "replies_bytes", 64 << 10),
            request_max: value(words, "request_max", 4_000),
            reply_max: value(words, "reply_max", 4_000),
        };
        limits.check().unwrap();
        Self {
            nodes: value(words, "nodes", 3),
            mode,
            policy,
            key: words.contains(&"key"),
            limits,
            bound: value(words, "bound", 128),
            in_system: value(words, "in_system", 64),
            parked: value(words, "parked", 8),
            wants: value(words, "wants", 16),
            unordered: value(words, "unordered", 32),
            unordered_bytes: value(words, "unordered_bytes", 64 << 10),
            bodies: value(words, "bodies", 128),
            body_bytes: value(words, "body_bytes", 16 << 20),
            entries: value(words, "append_entries", 8),
            log: value(words, "log", 64),
            audit: value(words, "audit", 1 << 20),
        }
    }

    fn group(&self) -> GroupConfig {
        let member = |id| MemberAddress {
            id: NodeId::new(id).unwrap(),
            data: names::node(id),
            admin: names::node(id),
        };
        GroupConfig {
            limits: self.limits,
            addresses: (1..=self.nodes).map(member).collect(),
            name: "scripts".into(),
            wrapped_hash_key: [0; 16],
        }
    }

    pub(crate) fn application(&self) -> ApplicationSettings {
        ApplicationSettings {
            answer_ttl: self.limits.answer_ttl,
            long_answer_bytes: 1 << 20,
            reply_max: self.limits.reply_max,
            seed: 1,
        }
    }

    /// Of node `id` in its life number `lives`: incarnations count from 10 for n1, 20 for n2.
    pub(crate) fn replica(&self, id: u8, lives: u8) -> Settings {
        let timing = raft_core::config::Settings {
            heartbeat_interval: HEARTBEAT,
            election_timeout_min: ELECTION_MIN,
            election_timeout_max: ELECTION_MAX,
            log_capacity: self.log,
            log_reserve: 4,
            append_bytes: 1_300,
            append_entries_max: self.entries,
            inflight_max: 16,
        };
        let cluster_key = self.key.then_some([7; 32]);
        Settings {
            me: NodeId::new(id).unwrap(),
            incarnation: Incarnation::from_wire(u64::from(id) * 10 + u64::from(lives)),
            mode: self.mode,
            group: self.group(),
            mac: cluster_key.as_ref().map(MacKey::derive),
            cluster_key,
            replier: self.policy,
            bound: self.bound,
            raft: timing.try_into().unwrap(),
            election_timeout_max: ELECTION_MAX,
            log_entries: self.log,
            store: StoreSettings {
                bodies_max: self.bodies,
                unordered_max: self.unordered,
                unordered_bytes: self.unordered_bytes,
            },
            body_bytes: self.body_bytes,
            in_system_max: self.in_system,
            parked_max: self.parked,
            wants_max: self.wants,
            reassembly_max: 16,
            reassembly_bytes: 4 << 20,
            reassembly_ttl: Duration::from_millis(5),
            commands_max: 128,
            audit_max: self.audit,
            seed: u64::from(id) + 100 * u64::from(lives),
        }
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.mode == Mode::Unreplicated
    }
}
