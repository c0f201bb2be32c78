//! One type per kind of number. None has arithmetic but what makes sense for it.

use core::fmt;

/// A leader's reign. Never goes back on a node; zero before any election.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Term(u64);

/// Position of an entry in the log. The first entry is 1; zero is "before the log".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogIndex(u64);

/// Number of a leader's round: only a round above the last one seen shows that the leader lives (design HC9b).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Round(u64);

/// What must be durable before a message may leave; 0 = nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seq(u64);

/// A member's name for good: 0 to 15.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(u8);

/// One life of a node's memory (design HC11).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Incarnation(u64);

/// A member as votes and acknowledgements name it (HC11a).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Member {
    /// Its name.
    pub id: NodeId,
    /// Its present life.
    pub incarnation: Incarnation,
}

/// A set of nodes, one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct NodeSet(u16);

macro_rules! wire_number {
    ($name:ident) => {
        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// From a number out of a packet or a file.
            #[must_use]
            pub const fn from_wire(number: u64) -> Self {
                Self(number)
            }

            /// As a number for a packet or a file.
            #[must_use]
            pub const fn to_wire(self) -> u64 {
                self.0
            }
        }
    };
}

wire_number!(Term);
wire_number!(LogIndex);
wire_number!(Round);
wire_number!(Seq);
wire_number!(Incarnation);

impl Term {
    /// The term that a new candidate opens; `None` at the limit (HC13: an error, not an overflow).
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl LogIndex {
    /// The entry after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The entry before this one; zero has none and stays.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The entry `count` after this one.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// How far this is beyond `earlier`; 0 when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Round {
    /// The next round.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Seq {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl NodeId {
    /// Ids are below this.
    pub const MAX_NODES: u8 = 16;

    /// The node with this number; `None` at 16 and above.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::MAX_NODES { Some(Self(number)) } else { None }
    }

    /// Its number, 0 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its place in arrays of [`Self::MAX_NODES`].
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }

    const ALL_BITS: u16 = {
        assert!(Self::MAX_NODES <= 16);
        u16::MAX >> (16 - Self::MAX_NODES)
    };

    /// The node of the lowest bit of a set; node 0 of an empty one.
    fn of_lowest_bit(bits: u16) -> Self {
        let at = bits.trailing_zeros().to_le_bytes()[0];
        Self(if at < Self::MAX_NODES { at } else { 0 })
    }

    /// All possible ids.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::MAX_NODES).map(Self)
    }
}

impl NodeSet {
    /// Nobody.
    pub const EMPTY: Self = Self(0);

    /// The set holding `node` alone.
    #[must_use]
    pub const fn only(node: NodeId) -> Self {
        Self(1 << node.0)
    }

    /// Adds `node`.
    pub const fn insert(&mut self, node: NodeId) {
        self.0 |= 1 << node.0;
    }

    /// Takes `node` out.
    pub const fn remove(&mut self, node: NodeId) {
        self.0 &= !(1 << node.0);
    }

    /// Whether `node` is in it.
    #[must_use]
    pub const fn contains(self, node: NodeId) -> bool {
        self.0 & (1 << node.0) != 0
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether nobody is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its members, lowest first.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let possible = self.0 & NodeId::ALL_BITS;
        core::iter::successors(Some(possible), |&rest| Some(rest & rest.wrapping_sub(1)))
            .take_while(|&rest| rest != 0)
            .map(NodeId::of_lowest_bit)
    }

    /// From a bitmap out of a packet: bit `n` is node `n`.
    #[must_use]
    pub const fn from_wire(bits: u16) -> Self {
        Self(bits)
    }

    /// As a bitmap for a packet.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, node) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{node}")?;
        }
        f.write_str("}")
    }
}
