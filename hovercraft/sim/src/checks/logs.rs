//! Log matching (Raft, 5.3): index and term decide the entry and, by induction, all before it. A leader cuts nothing off.

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Logs;

impl Property for Logs {
    fn look(&mut self, view: &View<'_>) -> Found {
        let (mirror, news) = (view.mirror(), &view.news);
        let node = view.place + 1;
        let led = view.leads && !news.elected;
        holds("leader append-only", news.cut == 0 || !led, || {
            format!("n{node} leads and cut {} entries off its log", news.cut)
        })?;
        holds("state machine safety", news.cut == 0 || news.from > news.commit_before, || {
            let (from, commit) = (news.from, news.commit_before);
            format!("n{node} cut its log at {from}, below its commit index {commit}")
        })?;
        for index in news.from..=news.last {
            let Some(stood) = mirror.at(index) else { break };
            let term = stood.term.to_wire();
            let Some(fact) = view.book.fact(index, term) else { continue };
            holds("log matching", fact.payload == stood.payload, || {
                format!(
                    "entry {index} of term {term} on n{node} is {:?}, elsewhere {:?}",
                    stood.payload, fact.payload
                )
            })?;
            let before = mirror.term_at(index - 1);
            holds("log matching", fact.previous_term == before, || {
                format!(
                    "before entry {index} of term {term} stands one of term {before} on n{node}, \
                     elsewhere of term {}",
                    fact.previous_term
                )
            })?;
        }
        Ok(())
    }
}
