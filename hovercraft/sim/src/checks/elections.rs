//! Election safety (Raft, 5.2): one leader in a term, elected by a majority of votes of that term, one vote each. HC11b: a life that no
//! configuration names says nothing that counts.

use std::collections::BTreeMap;

use hovercraft::wire::NodeMessage;
use raft_core::ids::{Member, NodeId, NodeSet};
use raft_core::message::Message;

use super::{Found, Property, Speaker, View, Violation, holds};

#[derive(Default)]
pub(super) struct Elections {
    leaders: BTreeMap<u64, Member>,
    /// By voter and term.
    votes: BTreeMap<(Member, u64), NodeId>,
}

impl Property for Elections {
    fn look(&mut self, view: &View<'_>) -> Found {
        let mirror = view.mirror();
        let me = view.core.me();
        holds("Raft 5.1", mirror.term >= view.news.term_before, || {
            format!("the term of {me:?} fell from {} to {}", view.news.term_before, mirror.term)
        })?;
        if !view.news.elected {
            return Ok(());
        }
        let leader = *self.leaders.entry(mirror.term).or_insert(me);
        holds("election safety", leader == me, || {
            format!("{leader:?} and {me:?} both lead in term {}", mirror.term)
        })?;
        let configuration = view.core.configuration();
        let mut voters = NodeSet::EMPTY;
        for voter in &configuration.voters {
            if *voter == me || self.votes.get(&(*voter, mirror.term)) == Some(&me.id) {
                voters.insert(voter.id);
            }
        }
        holds("election safety", configuration.is_quorum(voters), || {
            format!("{me:?} leads in term {} by the votes of {voters:?}", mirror.term)
        })
    }

    fn says(&mut self, speaker: &Speaker<'_>, to: NodeSet, message: &NodeMessage<'_>) -> Found {
        let Some(me) = speaker.mirror().life else { return Ok(()) };
        let NodeMessage::Raft(message) = message else { return Ok(()) };
        match *message {
            Message::Vote { term, pre: false, granted: true } => {
                for candidate in to.iter() {
                    self.votes_for(me, term.to_wire(), candidate)?;
                }
            }
            Message::RequestVote { term, pre: false, .. } => {
                self.votes_for(me, term.to_wire(), me.id)?;
            }
            Message::Ack { .. } => {}
            _ => return Ok(()),
        }
        let first_lives = &speaker.book.knobs;
        let born = me.incarnation.to_wire() & 0xFFFF_FFFF < 1 << 20;
        holds("HC11b", born, || {
            format!("{me:?}, a later life, takes part in a cluster of {} others", first_lives.nodes)
        })
    }
}

impl Elections {
    fn votes_for(&mut self, voter: Member, term: u64, candidate: NodeId) -> Found {
        let vote = *self.votes.entry((voter, term)).or_insert(candidate);
        if vote == candidate {
            return Ok(());
        }
        let text = format!("{voter:?} voted for {vote:?} and {candidate:?} in term {term}");
        Err(Violation::new("Raft 5.2", text))
    }
}
