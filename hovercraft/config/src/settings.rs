//! What cluster.ron says, field by field; may be nonsense until checked.
//!
//! Every struct has its defaults in its one `Default` impl and refuses fields that it does not know. Choices are kept as
//! [`Name`]s and numbers as 64 bits, so that a wrong one is reported with its bound and not as a failure of the parser.

use core::fmt;
use core::time::Duration;

use hovercraft::limits::Limits;
use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::quantity::{Size, Span};

/// A whole cluster.ron.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What people call the cluster.
    pub name: String,
    /// File with the cluster key as 64 hex digits, relative to this file; none: messages are not authenticated (HC13).
    pub key_file: Option<String>,
    /// Replicated groups, at least one.
    pub groups: Vec<GroupSettings>,
}

/// One replicated group.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupSettings {
    /// What people call the group.
    pub name: String,
    /// `unreplicated`, `raft`, `hovercraft` or `"hovercraft++"`.
    pub mode: Name,
    /// Multicast address and port of the group; mode `hovercraft` needs one.
    pub multicast: Option<String>,
    /// Service that the nodes run: `kv`, `synthetic`, or the name that a binary of your own gives to its service.
    pub service: Name,
    /// Who answers: `jbsq`, `random` or `leader` (HC4).
    pub replier: Name,
    /// Requests that a replier may be behind before it gets no more, in entries (HC4).
    pub bound: u64,
    /// First members.
    pub members: Vec<MemberSettings>,
    /// What decides at apply: part of the replicated configuration (HC7a).
    pub limits: LimitSettings,
    /// Heartbeat and election.
    pub timing: TimingSettings,
    /// `memory`.
    pub durability: Name,
    /// Memory of a node.
    pub resources: ResourceSettings,
    /// `split`: network and application on a thread each; `inline`: both on one.
    pub threads: Name,
    /// What an empty poll does: `spin`, `yield`, `sleep`, or `auto`.
    pub idle: Name,
    /// Cores that the threads are pinned to, network first; none: not pinned.
    pub cores: Option<Vec<u64>>,
    /// What a node on DPDK must be told of its network, for the kernel does not know it there.
    pub dpdk: DpdkSettings,
    /// Whether nodes keep what the check of histories asks for (design 8).
    pub audit: bool,
    /// What nodes keep of the last steps of requests.
    pub trace: TraceSettings,
}

/// [`Dpdk`](crate::Dpdk) as written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Dpdk, documented there")]
pub struct DpdkSettings {
    pub prefix: u64,
    pub gateway: Option<String>,
    pub vlan: Option<u64>,
    pub mtu: u64,
    pub receive_descriptors: u64,
    pub transmit_descriptors: u64,
}

/// The trace of a node's threads (design 5).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// Events that each thread keeps, 64 bytes each; 0 = none.
    pub events: u64,
}

/// One member.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSettings {
    /// Its number, 1 to 15.
    pub id: u64,
    /// Address and UDP port of the data plane.
    pub data: String,
    /// Address and TCP port for administration, through the kernel.
    pub admin: String,
}

/// [`Limits`] as written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of hovercraft::limits::Limits, documented there"
)]
pub struct LimitSettings {
    pub unordered_expiry: Span,
    pub packet_life: Span,
    pub answer_ttl: Span,
    pub plain_window: Span,
    pub session_expiry: Span,
    pub plain_ids_max: u64,
    pub sessions_max: u64,
    pub session_window: u64,
    pub reply_keep_max: Size,
    pub request_max: Size,
    pub reply_max: Size,
    pub replies_bytes_max: Size,
}

/// [`Timing`](crate::Timing) as written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimingSettings {
    /// Silence after which a leader speaks.
    pub heartbeat: Span,
    /// Shortest silence after which a follower stands for election.
    pub election_min: Span,
    /// Longest one.
    pub election_max: Span,
}

/// [`Resources`](crate::Resources) as written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Resources, documented there")]
pub struct ResourceSettings {
    pub log_entries: u64,
    pub log_reserve: u64,
    pub body_bytes: Size,
    pub unordered_max: u64,
    pub unordered_bytes: Size,
    pub in_system_max: u64,
    pub parked_max: u64,
    pub reassembly_ttl: Span,
    pub reassembly_max: u64,
    pub reassembly_bytes: Size,
    pub kept_replies_bytes: Size,
    pub receive_buffer: Size,
    pub send_buffer: Size,
}

/// A word of the file, with or without quotes: `kv`, `"hovercraft++"`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Name(pub String);

impl Default for Settings {
    fn default() -> Self {
        Self { name: "hovercraft".to_owned(), key_file: None, groups: Vec::new() }
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            name: "g0".to_owned(),
            mode: "hovercraft".into(),
            multicast: None,
            service: "kv".into(),
            replier: "jbsq".into(),
            bound: 128,
            members: Vec::new(),
            limits: LimitSettings::default(),
            timing: TimingSettings::default(),
            durability: "memory".into(),
            resources: ResourceSettings::default(),
            threads: "split".into(),
            idle: "auto".into(),
            cores: None,
            dpdk: DpdkSettings::default(),
            audit: false,
            trace: TraceSettings::default(),
        }
    }
}

impl Default for DpdkSettings {
    fn default() -> Self {
        Self {
            prefix: 24,
            gateway: None,
            vlan: None,
            mtu: 1_500,
            receive_descriptors: 1_024,
            transmit_descriptors: 1_024,
        }
    }
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { events: 16_384 }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl Default for TimingSettings {
    fn default() -> Self {
        let ms = |ms| Span(Duration::from_millis(ms));
        Self { heartbeat: ms(40), election_min: ms(150), election_max: ms(300) }
    }
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self {
            log_entries: 262_144,
            log_reserve: 1_024,
            body_bytes: Size(256 << 20),
            unordered_max: 16_384,
            unordered_bytes: Size(64 << 20),
            in_system_max: 16_384,
            parked_max: 256,
            reassembly_ttl: Span(Duration::from_millis(5)),
            reassembly_max: 4_096,
            reassembly_bytes: Size(64 << 20),
            kept_replies_bytes: Size(64 << 20),
            receive_buffer: Size(8 << 20),
            send_buffer: Size(4 << 20),
        }
    }
}

impl From<&Limits> for LimitSettings {
    fn from(limits: &Limits) -> Self {
        Self {
            unordered_expiry: Span(limits.unordered_expiry),
            packet_life: Span(limits.packet_life),
            answer_ttl: Span(limits.answer_ttl),
            plain_window: Span(limits.plain_window),
            session_expiry: Span(limits.session_expiry),
            plain_ids_max: limits.plain_ids_max.into(),
            sessions_max: limits.sessions_max.into(),
            session_window: limits.session_window.into(),
            reply_keep_max: Size(limits.reply_keep_max.into()),
            request_max: Size(limits.request_max.into()),
            reply_max: Size(limits.reply_max.into()),
            replies_bytes_max: Size(limits.replies_bytes_max),
        }
    }
}

/// `key: "x"` may stand for `key: Some("x")`.
pub(crate) fn ron_options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

impl Settings {
    /// The file's text, every field written out.
    ///
    /// # Panics
    ///
    /// Never: all fields are numbers, texts and lists, which RON can write.
    #[must_use]
    pub fn to_ron(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new().indentor("  ");
        #[expect(clippy::expect_used, reason = "RON writes numbers, texts and lists without fail")]
        let mut text =
            ron_options().to_string_pretty(self, pretty).expect("settings are plain data");
        text.push('\n');
        text
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Name {
    /// Whether it can stand without quotes.
    fn is_bare(&self) -> bool {
        let first = self.0.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = self.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let taken = matches!(self.0.as_str(), "true" | "false" | "Some" | "None" | "inf" | "NaN");
        first && rest && !taken
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_bare() { f.write_str(&self.0) } else { write!(f, "{:?}", self.0) }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.is_bare() {
            return serializer.serialize_str(&self.0);
        }
        let word = RawValue::from_ron(&self.0).map_err(serde::ser::Error::custom)?;
        word.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.trim().get_ron();
        if text.starts_with('"') {
            return raw.into_rust().map(Self).map_err(|error| de::Error::custom(error.code));
        }
        let name = Self(text.strip_prefix("r#").unwrap_or(text).to_owned());
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        if name.0.chars().all(word) {
            return Ok(name);
        }
        Err(de::Error::custom(format_args!("expected a word or a text in quotes, found `{text}`")))
    }
}
