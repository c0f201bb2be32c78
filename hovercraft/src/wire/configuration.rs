//! A configuration as bytes: in appends, in reports, on disk.
//!
//! ```text
//! version 1 · epoch 8 · voters · outgoing · learners: each a count 1, then id 1 and incarnation 8 for each
//! addresses: count 1, then for each: id 1, data IP 16 and port 2, admin IP 16 and port 2
//! cluster's name: length 1, then UTF-8 · wrapped hash key 16
//! limits: unordered expiry, packet life, answer ttl, plain window, session expiry: u64 each, microseconds;
//!         plain ids, sessions, session window, kept reply, request, reply: u32 each; bytes of kept replies: u64
//! ```
//!
//! Invariants:
//! - G1. What [`decode`] returns, [`encode`] writes the same way; it has an address for every member and limits that hold.
//! - G2. The longest is [`CONFIGURATION_MAX`] bytes: it fits an append with its own entry and one before it.

use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;

use r2p2::request_id::ClientAddress;
use raft_core::entry::Configuration;
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId};
use thiserror::Error;

use super::{HEAD_LEN, MAC_LEN, NUMBER_MAX, PACKET_MAX};
use crate::entry::ENTRY_LEN;
use crate::limits::{LimitError, Limits};

/// Longest name of a cluster, in bytes.
pub const NAME_MAX: usize = 32;

/// Longest encoded configuration, in bytes: three full lists of members, their addresses, name, key, limits.
pub const CONFIGURATION_MAX: usize =
    1 + 8 + 3 * (1 + 16 * 9) + (1 + 16 * 37) + (1 + NAME_MAX) + 16 + 72;

const _: () = assert!(HEAD_LEN + 2 * ENTRY_LEN + 2 + CONFIGURATION_MAX + MAC_LEN <= PACKET_MAX);

const VERSION: u8 = 1;

/// What the replica keeps in a configuration besides its members.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct GroupConfig {
    /// Limits that decide at apply (HC7a).
    pub limits: Limits,
    /// Where the members are, ascending by id.
    pub addresses: Vec<MemberAddress>,
    /// The cluster's name, at most [`NAME_MAX`] bytes.
    pub name: String,
    /// The key of the hashes of bodies under the cluster key (HC6b); see [`super::BodyHashKey::unwrap`].
    pub wrapped_hash_key: [u8; 16],
}

/// Where one member is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MemberAddress {
    /// Who.
    pub id: NodeId,
    /// Of its dataplane.
    pub data: SocketAddr,
    /// Of its admin port (kernel TCP).
    pub admin: SocketAddr,
}

/// Why bytes are no configuration.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ConfigurationError {
    /// They end too early, or something follows.
    #[error("a configuration does not end where these bytes end")]
    Length,
    /// Another version of the layout.
    #[error("version {0} of a configuration: this node speaks {VERSION}")]
    Version(u8),
    /// Members or addresses: ids out of range, twice or out of order, no voter, or a member without an address.
    #[error("the lists of members do not hold together")]
    Members,
    /// A name that is too long or not UTF-8.
    #[error("the cluster's name must be UTF-8 of at most {NAME_MAX} bytes")]
    Name,
    /// Limits that break HC7.
    #[error(transparent)]
    Limits(#[from] LimitError),
}

/// Appends the bytes of `configuration` to `out`.
///
/// # Errors
///
/// [`ConfigurationError`] for a configuration that [`decode`] would refuse: it must not come to stand in a log.
pub fn encode(
    configuration: &Configuration<GroupConfig>,
    out: &mut Vec<u8>,
) -> Result<(), ConfigurationError> {
    check(configuration)?;
    out.push(VERSION);
    out.extend(configuration.epoch.to_wire().to_be_bytes());
    for list in [&configuration.voters, &configuration.outgoing, &configuration.learners] {
        put_count(out, list.len());
        for member in list {
            out.push(member.id.number());
            out.extend(member.incarnation.to_wire().to_be_bytes());
        }
    }
    let data = &configuration.data;
    put_count(out, data.addresses.len());
    for address in &data.addresses {
        out.push(address.id.number());
        for socket in [address.data, address.admin] {
            let ClientAddress { ip, port } = socket.into();
            out.extend(ip);
            out.extend(port.to_be_bytes());
        }
    }
    put_count(out, data.name.len());
    out.extend(data.name.as_bytes());
    out.extend(data.wrapped_hash_key);
    put_limits(out, &data.limits);
    Ok(())
}

/// Reads a configuration; `bytes` hold it and nothing else.
///
/// # Errors
///
/// [`ConfigurationError`] names the first thing wrong.
pub fn decode(bytes: &[u8]) -> Result<Configuration<GroupConfig>, ConfigurationError> {
    let mut reader = Reader { bytes };
    let version = reader.byte()?;
    if version != VERSION {
        return Err(ConfigurationError::Version(version));
    }
    let epoch = LogIndex::from_wire(reader.u64()?);
    let voters = reader.members()?;
    let outgoing = reader.members()?;
    let learners = reader.members()?;
    let mut addresses = Vec::new();
    for _ in 0..reader.count()? {
        let id = reader.id()?;
        addresses.push(MemberAddress { id, data: reader.socket()?, admin: reader.socket()? });
    }
    let name = reader.name()?;
    let wrapped_hash_key = *reader.chunk()?;
    let limits = reader.limits()?;
    if !reader.bytes.is_empty() {
        return Err(ConfigurationError::Length);
    }
    let data = GroupConfig { limits, addresses, name, wrapped_hash_key };
    let configuration = Configuration { epoch, voters, outgoing, learners, data };
    check(&configuration)?;
    Ok(configuration)
}

/// G1.
fn check(configuration: &Configuration<GroupConfig>) -> Result<(), ConfigurationError> {
    let Configuration { epoch, voters, outgoing, learners, data } = configuration;
    let ascending = |list: &[Member]| list.is_sorted_by(|a, b| a.id < b.id);
    let addresses = &data.addresses;
    let addressed = |member: &Member| addresses.iter().any(|address| address.id == member.id);
    let canonical = |address: SocketAddr| ClientAddress::from(address).socket() == address;
    let holds = !voters.is_empty()
        && epoch.to_wire() < NUMBER_MAX
        && [voters, outgoing, learners].into_iter().all(|list| ascending(list))
        && [voters, outgoing, learners].into_iter().flatten().all(addressed)
        && addresses.is_sorted_by(|a, b| a.id < b.id)
        && addresses.iter().all(|address| canonical(address.data) && canonical(address.admin));
    if !holds {
        return Err(ConfigurationError::Members);
    }
    if data.name.len() > NAME_MAX {
        return Err(ConfigurationError::Name);
    }
    Ok(data.limits.check()?)
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    // Lists of at most 16 distinct ids, names of at most 32 bytes: `check` has passed.
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
}

fn put_limits(out: &mut Vec<u8>, limits: &Limits) {
    for duration in [
        limits.unordered_expiry,
        limits.packet_life,
        limits.answer_ttl,
        limits.plain_window,
        limits.session_expiry,
    ] {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        out.extend(micros.to_be_bytes());
    }
    for number in [
        limits.plain_ids_max,
        limits.sessions_max,
        limits.session_window,
        limits.reply_keep_max,
        limits.request_max,
        limits.reply_max,
    ] {
        out.extend(number.to_be_bytes());
    }
    out.extend(limits.replies_bytes_max.to_be_bytes());
}

/// Bytes not read yet.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ConfigurationError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(ConfigurationError::Length)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], ConfigurationError> {
        self.take(N)?.try_into().map_err(|_| ConfigurationError::Length)
    }

    fn byte(&mut self) -> Result<u8, ConfigurationError> {
        let [byte] = *self.chunk()?;
        Ok(byte)
    }

    fn u32(&mut self) -> Result<u32, ConfigurationError> {
        Ok(u32::from_be_bytes(*self.chunk()?))
    }

    fn u64(&mut self) -> Result<u64, ConfigurationError> {
        Ok(u64::from_be_bytes(*self.chunk()?))
    }

    /// A count of members or addresses.
    fn count(&mut self) -> Result<u8, ConfigurationError> {
        let count = self.byte()?;
        if count > NodeId::MAX_NODES { Err(ConfigurationError::Members) } else { Ok(count) }
    }

    fn id(&mut self) -> Result<NodeId, ConfigurationError> {
        NodeId::new(self.byte()?).ok_or(ConfigurationError::Members)
    }

    fn members(&mut self) -> Result<Vec<Member>, ConfigurationError> {
        let count = self.count()?;
        let mut members = Vec::with_capacity(count.into());
        for _ in 0..count {
            let id = self.id()?;
            members.push(Member { id, incarnation: Incarnation::from_wire(self.u64()?) });
        }
        Ok(members)
    }

    fn socket(&mut self) -> Result<SocketAddr, ConfigurationError> {
        let ip = Ipv6Addr::from(*self.chunk::<16>()?);
        let port = u16::from_be_bytes(*self.chunk()?);
        Ok(SocketAddr::new(ip.to_canonical(), port))
    }

    fn name(&mut self) -> Result<String, ConfigurationError> {
        let len = usize::from(self.byte()?);
        if len > NAME_MAX {
            return Err(ConfigurationError::Name);
        }
        let name = core::str::from_utf8(self.take(len)?).map_err(|_| ConfigurationError::Name)?;
        Ok(name.to_owned())
    }

    fn limits(&mut self) -> Result<Limits, ConfigurationError> {
        Ok(Limits {
            unordered_expiry: Duration::from_micros(self.u64()?),
            packet_life: Duration::from_micros(self.u64()?),
            answer_ttl: Duration::from_micros(self.u64()?),
            plain_window: Duration::from_micros(self.u64()?),
            session_expiry: Duration::from_micros(self.u64()?),
            plain_ids_max: self.u32()?,
            sessions_max: self.u32()?,
            session_window: self.u32()?,
            reply_keep_max: self.u32()?,
            request_max: self.u32()?,
            reply_max: self.u32()?,
            replies_bytes_max: self.u64()?,
        })
    }
}

#[cfg(test)]
mod tests;
