//! HC4: whoever is made the replier of a new entry has at most `bound` entries to execute, this one included.

use hovercraft::entry::Request;
use raft_core::entry::Payload;

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Queues;

impl Property for Queues {
    fn look(&mut self, view: &View<'_>) -> Found {
        if !view.leads {
            return Ok(());
        }
        let mirror = view.mirror();
        for index in view.news.from..=view.news.last {
            let Some(stood) = mirror.at(index) else { break };
            let Payload::Command(request) = stood.payload else { continue };
            if stood.term.to_wire() != mirror.term {
                continue;
            }
            let replier = view.core.configuration().incarnation_of(request.replier);
            holds("HC4", replier.is_some(), || {
                format!("the replier of entry {index} is {:?}, who is no voter", request.replier)
            })?;
            let Some(replier) = replier else { continue };
            let applied = view.book.applied_by(replier);
            let works = |stood: &&_| is_work(stood, &request);
            let queue = (applied + 1..=index).filter_map(|at| mirror.at(at));
            let depth = queue.filter(works).count() as u64;
            let bound = u64::from(view.book.knobs.bound);
            holds("HC4", depth <= bound, || {
                format!(
                    "{replier:?} is to answer entry {index}, and has {depth} to execute: at most {bound}"
                )
            })?;
        }
        Ok(())
    }
}

/// Whether the replier of `request` has to execute what stands here.
fn is_work(stood: &super::book::Stood, request: &Request) -> bool {
    match stood.payload {
        Payload::Command(other) => other.is_write() || other.replier == request.replier,
        Payload::NoOp | Payload::Configuration => false,
    }
}
