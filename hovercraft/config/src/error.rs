//! Errors and warnings for an operator: file, line, column, field, what was found, what would be right, what to do.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::key::KeyError;
use crate::position::Position;
use crate::quantity::Quantity;

/// Why a file makes no cluster.
#[derive(Debug, Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Where in it; none when it could not be read at all.
    pub position: Option<Position>,
    /// Path of the field, as `groups[0].members[1].data`; empty for the whole file.
    pub field: String,
    /// What is wrong with it.
    pub problem: Box<Problem>,
}

/// What is wrong with a field.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("cannot be read: {0}; give the path of a cluster.ron")]
    Unreadable(io::Error),
    /// It is not RON, or a value is of another kind than its field.
    #[error("cannot be read: {0}; correct the text here")]
    Syntax(ron::Error),
    /// A field that nobody knows.
    #[error("is no field here; known are {}", known.join(", "))]
    UnknownField {
        /// The fields that may stand here.
        known: &'static [&'static str],
    },
    /// A field that is given twice.
    #[error("is given twice; take one out")]
    Twice,
    /// A number beyond its bound.
    #[error("{found} must be {bound}; {remedy}")]
    Bound {
        /// What was found.
        found: Quantity,
        /// What would be right.
        bound: Bound,
        /// What to do.
        remedy: &'static str,
    },
    /// None of the words known here.
    #[error("{found} is not known; choose {choices}")]
    Choice {
        /// What was found.
        found: String,
        /// What would be right.
        choices: &'static str,
    },
    /// A word that is known and not served.
    #[error("{found} is not served: {remedy}")]
    NotServed {
        /// What was found.
        found: String,
        /// Why, and what to do.
        remedy: &'static str,
    },
    /// A field that must be given.
    #[error("is missing; {remedy}")]
    Missing {
        /// What to do.
        remedy: &'static str,
    },
    /// Equal to another field that it must differ from.
    #[error("{found} stands in line {} already; {remedy}", first.line)]
    Duplicate {
        /// What was found.
        found: String,
        /// Where it stands first.
        first: Position,
        /// What to do.
        remedy: &'static str,
    },
    /// No address and port.
    #[error("\"{found}\" is no address and port; write it as \"10.71.0.1:8000\"")]
    NoAddress {
        /// What was found.
        found: String,
    },
    /// An address that cannot be used here.
    #[error("{found} cannot be used: {remedy}")]
    Address {
        /// What was found.
        found: SocketAddr,
        /// Why, and what to do.
        remedy: &'static str,
    },
    /// A name with other letters than it may have.
    #[error("{found:?} must be 1 to 63 letters, digits, `-` or `_`; rename it")]
    BadName {
        /// What was found.
        found: String,
    },
    /// A router's address that no machine can have.
    #[error("{found:?} is no machine's IPv4 address; give the router's, or leave the field out")]
    NoGateway {
        /// What stands there.
        found: String,
    },
    /// The key file.
    #[error("{}: {error}", path.display())]
    Key {
        /// The key file, as it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyError,
    },
}

/// A bound with its number.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Bound {
    /// At least this.
    #[error("at least {0}")]
    AtLeast(Quantity),
    /// At most this.
    #[error("at most {0}")]
    AtMost(Quantity),
    /// From the first to the second, both included.
    #[error("{0} to {1}")]
    Within(Quantity, Quantity),
    /// Exactly this.
    #[error("exactly {0}")]
    Exactly(Quantity),
}

/// What holds together and still deserves a word to the operator.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Warning {
    /// No key file.
    #[error(
        "no key_file: messages between nodes are not authenticated, and whoever reaches their ports can disturb them (HC13)"
    )]
    NoKey,
    /// Others may read the key.
    #[error("{}: mode {mode:03o} lets others read the cluster key; run `chmod 600` on it", path.display())]
    KeyReadable {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// An even number of members bears no more failures than one fewer.
    #[error("group {group}: {members} members bear no more failures than {}", members - 1)]
    EvenMembers {
        /// The group's name.
        group: String,
        /// How many.
        members: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        let number = matches!(
            *self.problem,
            Problem::Bound { .. }
                | Problem::Choice { .. }
                | Problem::NotServed { .. }
                | Problem::Duplicate { .. }
                | Problem::NoAddress { .. }
                | Problem::Address { .. }
                | Problem::BadName { .. }
                | Problem::NoGateway { .. }
        );
        f.write_str(if number && !self.field.is_empty() { " = " } else { ": " })?;
        self.problem.fmt(f)
    }
}
