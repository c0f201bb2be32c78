//! From [`Settings`] to [`Cluster`]: every bound, in the order of the file.
//!
//! The first thing wrong is reported. A field that the file leaves out is reported at its parent's place.

use core::net::{Ipv4Addr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;
use std::path::Path;

use hovercraft::limits::{LimitBound, LimitError, Limits};
use raft_core::ids::NodeId;

use crate::bounds::{Check, PLAIN, Remedies};
use crate::cluster::{
    Cluster, Dpdk, Durability, Group, Member, Mode, NodeConfig, Resources, Threads, Timing,
};
use crate::error::{Bound, ConfigError, Problem, Warning};
use crate::position::Positions;
use crate::quantity::{Quantity, Size};
use crate::settings::{
    DpdkSettings, GroupSettings, LimitSettings, MemberSettings, Name, ResourceSettings, Settings,
    TimingSettings,
};
use crate::words::{DURABILITIES, IDLES, MODES, REPLIERS, THREADS};

/// No memory is larger than this.
const TIB: u64 = 1 << 40;

/// A socket's buffer: 64 KiB to 1 GiB.
const BUFFER: RangeInclusive<u64> = 1 << 16..=1 << 30;

/// Descriptors of a device's queue.
const QUEUE: RangeInclusive<u64> = 64..=16_384;

/// Bytes of an IP packet: from what the largest packet between nodes needs, to jumbo frames.
const MTU: RangeInclusive<u64> = hovercraft::wire::PACKET_MAX as u64 + 28..=9_000;

const MTU_REMEDIES: Remedies =
    ["packets between nodes are so large; raise it, on the switches too", "lower it"];

const VLAN: Remedies = ["leave it out for frames without a tag", "a VLAN's number has 12 bits"];

/// Largest number of a core.
const CORE_MAX: u64 = 1_023;

/// Checks a whole file.
pub(crate) fn cluster(
    file: &Path,
    positions: &Positions,
    settings: Settings,
) -> Result<Cluster, ConfigError> {
    let check = Check { file, positions };
    let Settings { name, key_file, groups } = settings;
    check.label("name", &name)?;
    let mut warnings = Vec::new();
    match key_file.as_deref() {
        None => warnings.push(Warning::NoKey),
        Some("") => {
            let remedy = "name a file, or leave the field out to run without authentication";
            return Err(check.error("key_file", Problem::Missing { remedy }));
        }
        Some(_) => {}
    }
    if groups.is_empty() {
        let remedy = "give at least one group with its members";
        return Err(check.error("groups", Problem::Missing { remedy }));
    }
    let mut taken = Taken::default();
    let mut checked = Vec::with_capacity(groups.len());
    for (place, group) in groups.into_iter().enumerate() {
        let group = check.group(&format!("groups[{place}]"), group, &mut taken)?;
        let members = group.members.len();
        if group.mode != Mode::Unreplicated && members.is_multiple_of(2) {
            warnings.push(Warning::EvenMembers { group: group.name.clone(), members });
        }
        checked.push(group);
    }
    Ok(Cluster { file: file.to_owned(), name, key_file, groups: checked, warnings })
}

/// What must differ across the file, with the field where it stands first.
#[derive(Default)]
struct Taken {
    names: Vec<(String, String)>,
    data: Vec<(SocketAddr, String)>,
    admin: Vec<(SocketAddr, String)>,
}

impl Check<'_> {
    fn group(
        &self,
        base: &str,
        settings: GroupSettings,
        taken: &mut Taken,
    ) -> Result<Group, ConfigError> {
        let name = settings.name;
        self.label(&format!("{base}.name"), &name)?;
        let remedy = "give each group a name of its own";
        self.differs(&format!("{base}.name"), name.clone(), &mut taken.names, remedy)?;
        let mode = self.mode(&format!("{base}.mode"), &settings.mode)?;
        let multicast = self.multicast(base, mode, settings.multicast.as_deref(), taken)?;
        self.label(&format!("{base}.service"), &settings.service.0)?;
        let replier = self.choice(&format!("{base}.replier"), &settings.replier, &REPLIERS)?;
        let limits = self.limits(&format!("{base}.limits"), &settings.limits)?;
        let resources =
            self.resources(&format!("{base}.resources"), &settings.resources, &limits)?;
        // HC4 and HC12: what a replier may be behind must fit into the log beside the reserve.
        let room = (resources.log_entries - resources.log_reserve) as u64;
        let remedies = ["raise it", "lower it, or raise resources.log_entries"];
        let bounds = 1..=room.min(65_536);
        let bound = self.count(&format!("{base}.bound"), settings.bound, bounds, remedies)?;
        let members = self.members(base, mode, multicast, settings.members, taken)?;
        let timing = self.timing(&format!("{base}.timing"), &settings.timing)?;
        let durability = self.durability(&format!("{base}.durability"), &settings.durability)?;
        let threads = self.choice(&format!("{base}.threads"), &settings.threads, &THREADS)?;
        let idle = self.choice(&format!("{base}.idle"), &settings.idle, &IDLES)?;
        let cores = self.cores(&format!("{base}.cores"), threads, settings.cores)?;
        let dpdk = self.dpdk(&format!("{base}.dpdk"), &settings.dpdk)?;
        let events = format!("{base}.trace.events");
        let trace_events = self.count(&events, settings.trace.events, 0..=1 << 20, PLAIN)?;
        let audit = settings.audit;
        let node = NodeConfig { resources, threads, idle, cores, dpdk, audit, trace_events };
        let service = settings.service.0;
        Ok(Group {
            name,
            mode,
            multicast,
            service,
            replier,
            bound,
            members,
            limits,
            timing,
            durability,
            node,
        })
    }

    fn mode(&self, field: &str, name: &Name) -> Result<Mode, ConfigError> {
        if matches!(name.0.as_str(), "hovercraft++" | "hovercraft_plus") {
            let remedy = "it needs a switch, which this version does not have; choose hovercraft";
            return Err(self.error(field, Problem::NotServed { found: name.to_string(), remedy }));
        }
        self.choice(field, name, &MODES)
    }

    fn durability(&self, field: &str, name: &Name) -> Result<Durability, ConfigError> {
        if matches!(name.0.as_str(), "disk" | "fsync" | "wal" | "file") {
            let remedy = "this version keeps its log in memory only; choose memory";
            return Err(self.error(field, Problem::NotServed { found: name.to_string(), remedy }));
        }
        self.choice(field, name, &DURABILITIES)
    }

    fn multicast(
        &self,
        base: &str,
        mode: Mode,
        text: Option<&str>,
        taken: &mut Taken,
    ) -> Result<Option<SocketAddr>, ConfigError> {
        let field = &format!("{base}.multicast");
        let Some(text) = text else {
            if mode == Mode::Hovercraft {
                let remedy = "mode hovercraft needs a group address, like \"239.255.71.1:8000\"";
                return Err(self.error(field, Problem::Missing { remedy }));
            }
            return Ok(None);
        };
        let found = self.address(field, text)?;
        if !found.ip().is_multicast() {
            let remedy = "it is no multicast address; take one of 239.0.0.0/8";
            return Err(self.error(field, Problem::Address { found, remedy }));
        }
        let remedy = "give each group an address or port of its own";
        self.differs(field, found, &mut taken.data, remedy)?;
        Ok(Some(found))
    }

    fn members(
        &self,
        base: &str,
        mode: Mode,
        multicast: Option<SocketAddr>,
        settings: Vec<MemberSettings>,
        taken: &mut Taken,
    ) -> Result<Vec<Member>, ConfigError> {
        let field = &format!("{base}.members");
        let count = settings.len() as u64;
        if count == 0 {
            let remedy = "list the first members, as (id: 1, data: \"10.71.0.1:8000\", admin: \"10.71.0.1:9000\")";
            return Err(self.error(field, Problem::Missing { remedy }));
        }
        let found = Quantity::Count(count);
        if mode == Mode::Unreplicated && count != 1 {
            let bound = Bound::Exactly(Quantity::Count(1));
            let remedy = "mode unreplicated is one server; take the other members out";
            return Err(self.error(field, Problem::Bound { found, bound, remedy }));
        }
        let mut ids: Vec<(u64, String)> = Vec::new();
        let mut family = multicast.map(|address| address.is_ipv4());
        let mut members = Vec::with_capacity(settings.len());
        for (place, member) in settings.iter().enumerate() {
            let base = format!("{field}[{place}]");
            let member = self.member(&base, member, &mut ids, taken)?;
            if *family.get_or_insert(member.data.is_ipv4()) != member.data.is_ipv4() {
                let found = member.data;
                let remedy =
                    "all data addresses of a group and its multicast address must be of one family";
                return Err(self.error(&format!("{base}.data"), Problem::Address { found, remedy }));
            }
            members.push(member);
        }
        members.sort_by_key(|member| member.id);
        Ok(members)
    }

    fn member(
        &self,
        base: &str,
        settings: &MemberSettings,
        ids: &mut Vec<(u64, String)>,
        taken: &mut Taken,
    ) -> Result<Member, ConfigError> {
        let field = format!("{base}.id");
        let last = u64::from(NodeId::MAX_NODES) - 1;
        let remedy = "give each member a number from 1 to 15";
        let bound = Bound::Within(Quantity::Count(1), Quantity::Count(last));
        let found = Quantity::Count(settings.id);
        let id = u8::try_from(settings.id).ok().filter(|&id| id > 0).and_then(NodeId::new);
        let id = id.ok_or_else(|| self.error(&field, Problem::Bound { found, bound, remedy }))?;
        self.differs(&field, settings.id, ids, "give each member an id of its own")?;
        let data = self.host(&format!("{base}.data"), &settings.data, &mut taken.data)?;
        let admin = self.host(&format!("{base}.admin"), &settings.admin, &mut taken.admin)?;
        Ok(Member { id, data, admin })
    }

    /// An address that one host has, and no other member.
    fn host(
        &self,
        field: &str,
        text: &str,
        taken: &mut Vec<(SocketAddr, String)>,
    ) -> Result<SocketAddr, ConfigError> {
        let found = self.address(field, text)?;
        let refused = |remedy| Err(self.error(field, Problem::Address { found, remedy }));
        if found.ip().is_multicast() {
            return refused("it is a group's address; give the member's own");
        }
        if found.ip().is_unspecified() {
            return refused("others cannot reach it; give the address by which they do");
        }
        self.differs(field, found, taken, "give each member an address or port of its own")?;
        Ok(found)
    }

    fn limits(&self, base: &str, settings: &LimitSettings) -> Result<Limits, ConfigError> {
        let all = 0..=u64::from(u32::MAX);
        let count = |name, value| self.count(&format!("{base}.{name}"), value, all.clone(), PLAIN);
        let bytes = |name, size| self.bytes(&format!("{base}.{name}"), size, all.clone(), PLAIN);
        let limits = Limits {
            unordered_expiry: settings.unordered_expiry.0,
            packet_life: settings.packet_life.0,
            answer_ttl: settings.answer_ttl.0,
            plain_window: settings.plain_window.0,
            session_expiry: settings.session_expiry.0,
            plain_ids_max: count("plain_ids_max", settings.plain_ids_max)?,
            sessions_max: count("sessions_max", settings.sessions_max)?,
            session_window: count("session_window", settings.session_window)?,
            reply_keep_max: bytes("reply_keep_max", settings.reply_keep_max)?,
            request_max: bytes("request_max", settings.request_max)?,
            reply_max: bytes("reply_max", settings.reply_max)?,
            replies_bytes_max: settings.replies_bytes_max.0,
        };
        limits.check().map_err(|error| {
            // Some bounds are of two fields together; the first is where to look.
            let first = error.field.split(' ').next().unwrap_or_default();
            let position = self.positions.find(&format!("{base}.{first}"));
            let field = format!("{base}.{}", error.field);
            let wrong = self.error(&field, limit_problem(&error, &limits));
            ConfigError { position: Some(position), ..wrong }
        })?;
        Ok(limits)
    }

    fn timing(&self, base: &str, settings: &TimingSettings) -> Result<Timing, ConfigError> {
        let ms = Duration::from_millis;
        let (field, longest) = (|name| format!("{base}.{name}"), ms(60_000));
        let heartbeat =
            self.time(&field("heartbeat"), settings.heartbeat, ms(1)..=ms(10_000), PLAIN)?;
        let remedies = ["raise it to three heartbeats, or lower heartbeat", "lower it"];
        let bounds = heartbeat * 3..=longest;
        let election_min =
            self.time(&field("election_min"), settings.election_min, bounds, remedies)?;
        let remedies = ["raise it to 1.25 times election_min, so that nodes differ", "lower it"];
        let bounds = election_min + election_min / 4..=2 * longest;
        let election_max =
            self.time(&field("election_max"), settings.election_max, bounds, remedies)?;
        Ok(Timing { heartbeat, election_min, election_max })
    }

    fn resources(
        &self,
        base: &str,
        settings: &ResourceSettings,
        limits: &Limits,
    ) -> Result<Resources, ConfigError> {
        let count = |name: &str, value: u64, bounds: RangeInclusive<u64>, remedies: Remedies| {
            self.count::<usize>(&format!("{base}.{name}"), value, bounds, remedies)
        };
        let bytes = |name: &str, size: Size, bounds: RangeInclusive<u64>, remedies: Remedies| {
            self.bytes::<usize>(&format!("{base}.{name}"), size, bounds, remedies)
        };
        let (body, reply) = (u64::from(limits.request_max), u64::from(limits.reply_max));
        let log_entries = count("log_entries", settings.log_entries, 1_024..=1 << 24, PLAIN)?;
        let remedies = ["raise it", "lower it, or raise log_entries, of which it may be half"];
        let half = log_entries as u64 / 2;
        let log_reserve = count("log_reserve", settings.log_reserve, 16..=half, remedies)?;
        let room = (log_entries - log_reserve) as u64;
        let room_remedies = ["raise it", "lower it, or raise log_entries"];
        let longest = limits.unordered_expiry;
        let reassembly_ttl = self.time(
            &format!("{base}.reassembly_ttl"),
            settings.reassembly_ttl,
            Duration::from_millis(1)..=longest,
            ["raise it", "lower it to limits.unordered_expiry"],
        )?;
        let body_remedies = ["raise it, or lower limits.request_max", "lower it"];
        let in_system = settings.in_system_max;
        let (kept, reply_remedies) =
            (settings.kept_replies_bytes, ["raise it, or lower limits.reply_max", "lower it"]);
        Ok(Resources {
            log_entries,
            log_reserve,
            body_bytes: bytes("body_bytes", settings.body_bytes, 2 * body..=TIB, body_remedies)?,
            unordered_max: count("unordered_max", settings.unordered_max, 1..=1 << 20, PLAIN)?,
            unordered_bytes: bytes(
                "unordered_bytes",
                settings.unordered_bytes,
                body..=TIB,
                body_remedies,
            )?,
            in_system_max: count("in_system_max", in_system, 1..=room, room_remedies)?,
            parked_max: count("parked_max", settings.parked_max, 1..=65_536, PLAIN)?,
            reassembly_ttl,
            reassembly_max: count("reassembly_max", settings.reassembly_max, 1..=1 << 20, PLAIN)?,
            reassembly_bytes: bytes(
                "reassembly_bytes",
                settings.reassembly_bytes,
                body..=TIB,
                body_remedies,
            )?,
            kept_replies_bytes: bytes("kept_replies_bytes", kept, reply..=TIB, reply_remedies)?,
            receive_buffer: bytes("receive_buffer", settings.receive_buffer, BUFFER, PLAIN)?,
            send_buffer: bytes("send_buffer", settings.send_buffer, BUFFER, PLAIN)?,
        })
    }

    fn cores(
        &self,
        field: &str,
        threads: Threads,
        cores: Option<Vec<u64>>,
    ) -> Result<Vec<usize>, ConfigError> {
        let Some(cores) = cores else { return Ok(Vec::new()) };
        let (wanted, remedy) = match threads {
            Threads::Split => (2, "threads: split runs two threads; name a core for each"),
            Threads::Inline => (1, "threads: inline runs one thread; name its core"),
        };
        if cores.len() != wanted {
            let found = Quantity::Count(cores.len() as u64);
            let bound = Bound::Exactly(Quantity::Count(wanted as u64));
            return Err(self.error(field, Problem::Bound { found, bound, remedy }));
        }
        let mut checked = Vec::new();
        for (place, &core) in cores.iter().enumerate() {
            checked.push(self.count(&format!("{field}[{place}]"), core, 0..=CORE_MAX, PLAIN)?);
        }
        Ok(checked)
    }

    fn dpdk(&self, base: &str, settings: &DpdkSettings) -> Result<Dpdk, ConfigError> {
        let field = |name| format!("{base}.{name}");
        let gateway = match settings.gateway.as_deref() {
            None => None,
            Some(text) => {
                let host = text.parse().ok().filter(|ip: &Ipv4Addr| {
                    !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
                });
                let no_host = || Problem::NoGateway { found: text.to_owned() };
                Some(host.ok_or_else(|| self.error(&field("gateway"), no_host()))?)
            }
        };
        let vlan = settings.vlan;
        let vlan =
            vlan.map(|vlan| self.count(&field("vlan"), vlan, 1..=4_094, VLAN)).transpose()?;
        let queue = |name, count| self.count(&field(name), count, QUEUE, PLAIN);
        Ok(Dpdk {
            prefix: self.count(&field("prefix"), settings.prefix, 1..=32, PLAIN)?,
            gateway,
            vlan,
            mtu: self.count(&field("mtu"), settings.mtu, MTU, MTU_REMEDIES)?,
            receive_descriptors: queue("receive_descriptors", settings.receive_descriptors)?,
            transmit_descriptors: queue("transmit_descriptors", settings.transmit_descriptors)?,
        })
    }
}

/// A limit's own error in the units of the file.
fn limit_problem(error: &LimitError, limits: &Limits) -> Problem {
    // The limits' own check speaks of durations in milliseconds.
    let time = match error.field {
        "unordered_expiry" => Some(limits.unordered_expiry),
        "packet_life" => Some(limits.packet_life),
        "answer_ttl" => Some(limits.answer_ttl),
        "plain_window" => Some(limits.plain_window),
        "session_expiry" => Some(limits.session_expiry),
        _ => None,
    };
    let printed = |value: u64| match (time, error.field) {
        (Some(_), _) => Quantity::Time(Duration::from_millis(value)),
        (None, "reply_keep_max" | "request_max" | "reply_max" | "replies_bytes_max") => {
            Quantity::Bytes(value)
        }
        (None, _) => Quantity::Count(value),
    };
    let found = time.map_or(printed(error.value), Quantity::Time);
    let bound = match error.bound {
        LimitBound::AtLeast(bound) => Bound::AtLeast(printed(bound)),
        LimitBound::AtMost(bound) => Bound::AtMost(printed(bound)),
    };
    Problem::Bound { found, bound, remedy: error.remedy }
}
