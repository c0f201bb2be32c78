//! HC1: an entry is never in a log without its body, which is the same on every node; what is acknowledged equals the log of the
//! term's leader up to there.

use hovercraft::wire::NodeMessage;
use raft_core::entry::Payload;
use raft_core::ids::{LogIndex, NodeSet};
use raft_core::message::Message;

use super::book::digest;
use super::{Found, Property, Speaker, View, holds};

#[derive(Default)]
pub(super) struct Acknowledged;

impl Property for Acknowledged {
    fn look(&mut self, view: &View<'_>) -> Found {
        let mirror = view.mirror();
        let node = view.place + 1;
        for index in view.news.from.max(mirror.applied + 1)..=view.news.last {
            let Some(stood) = mirror.at(index) else { break };
            let Payload::Command(request) = stood.payload else { continue };
            let body = view.replica.body_at(LogIndex::from_wire(index));
            let len = body.map(|body| body.len() as u64);
            holds("HC1a", len == Some(request.len.into()), || {
                format!("entry {index} on n{node} has {len:?} bytes of body, not {}", request.len)
            })?;
            let fact = view.book.fact(index, stood.term.to_wire());
            let first = fact.and_then(|fact| fact.body);
            let own = body.map(digest);
            holds("HC6b", own == first, || {
                format!("entry {index} is bound to another body on n{node} than elsewhere")
            })?;
        }
        Ok(())
    }

    fn says(&mut self, speaker: &Speaker<'_>, _to: NodeSet, message: &NodeMessage<'_>) -> Found {
        let NodeMessage::Raft(Message::Ack { term, index, .. }) = *message else { return Ok(()) };
        let (term, index) = (term.to_wire(), index.to_wire());
        let mirror = speaker.mirror();
        let node = speaker.place + 1;
        let Some(led) = speaker.book.leaders.get(&term).filter(|_| mirror.term == term) else {
            return Ok(());
        };
        holds("HC1a", index <= mirror.last(), || {
            format!("n{node} acknowledged {index}, and its log ends at {}", mirror.last())
        })?;
        let own = mirror.term_at(index);
        holds("HC1b", led.term_at(term, index) == Some(own), || {
            format!(
                "n{node} acknowledged {index} in term {term}; its entry there is of term {own}, the leader's {:?}",
                led.term_at(term, index)
            )
        })
    }
}
