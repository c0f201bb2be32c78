//! HC2: an index is committed by counting only from the leader's first on, and when a majority held it; no node's commit index passes
//! what it has verified against the log of its term's leader, or falls.

use raft_core::ids::{LogIndex, NodeSet};

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Commits;

impl Property for Commits {
    fn look(&mut self, view: &View<'_>) -> Found {
        let mirror = view.mirror();
        let (node, commit) = (view.place + 1, mirror.commit);
        let before = view.news.commit_before;
        holds("HC2b", commit >= before, || {
            format!("the commit index of n{node} fell from {before} to {commit}")
        })?;
        let verified = view.core.verified().to_wire();
        holds("HC2b", commit <= verified, || {
            format!("n{node} committed {commit}, and has verified {verified}")
        })?;
        if let Some(led) = view.book.leaders.get(&mirror.term) {
            let (own, leaders) = (mirror.term_at(verified), led.term_at(mirror.term, verified));
            holds("HC2b", leaders == Some(own), || {
                format!(
                    "n{node} counts {verified} as verified in term {}: its entry is of term {own}, the leader's {leaders:?}",
                    mirror.term
                )
            })?;
        }
        if view.leads && !view.news.elected && commit > before { by_counting(view) } else { Ok(()) }
    }
}

fn by_counting(view: &View<'_>) -> Found {
    let mirror = view.mirror();
    let (node, commit) = (view.place + 1, mirror.commit);
    let term = mirror.term_at(commit);
    holds("HC2a", term == mirror.term, || {
        format!(
            "n{node}, leader of term {}, committed {commit} of term {term} by counting",
            mirror.term
        )
    })?;
    let configuration = view.core.configuration_at(LogIndex::from_wire(commit));
    let mut holders = NodeSet::EMPTY;
    for voter in &configuration.voters {
        if view.book.held(*voter, commit, term) {
            holders.insert(voter.id);
        }
    }
    holds("HC2", configuration.is_quorum(holders), || {
        format!("n{node} committed {commit} of term {term}, which only {holders:?} ever held")
    })
}
