//! A list of members and the lives that somebody knows of them.

use core::ops::Deref;

use raft_core::ids::{Incarnation, Member, NodeId, NodeSet};

/// Members ascending by id; incarnation zero = not known.
#[derive(Clone, Copy)]
pub struct LifeList {
    members: [Member; NodeId::MAX_NODES as usize],
    len: usize,
}

impl LifeList {
    /// `members`, no life known.
    #[must_use]
    pub fn unknown(members: NodeSet) -> Self {
        let mut list = Self { members: [Member::default(); NodeId::MAX_NODES as usize], len: 0 };
        for id in members.iter() {
            list.members[list.len] = Member { id, incarnation: Incarnation::ZERO };
            list.len += 1;
        }
        list
    }

    /// The same members, no life known but `life`.
    pub(super) fn only(&self, life: Member) -> Self {
        let mut list = *self;
        for member in &mut list.members[..list.len] {
            member.incarnation = Incarnation::ZERO;
        }
        list.learn(life);
        list
    }

    /// Where `id` stands.
    pub(super) fn place(&self, id: NodeId) -> Option<usize> {
        self.iter().position(|member| member.id == id)
    }

    /// Takes a life in that is later than the one known (B2); true when the list is another one now.
    pub(super) fn learn(&mut self, life: Member) -> bool {
        let known = self.members[..self.len].iter_mut().find(|member| member.id == life.id);
        match known {
            Some(known) if known.incarnation < life.incarnation => {
                *known = life;
                true
            }
            _ => false,
        }
    }

    /// Whether the list has a later life of this node.
    pub(super) fn knows_later(&self, life: Member) -> bool {
        self.iter().any(|member| member.id == life.id && member.incarnation > life.incarnation)
    }

    /// The members.
    pub fn iter(&self) -> impl Iterator<Item = Member> + '_ {
        self.members[..self.len].iter().copied()
    }
}

impl Deref for LifeList {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        &self.members[..self.len]
    }
}

impl core::fmt::Debug for LifeList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for LifeList {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for LifeList {}
