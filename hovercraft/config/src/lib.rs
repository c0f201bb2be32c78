//! cluster.ron: read, checked, shown.
//!
//! The file is birth certificate and contact list of a cluster (design 3): nodes, clients and tools read the same one.
//! [`Settings`] is what the file says and may be nonsense; [`Cluster`] is proof that it holds together and is made by
//! [`Cluster::load`] or [`Cluster::from_str_at`] alone.
//!
//! ```text
//! text --ron--> Settings --check--> Cluster --Settings::from--> Settings --to_ron--> text with all defaults
//!    \__ Positions: path of a field -> line and column, for errors that ron does not find __/
//! ```
//!
//! Invariants:
//! 1. Every field has a default in one `Default` impl or is demanded by name; unknown fields are errors.
//! 2. An error names file, line, column and field, what was found, what would be right, and what to do.
//! 3. Printing a cluster and reading it again gives the same cluster ([`Cluster::to_ron`]).
//! 4. What must be equal on all nodes stands in [`Group`]; what a node may have for itself stands in [`NodeConfig`].
#![forbid(unsafe_code)]

mod bounds;
mod check;
mod cluster;
mod error;
mod key;
mod position;
mod quantity;
mod settings;
#[cfg(test)]
mod tests;
mod words;

pub use cluster::{
    Cluster, Dpdk, Durability, Group, Idle, Member, Mode, NodeConfig, ReplierPolicy, Resources,
    Threads, Timing,
};
pub use error::{Bound, ConfigError, Problem, Warning};
pub use key::{ClusterKey, KeyError};
pub use position::{Position, Positions};
pub use quantity::{Quantity, Size, Span};
pub use settings::{
    DpdkSettings, GroupSettings, LimitSettings, MemberSettings, Name, ResourceSettings, Settings,
    TimingSettings, TraceSettings,
};
