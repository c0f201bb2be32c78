//! Leader completeness (Raft, 5.4): what is committed stands in the log of every later leader.

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Completeness;

impl Property for Completeness {
    fn look(&mut self, view: &View<'_>) -> Found {
        if !view.news.elected {
            return Ok(());
        }
        let mirror = view.mirror();
        let committed = view.book.committed.iter().zip(1..);
        let mut missing = committed.filter(|&(&term, index)| mirror.term_at(index) != term);
        // Of a term that another leader has opened since, nothing need be here.
        let newest = view.book.leaders.keys().next_back() == Some(&mirror.term);
        let first = missing.next().filter(|_| newest);
        holds("leader completeness", first.is_none(), || {
            let (term, index) = first.unwrap_or((&0, 0));
            let (node, led) = (view.place + 1, mirror.term);
            format!("n{node}, elected in term {led}, lacks entry {index} of term {term}, committed")
        })
    }
}
