//! Packets and nodes in words.

use hovercraft::wire::NodeMessage;
use raft_core::entry::{Entry, Payload};
use raft_core::ids::LogIndex;
use raft_core::message::{Append, Message};

use crate::packets::Packet;
use crate::view::View;

/// What arrives, from whom.
#[must_use]
pub fn packet(packet: &Packet) -> String {
    let Some((head, message)) = packet.message() else {
        let body = packet.incoming.bytes.last().map_or('?', |&byte| char::from(byte));
        let id =
            packet.incoming.bytes.get(4..6).map_or(0, |id| id.iter().map(|&b| u16::from(b)).sum());
        return format!("the client's request {id} with body \"{body}\"");
    };
    let from = head.sender.id.number();
    let what = match message {
        NodeMessage::Raft(message) => raft(&message),
        NodeMessage::Append { append, entries, .. } => {
            let list = (1..).zip(entries.iter());
            let list = list.map(|(at, one)| entry(append.previous_index.plus(at), &one));
            let list: Vec<_> = list.collect();
            format!("{} [{}]", append_head(&append), list.join(", "))
        }
        NodeMessage::BodyRequest { list, .. } => {
            let list: Vec<_> =
                list.iter().map(|wanted| name(wanted.id.number, wanted.hash)).collect();
            format!("a question for {}", list.join(", "))
        }
        NodeMessage::BodyChunk(chunk) => {
            format!("the body of {}", name(chunk.id.number, chunk.hash))
        }
        NodeMessage::Forward(forward) => format!("request {}, passed on", forward.body.id.number),
        NodeMessage::Question { .. } => "the question who is there".into(),
        NodeMessage::Report(report) => format!("a report, memory {}", report.memory),
        NodeMessage::Applied { term } => format!("applied {} in {term}", head.applied),
        NodeMessage::HeldByAll { term, index } => format!("{index} is held by all, in {term}"),
        NodeMessage::NoBody { .. } => "no such body".into(),
        NodeMessage::Aggregate(_) => "an aggregator's word".into(),
    };
    format!("n{from}'s {what}")
}

/// Role, term, commit and log of a node.
#[must_use]
pub fn node(view: &View) -> String {
    let terms: Vec<_> = view.log.iter().map(|entry| entry.term.to_string()).collect();
    format!(
        "n{} {} term {} commit {} log [{}] executed {}",
        view.id,
        view.role.name(),
        view.term,
        view.commit,
        terms.join(" "),
        view.executed.len()
    )
}

fn raft(message: &Message) -> String {
    match *message {
        Message::RequestVote { term, pre, last_index, last_term, .. } => {
            let what = if pre { "pre-vote question" } else { "vote question" };
            format!("{what} for {term}, its log ends at {last_index} of {last_term}")
        }
        Message::Vote { term, pre, granted } => {
            let what = if pre { "pre-vote" } else { "vote" };
            format!("{what} for {term}: {}", if granted { "yes" } else { "no" })
        }
        Message::Append(append) => append_head(&append),
        Message::Ack { term, index, round, .. } => {
            format!("acknowledgement up to {index}, {term}, round {}", round.to_wire())
        }
        Message::Reject { term, previous_index, hint, .. } => {
            format!("refusal after {previous_index}, {term}, try {hint}")
        }
        Message::TimeoutNow { term } => format!("order to stand, {term}"),
        Message::QuorumAck { index, .. } => format!("quorum up to {index}"),
    }
}

fn append_head(append: &Append) -> String {
    let Append { term, previous_index, previous_term, commit, round, answer, .. } = *append;
    let silent = if answer { "" } else { ", no answer wanted," };
    format!(
        "append of {term} after {previous_index} of {previous_term}, commit {commit}, round {}{silent}",
        round.to_wire()
    )
}

fn entry(index: LogIndex, entry: &Entry<hovercraft::entry::Request>) -> String {
    let what = match &entry.payload {
        Payload::NoOp => "no-op".into(),
        Payload::Configuration => "configuration".into(),
        Payload::Command(request) => name(request.id.number, request.hash),
    };
    format!("{index}: {what} of {}", entry.term)
}

fn name(number: u64, hash: u64) -> String {
    format!("request {number}/{:04x}", hash >> 48)
}
