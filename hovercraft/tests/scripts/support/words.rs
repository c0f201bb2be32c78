//! Packets in words.

use core::net::SocketAddr;

use hovercraft::entry::{EntryKind, Request};
use hovercraft::wire::{self, Chunk, Entries, Head, MacKey, NodeMessage};
use r2p2::header::{MessageKind, Place};
use r2p2::packet::Packet;
use r2p2::refusal::Refusal;
use raft_core::entry::{Entry, Payload};
use raft_core::ids::LogIndex;
use raft_core::message::{Append, Message};

use super::names::Names;

/// A body as a script would write it: itself, or `x*2000` when it is a long run.
pub(crate) fn body(bytes: &[u8]) -> String {
    if bytes.len() <= 40 && bytes.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| match run[0].is_ascii_graphic() {
        true => format!("{}*{}", char::from(run[0]), run.len()),
        false => format!("{:02x}*{}", run[0], run.len()),
    });
    runs.collect::<Vec<_>>().join(",")
}

/// Microseconds as milliseconds.
pub(crate) fn ms(us: u64) -> String {
    let (whole, part) = (us / 1_000, us % 1_000);
    if part == 0 { format!("{whole}ms") } else { format!("{whole}.{part:03}ms") }
}

/// A message between nodes, without its sender; the first word is its kind. What a script has spoilt is called that.
pub(crate) fn node_message(bytes: &[u8], key: Option<&MacKey>, names: &mut Names) -> String {
    let Ok((head, message)) = wire::parse(bytes, key) else { return "spoilt".into() };
    match message {
        NodeMessage::Raft(message) => raft(&head, &message),
        NodeMessage::Append { append, entries, configuration, bodies } => {
            let mut text = append_head(&head, &append);
            text += &entry_list(&append, &entries, names);
            let count = bodies.iter().flatten().count();
            if count > 0 {
                text += &format!(" with {count} bodies");
            }
            if configuration.is_some() {
                text += " with the configuration";
            }
            text
        }
        NodeMessage::Aggregate(_) => "aggregate".into(),
        NodeMessage::BodyRequest { list, .. } => {
            let wanted = list.iter().map(|wanted| {
                let mut chunks: Vec<_> = wanted.iter().map(|chunk| chunk.to_string()).collect();
                if chunks.len() > 8 {
                    chunks.splice(3..chunks.len() - 1, ["..".to_owned()]);
                }
                let (id, hash) = (names.id(&wanted.id), names.hash(wanted.hash));
                format!("{id} {hash} chunks {}", chunks.join(","))
            });
            format!("body? {}", wanted.collect::<Vec<_>>().join("; "))
        }
        NodeMessage::NoBody { question, wanted } => {
            let (id, hash) = (names.id(&wanted.id), names.hash(wanted.hash));
            format!(
                "no-body {id} {hash} of {} {} applied={}",
                question.index, question.term, head.applied
            )
        }
        NodeMessage::BodyChunk(chunk) => format!("body {}", chunk_words(&chunk, names)),
        NodeMessage::Forward(forward) => format!("forward {}", chunk_words(&forward.body, names)),
        NodeMessage::Question { .. } => "question".into(),
        NodeMessage::Report(report) => format!("report memory={}", report.memory),
        NodeMessage::HeldByAll { term, index } => format!("held by all {index} {term}"),
        NodeMessage::Applied { term } => format!("applied {} {term}", head.applied),
    }
}

fn raft(head: &Head, message: &Message) -> String {
    match *message {
        Message::RequestVote { term, pre, transfer, last_index, last_term } => {
            let what = if pre { "pre-vote?" } else { "vote?" };
            let transfer = if transfer { " transfer" } else { "" };
            format!("{what} {term} log ends {last_index}/{last_term}{transfer}")
        }
        Message::Vote { term, pre, granted } => {
            let what = if pre { "pre-vote" } else { "vote" };
            format!("{what} {term} {}", if granted { "yes" } else { "no" })
        }
        Message::Append(append) => append_head(head, &append),
        Message::Ack { epoch, term, index, round } => format!(
            "ack {index} {term} epoch={epoch} round={} applied={} life={}",
            round.to_wire(),
            head.applied,
            head.sender.incarnation.to_wire(),
        ),
        Message::Reject { term, previous_index, hint, round } => {
            format!("reject {previous_index} {term} hint={hint} round={}", round.to_wire())
        }
        Message::TimeoutNow { term } => format!("timeout-now {term}"),
        Message::QuorumAck { index, term, .. } => format!("quorum {index} {term}"),
    }
}

fn append_head(head: &Head, append: &Append) -> String {
    let Append { epoch, term, previous_index, previous_term, first_of_term, commit, .. } = *append;
    let silent = if append.answer { "" } else { " no answer" };
    format!(
        "append {term} after {previous_index}/{previous_term} epoch={epoch} first={first_of_term} \
         commit={commit} round={} time={}{silent}",
        append.round.to_wire(),
        ms(head.log_time_us),
    )
}

fn entry_list(append: &Append, entries: &Entries<'_>, names: &mut Names) -> String {
    let mut text = String::new();
    let mut index = append.previous_index;
    for entry in entries.iter() {
        index = index.next();
        text += &format!("\n    {}", entry_words(index, &entry, names));
    }
    text
}

fn entry_words(index: LogIndex, entry: &Entry<Request>, names: &mut Names) -> String {
    let term = entry.term;
    match &entry.payload {
        Payload::NoOp => format!("{index} {term} no-op"),
        Payload::Configuration => format!("{index} {term} configuration"),
        Payload::Command(request) => {
            let kind = match request.kind {
                EntryKind::Write => "write",
                EntryKind::Read => "read",
                EntryKind::Open => "open",
                EntryKind::Close => "close",
            };
            let plain = if request.plain { "plain " } else { "" };
            let mut text = format!(
                "{index} {term} {plain}{kind} {} {} len={} by n{} stamp={}",
                names.id(&request.id),
                names.hash(request.hash),
                request.len,
                request.replier.number(),
                ms(request.stamp_us),
            );
            if request.id.session != 0 {
                text += &format!(" floor={}", request.floor());
            }
            if request.client != request.id.client {
                text += &format!(" for {}", super::names::of(request.client.socket()));
            }
            text
        }
    }
}

fn chunk_words(chunk: &Chunk<'_>, names: &mut Names) -> String {
    let (id, hash) = (names.id(&chunk.id), names.hash(chunk.hash));
    format!("{id} {hash} chunk {} of {} bytes \"{}\"", chunk.chunk, chunk.len, body(chunk.bytes))
}

/// A packet to a client.
pub(crate) fn client_packet(to: SocketAddr, bytes: &[u8], names: &mut Names) -> String {
    let packet = Packet::parse(bytes).expect("nodes send what clients can read");
    let kind = match packet.header.kind {
        MessageKind::Response => "answer",
        MessageKind::Drop => "refusal",
        MessageKind::Ack => "ACK",
        other => panic!("a {other:?} to a client"),
    };
    let Some(extension) = packet.extension else {
        let place = place(packet.header.place);
        return format!("{kind} #{}{place} \"{}\"", packet.header.request_id, body(packet.payload));
    };
    if packet.header.kind == MessageKind::Response && names.is_nonce(to, extension.number) {
        names.opened(extension.session, to);
        let session = names.session(extension.session);
        return format!("{kind} opened {session} at={}", extension.executed);
    }
    let id = match extension.session {
        0 => format!("#{}", extension.number),
        session => format!("{}#{}", names.session(session), extension.number),
    };
    match packet.header.kind {
        MessageKind::Drop => {
            let reason = Refusal::parse(packet.payload).unwrap().reason;
            format!("{kind} {id} {reason:?}")
        }
        MessageKind::Ack => format!("packets wanted {id} {:?}", packet.payload),
        _ => {
            let place = place(packet.header.place);
            let payload = body(packet.payload);
            format!("{kind} {id}{place} at={} \"{payload}\"", extension.executed)
        }
    }
}

fn place(place: Place) -> String {
    match place {
        Place::First { packets: 1 } => String::new(),
        Place::First { packets } => format!(" 1/{packets}"),
        Place::Later { index, .. } => format!(" {}", index + 1),
    }
}
