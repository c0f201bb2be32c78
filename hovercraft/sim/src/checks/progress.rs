//! HC1b as the leader sees it: a follower's match index never falls within a term, and the follower held the entry there.

use std::collections::BTreeMap;

use raft_core::ids::Member;

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Matched {
    /// By leader, term and follower.
    seen: BTreeMap<(Member, u64, Member), u64>,
}

impl Property for Matched {
    fn look(&mut self, view: &View<'_>) -> Found {
        if !view.leads {
            return Ok(());
        }
        let mirror = view.mirror();
        for follower in view.core.followers() {
            let (who, matched) = (follower.member, follower.matched.to_wire());
            let seen = self.seen.entry((view.core.me(), mirror.term, who)).or_default();
            if *seen == matched {
                continue;
            }
            holds("HC1b", matched > *seen, || {
                format!("R6: the match index of {who:?} fell from {seen} to {matched}")
            })?;
            *seen = matched;
            let term = mirror.term_at(matched);
            holds("HC1b", view.book.held(who, matched, term), || {
                format!(
                    "the leader of term {} counts {who:?} for entry {matched} of term {term}, which it never held",
                    mirror.term
                )
            })?;
        }
        Ok(())
    }
}
