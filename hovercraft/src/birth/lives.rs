//! A list of members and the lives that somebody knows of them.

use core::ops::Deref;

use raft_core::ids::{Incarnation, Member, NodeId, NodeSet};

/// Members ascending by id; incarnation zero = not known.
#[derive(Clone, Copy)]
pub struct LifeList {
    members: [Member; NodeId::MAX_NODES as usize],
    len: usize,
}

/// How a life compares with the one in the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Learned {
    /// It is later: the list is another one now.
    Later,
    /// It is the one.
    Known,
    /// It is earlier, or of nobody in the list.
    Earlier,
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

    /// Takes in a life later than the one known (B2).
    pub(super) fn learn(&mut self, life: Member) -> Learned {
        let known = self.members[..self.len].iter_mut().find(|member| member.id == life.id);
        match known {
            Some(known) if known.incarnation < life.incarnation => {
                *known = life;
                Learned::Later
            }
            Some(known) if *known == life => Learned::Known,
            _ => Learned::Earlier,
        }
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
