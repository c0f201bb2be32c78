//! A cluster that holds together.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use hovercraft::limits::Limits;
use raft_core::ids::NodeId;
use ron::error::SpannedError;

use crate::check;
use crate::error::{ConfigError, Problem, Warning};
use crate::key::ClusterKey;
use crate::position::{self, Position, Positions};
use crate::settings::{
    DpdkSettings, GroupSettings, LimitSettings, MemberSettings, Name, ResourceSettings, Settings,
    TimingSettings, TraceSettings, ron_options,
};
use crate::{
    quantity::{Size, Span},
    words,
};

/// A checked cluster.ron.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cluster {
    /// The file that it came from.
    pub file: PathBuf,
    /// What people call it.
    pub name: String,
    /// The key file as the file has it; see [`Cluster::load_key`].
    pub key_file: Option<String>,
    /// At least one group.
    pub groups: Vec<Group>,
    /// What holds together and still deserves a word to the operator.
    pub warnings: Vec<Warning>,
}

/// One replicated group: equal on all its nodes, but for [`Group::node`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// What people call it; no two groups have the same.
    pub name: String,
    /// How it replicates.
    pub mode: Mode,
    /// Where clients send in mode `hovercraft`, which always has one.
    pub multicast: Option<SocketAddr>,
    /// The service that its nodes run.
    pub service: String,
    /// Who answers (HC4).
    pub replier: ReplierPolicy,
    /// Entries that a replier may be behind (HC4).
    pub bound: u32,
    /// First members, lowest id first; 1 to 15.
    pub members: Vec<Member>,
    /// What decides at apply (HC7a).
    pub limits: Limits,
    /// Heartbeat and election.
    pub timing: Timing,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// What a node may have for itself.
    pub node: NodeConfig,
}

/// One first member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its number, 1 to 15.
    pub id: NodeId,
    /// Address and UDP port of the data plane.
    pub data: SocketAddr,
    /// Address and TCP port for administration, through the kernel.
    pub admin: SocketAddr,
}

/// What a node may have for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Memory.
    pub resources: Resources,
    /// Network and application on two threads or one.
    pub threads: Threads,
    /// What an empty poll does.
    pub idle: Idle,
    /// Cores that the threads are pinned to, network first; empty: not pinned.
    pub cores: Vec<usize>,
    /// Its network, where it is on DPDK.
    pub dpdk: Dpdk,
    /// Whether to keep what the check of histories asks for (design 8).
    pub audit: bool,
    /// Trace events that each thread keeps (design 5); 0 = none.
    pub trace_events: usize,
}

/// How a group replicates (design 2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// One server, no replication.
    Unreplicated,
    /// Leader sends bodies and answers.
    Raft,
    /// Clients' multicast brings bodies, leader sends metadata.
    Hovercraft,
}

/// Who answers a request (HC4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReplierPolicy {
    /// The shortest queue, ties by rotation.
    Jbsq,
    /// Any whose queue has room.
    Random,
    /// The leader.
    Leader,
}

/// What an acknowledgement promises (HC1c, HC11).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Durability {
    /// A majority has it in memory.
    Memory,
}

/// Threads of a node (design 5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Threads {
    /// Network and application on a thread each.
    Split,
    /// Both on one.
    Inline,
}

/// What an empty poll does (design 5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Idle {
    /// Poll again.
    Spin,
    /// Let others run, then poll again.
    Yield,
    /// Wait for a packet.
    Sleep,
    /// Each thread for itself: poll again on a core of its own (pinned, alone there, isolated from the scheduler), else
    /// let others run.
    Auto,
}

/// What a node on DPDK must be told of its network, for the kernel does not know it there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dpdk {
    /// Bits of the network's prefix: who shares them with the own data address is asked for directly, by ARP.
    pub prefix: u8,
    /// Router for all others; none: they cannot be reached.
    pub gateway: Option<Ipv4Addr>,
    /// The VLAN that every frame belongs to, 1 to 4,094; none: frames have no tag.
    pub vlan: Option<u16>,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// Packets that wait in a device's receive queue, at most.
    pub receive_descriptors: u16,
    /// Packets in a device's transmit queue, at most.
    pub transmit_descriptors: u16,
}

/// Heartbeat and election.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// Silence after which a leader speaks.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// Longest one.
    pub election_max: Duration,
}

/// Memory of a node, taken at its start (HC12).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resources {
    /// Entries that the log holds.
    pub log_entries: usize,
    /// Of these, entries kept for no-ops and configurations.
    pub log_reserve: usize,
    /// Bytes of bodies in the log, applied ones kept included (HC1d).
    pub body_bytes: usize,
    /// Requests received and not yet ordered (HC8).
    pub unordered_max: usize,
    /// Bytes of these.
    pub unordered_bytes: usize,
    /// Requests unordered, or appended and not applied, above which a leader refuses new ones (HC10).
    pub in_system_max: usize,
    /// Appends that wait for a missing body (HC1a).
    pub parked_max: usize,
    /// Life of a partial plain message (HC6d).
    pub reassembly_ttl: Duration,
    /// Partial messages.
    pub reassembly_max: usize,
    /// Bytes of partial messages.
    pub reassembly_bytes: usize,
    /// Bytes of long answers, kept for the packets of them that a client asks for again.
    pub kept_replies_bytes: usize,
    /// The kernel's receive buffer of each socket, in bytes.
    pub receive_buffer: usize,
    /// The kernel's send buffer of each socket, in bytes.
    pub send_buffer: usize,
}

impl Cluster {
    /// Reads and checks a cluster.ron.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first thing wrong: file, line, column, field, bound and remedy.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError {
            file: path.to_owned(),
            position: None,
            field: String::new(),
            problem: Box::new(Problem::Unreadable(error)),
        })?;
        Self::from_str_at(path, &text)
    }

    /// Checks the text of a cluster.ron; `path` is for errors and for the key file beside it.
    ///
    /// # Errors
    ///
    /// As [`Cluster::load`].
    pub fn from_str_at(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let positions = Positions::of(text);
        let settings = ron_options()
            .from_str::<Settings>(text)
            .map_err(|error| unreadable(path, text, &positions, error))?;
        check::cluster(path, &positions, settings)
    }

    /// The group at this place of the file, from 0.
    #[must_use]
    pub fn group(&self, place: usize) -> Option<&Group> {
        self.groups.get(place)
    }

    /// The group of this name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Place of the group, and the member, that has `address` as data or admin address.
    #[must_use]
    pub fn member_at(&self, address: SocketAddr) -> Option<(usize, &Member)> {
        self.groups.iter().enumerate().find_map(|(place, group)| {
            let has = |member: &&Member| member.data == address || member.admin == address;
            group.members.iter().find(has).map(|member| (place, member))
        })
    }

    /// Where the key file is; `None` without a key.
    #[must_use]
    pub fn key_path(&self) -> Option<PathBuf> {
        let directory = self.file.parent().unwrap_or(Path::new(""));
        self.key_file.as_ref().map(|key| directory.join(key))
    }

    /// Reads the key file, when there is one, with a warning when others may read it too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the key file.
    pub fn load_key(&self) -> Result<Option<(ClusterKey, Option<Warning>)>, ConfigError> {
        let Some(path) = self.key_path() else { return Ok(None) };
        match ClusterKey::load(&path) {
            Ok((key, open)) => {
                Ok(Some((key, open.map(|mode| Warning::KeyReadable { path, mode }))))
            }
            Err(error) => Err(ConfigError {
                file: self.file.clone(),
                position: None,
                field: "key_file".to_owned(),
                problem: Box::new(Problem::Key { path, error }),
            }),
        }
    }

    /// The effective configuration: a cluster.ron with every default filled in, which reads back as this cluster.
    #[must_use]
    pub fn to_ron(&self) -> String {
        Settings::from(self).to_ron()
    }
}

/// What ron cannot read, with the field where it stands.
fn unreadable(path: &Path, text: &str, positions: &Positions, error: SpannedError) -> ConfigError {
    let found = Position { line: error.span.start.line, column: error.span.start.col };
    let position = position::after_blanks(text, found);
    let place = positions.path_at(position);
    let within = |name: &str| {
        let parent = match error.code {
            // ron has read to the end of the last field before it misses one.
            ron::Error::MissingStructField { .. } => position::parent(place),
            _ => place,
        };
        if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
    };
    let (field, problem) = match &error.code {
        ron::Error::NoSuchStructField { expected, found, .. } => {
            (within(found), Problem::UnknownField { known: expected })
        }
        ron::Error::DuplicateStructField { field, .. } => (within(field), Problem::Twice),
        ron::Error::MissingStructField { field, .. } => {
            (within(field), Problem::Missing { remedy: "add it" })
        }
        _ => (place.to_owned(), Problem::Syntax(error.code)),
    };
    // A field that is not there stands where its parent does.
    let missing = matches!(problem, Problem::Missing { .. });
    let position = if missing { positions.find(&field) } else { position };
    ConfigError {
        file: path.to_owned(),
        position: Some(position),
        field,
        problem: Box::new(problem),
    }
}

impl Group {
    /// The member with this id.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }
}

impl From<&Cluster> for Settings {
    fn from(cluster: &Cluster) -> Self {
        Self {
            name: cluster.name.clone(),
            key_file: cluster.key_file.clone(),
            groups: cluster.groups.iter().map(GroupSettings::from).collect(),
        }
    }
}

impl From<&Group> for GroupSettings {
    fn from(group: &Group) -> Self {
        let NodeConfig { resources, threads, idle, cores, dpdk, audit, trace_events } = &group.node;
        let member = |member: &Member| MemberSettings {
            id: member.id.number().into(),
            data: member.data.to_string(),
            admin: member.admin.to_string(),
        };
        Self {
            name: group.name.clone(),
            mode: words::MODES.name(group.mode),
            multicast: group.multicast.map(|address| address.to_string()),
            service: Name(group.service.clone()),
            replier: words::REPLIERS.name(group.replier),
            bound: group.bound.into(),
            members: group.members.iter().map(member).collect(),
            limits: LimitSettings::from(&group.limits),
            timing: TimingSettings {
                heartbeat: Span(group.timing.heartbeat),
                election_min: Span(group.timing.election_min),
                election_max: Span(group.timing.election_max),
            },
            durability: words::DURABILITIES.name(group.durability),
            resources: ResourceSettings::from(resources),
            threads: words::THREADS.name(*threads),
            idle: words::IDLES.name(*idle),
            cores: (!cores.is_empty()).then(|| cores.iter().map(|&core| core as u64).collect()),
            dpdk: DpdkSettings::from(dpdk),
            audit: *audit,
            trace: TraceSettings { events: *trace_events as u64 },
        }
    }
}

impl From<&Dpdk> for DpdkSettings {
    fn from(dpdk: &Dpdk) -> Self {
        Self {
            prefix: dpdk.prefix.into(),
            gateway: dpdk.gateway.map(|gateway| gateway.to_string()),
            vlan: dpdk.vlan.map(u64::from),
            mtu: dpdk.mtu.into(),
            receive_descriptors: dpdk.receive_descriptors.into(),
            transmit_descriptors: dpdk.transmit_descriptors.into(),
        }
    }
}

impl From<&Resources> for ResourceSettings {
    fn from(resources: &Resources) -> Self {
        let bytes = |bytes: usize| Size(bytes as u64);
        Self {
            log_entries: resources.log_entries as u64,
            log_reserve: resources.log_reserve as u64,
            body_bytes: bytes(resources.body_bytes),
            unordered_max: resources.unordered_max as u64,
            unordered_bytes: bytes(resources.unordered_bytes),
            in_system_max: resources.in_system_max as u64,
            parked_max: resources.parked_max as u64,
            reassembly_ttl: Span(resources.reassembly_ttl),
            reassembly_max: resources.reassembly_max as u64,
            reassembly_bytes: bytes(resources.reassembly_bytes),
            kept_replies_bytes: bytes(resources.kept_replies_bytes),
            receive_buffer: bytes(resources.receive_buffer),
            send_buffer: bytes(resources.send_buffer),
        }
    }
}
