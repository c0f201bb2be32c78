//! The file's numbers in the words of the layers below: replica, application half, sockets.

use core::time::Duration;
use std::time::SystemTime;

use dataplane::clock::Clock;
use dataplane::udp::UdpConfig;
use hovercraft::application::ApplicationSettings;
use hovercraft::replica;
use hovercraft::replier;
use hovercraft::store::StoreSettings;
use hovercraft::wire::MacKey;
use hovercraft::wire::configuration::{GroupConfig, MemberAddress};
use hovercraft_config::{Cluster, Group, Member, Mode, ReplierPolicy};
use raft_core::config::{Config as RaftConfig, ConfigError as RaftError, Settings as RaftSettings};
use raft_core::ids::Incarnation;

/// Random bits of an incarnation, below the milliseconds of its start (design, "incarnation"): enough for years.
const RANDOM_BITS: u32 = 20;

/// Commands on their way from the network half to the application half, at least.
const COMMANDS_MIN: u32 = 1_024;

/// Entries of an append, no-ops among them: as many as a packet holds.
const ENTRIES_MAX: u16 = {
    assert!(hovercraft::wire::ENTRIES_MAX <= 1_024);
    #[allow(clippy::cast_possible_truncation, reason = "the line above")]
    let entries = hovercraft::wire::ENTRIES_MAX as u16;
    entries
};

/// Entries of an audit: what is older is lost, and counted, and the check of a history says that it is undecided.
const AUDIT_MAX: u32 = 1 << 22;

/// Bodies of the log that may be missed at a time.
const WANTS_MAX: u32 = 1_024;

/// Heartbeats, elections, log.
///
/// # Errors
///
/// What does not hold together for consensus.
pub(crate) fn raft(group: &Group) -> Result<RaftConfig, RaftError> {
    let resources = &group.node.resources;
    RaftConfig::try_from(RaftSettings {
        heartbeat_interval: group.timing.heartbeat,
        election_timeout_min: group.timing.election_min,
        election_timeout_max: group.timing.election_max,
        log_capacity: bounded(resources.log_entries.next_power_of_two()),
        log_reserve: bounded(resources.log_reserve),
        append_entries_max: ENTRIES_MAX,
        ..RaftSettings::default()
    })
}

/// The network half, with a new incarnation.
pub(crate) fn replica(
    cluster: &Cluster,
    group: &Group,
    member: Member,
    key: Option<[u8; 32]>,
    raft: RaftConfig,
) -> replica::Settings {
    let resources = &group.node.resources;
    let log_entries = bounded(resources.log_entries.next_power_of_two());
    let unordered_max = bounded(resources.unordered_max);
    let in_system_max = bounded(resources.in_system_max);
    let addresses = group.members.iter();
    let addresses = addresses.map(|&Member { id, data, admin }| MemberAddress { id, data, admin });
    replica::Settings {
        me: member.id,
        incarnation: incarnation(SystemTime::now(), rand::random()),
        mode: mode(group.mode),
        group: GroupConfig {
            limits: group.limits,
            addresses: addresses.collect(),
            name: cluster.name.clone(),
            wrapped_hash_key: [0; 16],
        },
        mac: key.as_ref().map(MacKey::derive),
        cluster_key: key,
        replier: replier_policy(group.replier),
        bound: group.bound,
        raft,
        election_timeout_max: group.timing.election_max,
        log_entries,
        store: StoreSettings {
            bodies_max: log_entries + unordered_max,
            unordered_max,
            unordered_bytes: resources.unordered_bytes,
        },
        body_bytes: resources.body_bytes + resources.unordered_bytes + resources.reassembly_bytes,
        in_system_max,
        parked_max: bounded(resources.parked_max),
        wants_max: WANTS_MAX,
        reassembly_max: bounded(resources.reassembly_max),
        reassembly_bytes: resources.reassembly_bytes,
        reassembly_ttl: resources.reassembly_ttl,
        commands_max: match group.mode {
            // Here it bounds what is admitted; elsewhere the bounded queues do (HC4).
            Mode::Unreplicated => in_system_max,
            Mode::Raft | Mode::Hovercraft => COMMANDS_MIN.max(group.bound.saturating_mul(4)),
        },
        audit_max: if group.node.audit { AUDIT_MAX } else { 0 },
        seed: rand::random(),
    }
}

/// The application half.
pub(crate) fn application(group: &Group) -> ApplicationSettings {
    ApplicationSettings {
        answer_ttl: group.limits.answer_ttl,
        long_answer_bytes: group.node.resources.kept_replies_bytes,
        reply_max: group.limits.reply_max,
        seed: rand::random(),
    }
}

/// The sockets: the member's own address, and the group's where clients send there.
pub(crate) fn udp(group: &Group, member: Member) -> UdpConfig {
    let multicast = group.multicast.filter(|_| group.mode == Mode::Hovercraft);
    UdpConfig {
        groups: multicast.into_iter().collect(),
        receive_buffer: group.node.resources.receive_buffer,
        send_buffer: group.node.resources.send_buffer,
        clock: Clock::start(),
        ..UdpConfig::new(member.data)
    }
}

/// Milliseconds of the wall clock, then random bits.
fn incarnation(start: SystemTime, random: u64) -> Incarnation {
    let since_1970 = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let number = ms << RANDOM_BITS | random >> (u64::BITS - RANDOM_BITS);
    // A clock before 1970 leaves random bits alone; zero would mean "none".
    Incarnation::from_wire(number.max(1))
}

fn mode(mode: Mode) -> replica::Mode {
    match mode {
        Mode::Unreplicated => replica::Mode::Unreplicated,
        Mode::Raft => replica::Mode::Raft,
        Mode::Hovercraft => replica::Mode::Hovercraft,
    }
}

fn replier_policy(policy: ReplierPolicy) -> replier::ReplierPolicy {
    match policy {
        ReplierPolicy::Jbsq => replier::ReplierPolicy::Jbsq,
        ReplierPolicy::Random => replier::ReplierPolicy::Random,
        ReplierPolicy::Leader => replier::ReplierPolicy::Leader,
    }
}

/// The file's counts are below 2^24; what is above 32 bits would be cut, not wrapped.
fn bounded(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
