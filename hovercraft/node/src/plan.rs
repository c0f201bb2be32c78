//! Which member of a checked cluster.ron this node is, and what it is started with.
//!
//! The file has been checked by `hovercraft-config`; what can still be wrong here is which member this is, and bounds of
//! the layers below that the file does not know.

use core::net::{IpAddr, SocketAddr};
use std::net::UdpSocket;
use std::path::PathBuf;

use dataplane::udp::UdpConfig;
use hovercraft::application::ApplicationSettings;
use hovercraft::replica;
use hovercraft::wire::configuration::NAME_MAX;
use hovercraft_config::{Cluster, ConfigError, Group, Member, Threads, Warning};
use raft_core::config::{Config as RaftConfig, ConfigError as RaftError};
use thiserror::Error;

use crate::settings;

/// Everything that a node is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The whole file.
    pub cluster: Cluster,
    /// This node's group.
    pub group: Group,
    /// This node.
    pub member: Member,
    /// What the operator should hear.
    pub warnings: Vec<Warning>,
    pub(crate) replica: replica::Settings,
    pub(crate) application: ApplicationSettings,
    pub(crate) udp: UdpConfig,
    pub(crate) dpdk: Option<DpdkOptions>,
}

/// Where a node on DPDK finds its port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DpdkOptions {
    /// The EAL's arguments, without a program's name.
    pub eal: Vec<String>,
    /// The Ethernet port: its number, or its device's name.
    pub port: String,
    /// Where to write the frames that go in and out, and how many bytes at most.
    pub pcap: Option<(PathBuf, u64)>,
}

/// Why a file and a command line make no node.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The file, or the key file that it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No member of that number.
    #[error("--id {id}: no member of {place} has this id; it has {known}")]
    NoSuchMember {
        /// What was asked for.
        id: u8,
        /// The group, or the file.
        place: String,
        /// The ids that are there.
        known: String,
    },
    /// No group of that name.
    #[error("--group {name}: no group has this name; there are {known}")]
    NoSuchGroup {
        /// What was asked for.
        name: String,
        /// The names that are there.
        known: String,
    },
    /// None, or several, of the members have an address of this machine.
    #[error("{} members have an address of this machine: say which one this is with --id and --group", if *.found == 0 { "no".to_owned() } else { .found.to_string() })]
    WhoAmI {
        /// How many have.
        found: usize,
    },
    /// Several groups have a member of this number.
    #[error("--id {id}: groups {groups} have a member of this id; say which with --group")]
    WhichGroup {
        /// What was asked for.
        id: u8,
        /// Those groups.
        groups: String,
    },
    /// A name that does not fit a configuration of the log.
    #[error("{file}: name = {name:?}: must be at most {NAME_MAX} bytes; shorten it")]
    Name {
        /// The file.
        file: String,
        /// The cluster's name.
        name: String,
    },
    /// A service that this program does not have.
    #[error("{file}: group {group}: service = {service}: this program has {known}")]
    Service {
        /// The file.
        file: String,
        /// The group's name.
        group: String,
        /// What was asked for.
        service: String,
        /// What there is.
        known: String,
    },
    /// Timing or log outside what consensus allows.
    #[error("{file}: group {group}: {error}")]
    Raft {
        /// The file.
        file: String,
        /// The group's name.
        group: String,
        /// What is wrong.
        error: RaftError,
    },
}

impl Plan {
    /// What the member `id` of the group called `group` is started with. Without an id the node finds itself by its
    /// addresses. Draws a new incarnation: one plan is for one life.
    ///
    /// # Errors
    ///
    /// [`PlanError`]: nobody, or several, could be meant; the key file; bounds of the layers below.
    pub fn new(cluster: Cluster, group: Option<&str>, id: Option<u8>) -> Result<Self, PlanError> {
        let (place, member) = find(&cluster, group, id)?;
        let group = cluster.groups[place].clone();
        let warnings = check(&cluster)?;
        let key = cluster.load_key()?.map(|(key, _)| *key.bytes());
        let raft = raft(&cluster, &group)?;
        Ok(Self {
            replica: settings::replica(&cluster, &group, member, key, raft),
            application: settings::application(&group),
            udp: settings::udp(&group, member),
            dpdk: None,
            cluster,
            group,
            member,
            warnings,
        })
    }

    /// The same on DPDK instead of kernel UDP.
    #[must_use]
    pub fn on_dpdk(self, options: DpdkOptions) -> Self {
        Self { dpdk: Some(options), ..self }
    }

    /// This life of the node's memory.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.replica.incarnation.to_wire()
    }

    /// What the network half is made with.
    #[must_use]
    pub fn replica(&self) -> &replica::Settings {
        &self.replica
    }

    /// What the application half is made with.
    #[must_use]
    pub fn application(&self) -> &ApplicationSettings {
        &self.application
    }

    /// Whether one thread runs both halves.
    pub(crate) fn is_inline(&self) -> bool {
        self.group.node.threads == Threads::Inline
    }
}

/// What the layers below would refuse, whichever member this is; returns what the operator should hear.
pub(crate) fn check(cluster: &Cluster) -> Result<Vec<Warning>, PlanError> {
    if cluster.name.len() > NAME_MAX {
        let file = cluster.file.display().to_string();
        return Err(PlanError::Name { file, name: cluster.name.clone() });
    }
    for group in &cluster.groups {
        raft(cluster, group)?;
    }
    let mut warnings = cluster.warnings.clone();
    warnings.extend(cluster.load_key()?.and_then(|(_, warning)| warning));
    Ok(warnings)
}

fn raft(cluster: &Cluster, group: &Group) -> Result<RaftConfig, PlanError> {
    settings::raft(group).map_err(|error| PlanError::Raft {
        file: cluster.file.display().to_string(),
        group: group.name.clone(),
        error,
    })
}

/// Which member this is, and the place of its group.
fn find(
    cluster: &Cluster,
    group: Option<&str>,
    id: Option<u8>,
) -> Result<(usize, Member), PlanError> {
    if let Some(name) = group.filter(|name| cluster.group_named(name).is_none()) {
        let known = list(cluster.groups.iter().map(|group| group.name.clone()));
        return Err(PlanError::NoSuchGroup { name: name.to_owned(), known });
    }
    let groups = cluster.groups.iter().enumerate();
    let groups = groups.filter(|(_, known)| group.is_none_or(|name| known.name == name));
    let members = groups.flat_map(|(place, group)| group.members.iter().map(move |&m| (place, m)));
    let members: Vec<(usize, Member)> = members.collect();
    let is_meant = |member: &Member| match id {
        Some(id) => member.id.number() == id,
        None => is_of_this_machine(member.data.ip()),
    };
    let meant = members.iter().filter(|(_, member)| is_meant(member)).copied();
    let meant: Vec<(usize, Member)> = meant.collect();
    match (meant.as_slice(), id) {
        (&[one], _) => Ok(one),
        (found, None) => Err(PlanError::WhoAmI { found: found.len() }),
        ([], Some(id)) => Err(PlanError::NoSuchMember {
            id,
            place: group.map_or_else(|| "the file".to_owned(), |name| format!("group {name}")),
            known: list(members.iter().map(|(_, member)| member.id.number().to_string())),
        }),
        (several, Some(id)) => Err(PlanError::WhichGroup {
            id,
            groups: list(several.iter().map(|&(place, _)| cluster.groups[place].name.clone())),
        }),
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Whether the system lets us bind the address: then an interface has it, or it is a loopback one.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

#[cfg(test)]
mod tests;
