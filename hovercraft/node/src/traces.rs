//! What a node's trace rings hold of some requests.
//!
//! A step knows its request, its log index, or both; what belongs to a request is found by both.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use hovercraft::trace::{Phase, TraceEvent, TraceReader};
use r2p2::request_id::{ClientAddress, RequestId};

use crate::report::{NodeTrace, TraceStep};

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// These requests.
    Requests(Vec<RequestId>),
    /// The request at this log index.
    Index(u64),
    /// So many of the latest requests in the log.
    Last(usize),
}

/// Requests asked for at a time.
pub(crate) const REQUESTS_MAX: usize = 64;

/// A request as it is written and read: `session:number`, or `ip:port:id` of a client without a session.
pub(crate) fn name(id: &RequestId) -> String {
    match id.session {
        0 => format!("{}:{}", id.client.socket(), id.number),
        session => format!("{session}:{}", id.number),
    }
}

/// What [`name`] wrote.
pub(crate) fn parse(text: &str) -> Option<RequestId> {
    let (who, number) = text.rsplit_once(':')?;
    let number = number.parse().ok()?;
    if let Ok(session) = who.parse() {
        return (session != 0).then(|| RequestId::new(ClientAddress::default(), session, number));
    }
    let client: SocketAddr = who.parse().ok()?;
    Some(RequestId::new(ClientAddress::from(client), 0, number))
}

/// The steps of the wanted requests that these rings of one node hold.
pub(crate) fn select(node: u8, rings: &[TraceReader], wanted: &Wanted) -> NodeTrace {
    let mut events: Vec<TraceEvent> = rings.iter().flat_map(TraceReader::read).collect();
    events.sort_by_key(|event| (event.at_ns, event.phase));
    let ids = ids(&events, wanted);
    let named = |event: &&TraceEvent| is_named(event) && ids.contains(&event.id);
    let mut indexes: BTreeSet<u64> =
        events.iter().filter(named).map(|event| event.index).filter(|&index| index > 0).collect();
    if let Wanted::Index(index) = *wanted {
        indexes.insert(index);
    }
    // Of the news of commits, the first that covers an index.
    let mut uncommitted = indexes.clone();
    let mut belongs = |event: &TraceEvent| {
        if event.phase == Phase::Committed {
            let rest = uncommitted.split_off(&(event.index + 1));
            return !core::mem::replace(&mut uncommitted, rest).is_empty();
        }
        let known = is_named(event);
        (known && ids.contains(&event.id)) || (!known && indexes.contains(&event.index))
    };
    let chosen = events.iter().filter(|event| belongs(event));
    NodeTrace { node, events: chosen.map(step).collect() }
}

/// The requests that are wanted, as far as the rings know.
fn ids(events: &[TraceEvent], wanted: &Wanted) -> BTreeSet<RequestId> {
    let named = events.iter().filter(|event| is_named(event));
    match wanted {
        Wanted::Requests(ids) => ids.iter().copied().collect(),
        Wanted::Index(index) => {
            named.filter(|event| event.index == *index).map(|event| event.id).collect()
        }
        Wanted::Last(count) => {
            let entered = named.filter(|event| {
                matches!(event.phase, Phase::Ordered | Phase::Appended | Phase::HandedOver)
            });
            let mut latest = BTreeSet::new();
            for event in entered.rev() {
                if latest.len() < *count {
                    latest.insert(event.id);
                }
            }
            latest
        }
    }
}

fn is_named(event: &TraceEvent) -> bool {
    event.id != RequestId::default()
}

fn step(event: &TraceEvent) -> TraceStep {
    let thread = if event.thread == 0 { "network" } else { "application" };
    TraceStep {
        at_ns: event.at_ns,
        thread: thread.to_owned(),
        phase: event.phase.name().to_owned(),
        index: event.index,
        request: is_named(event).then(|| name(&event.id)),
        replier: event.replier,
        detail: event.detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_it_is_read() {
        for text in ["281474976710700:17", "10.0.0.9:4000:17", "[::1]:4000:65535"] {
            assert_eq!(parse(text).map(|id| name(&id)).as_deref(), Some(text));
        }
        for wrong in ["", "17", "0:17", "x:17", "1:x", "10.0.0.9:17", "1:2:3"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
