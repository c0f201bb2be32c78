//! From bytes to values, once, at the edge.

use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};
use zerocopy::FromBytes;

use super::layout::{
    ANSWER, APPLIED_LEN, BODIES, CONFIGURATION, GRANTED, Kind, LIFE_LEN, MEMORY, PLAIN, PRE,
    RawHead, TRANSFER, read_life,
};
use super::{
    Aggregate, AppliedList, Bodies, BodyQuestion, Chunk, Entries, Field, Forward, HEAD_LEN, Head,
    Lives, MAC_LEN, MacKey, NodeMessage, PACKET_MAX, Report, VERSION, Wanted, WantedList, Way,
    WireError,
};
use crate::entry::ENTRY_LEN;

/// Reads one message between nodes out of a UDP payload; with `key` its MAC must be right.
///
/// # Errors
///
/// [`WireError`] names the first thing wrong. Another version is named before the MAC is looked at, since it may have another.
#[inline(always)]
pub fn parse<'a>(
    packet: &'a [u8],
    key: Option<&MacKey>,
) -> Result<(Head, NodeMessage<'a>), WireError> {
    if packet.len() > PACKET_MAX {
        return Err(WireError::Length(packet.len()));
    }
    let Ok((raw, _)) = RawHead::read_from_prefix(packet) else {
        return Err(WireError::Length(packet.len()));
    };
    let [magic, header_len, type_policy, flags, rest @ ..] = raw.r2p2;
    let ours = matches!(type_policy, 0x51 | 0x61 | 0x71);
    if (magic, header_len, flags, rest) != (0xCC, 8, 0xC0, [0, 0, 0, 1]) || !ours {
        return Err(WireError::Header);
    }
    if raw.version != VERSION {
        return Err(WireError::Version(raw.version));
    }
    let tail = &authentic(packet, key)?[HEAD_LEN..];
    let kind = Kind::from_wire(raw.kind).filter(|kind| kind.r2p2() == raw.r2p2);
    let kind = kind.ok_or(WireError::Kind(raw.kind))?;
    kind.check(&raw)?;
    let head = read_head(&raw)?;
    Ok((head, read_message(kind, &raw, tail)?))
}

/// What the MAC vouches for; everything, when there is no key.
fn authentic<'a>(packet: &'a [u8], key: Option<&MacKey>) -> Result<&'a [u8], WireError> {
    let Some(key) = key else { return Ok(packet) };
    let Some((said, mac)) = packet.split_last_chunk::<MAC_LEN>() else {
        return Err(WireError::Mac);
    };
    if said.len() >= HEAD_LEN && key.is_mac_of(said, mac) { Ok(said) } else { Err(WireError::Mac) }
}

fn read_head(raw: &RawHead) -> Result<Head, WireError> {
    let way = match raw.way {
        0 => Way::Direct,
        1 => Way::Switch,
        _ => return Err(WireError::Field(Field::Way)),
    };
    let id = NodeId::new(raw.sender).ok_or(WireError::Field(Field::Sender))?;
    let incarnation = Incarnation::from_wire(raw.incarnation.get());
    Ok(Head {
        way,
        sender: Member { id, incarnation },
        cluster_id: raw.cluster_id.get(),
        log_time_us: raw.log_time.get(),
        applied: LogIndex::from_wire(raw.applied.get()),
        state_hash: raw.state_hash.get(),
    })
}

#[inline(always)]
fn read_message<'a>(
    kind: Kind,
    raw: &RawHead,
    tail: &'a [u8],
) -> Result<NodeMessage<'a>, WireError> {
    let plain = raw.flags.get() & PLAIN != 0;
    Ok(match kind {
        Kind::Append => read_append(raw, tail)?,
        Kind::Aggregate => NodeMessage::Aggregate(read_aggregate(raw, tail)?),
        Kind::BodyRequest => NodeMessage::BodyRequest {
            question: read_question(raw),
            list: WantedList::parse(raw.count.get(), tail)?,
        },
        Kind::NoBody => {
            NodeMessage::NoBody { question: read_question(raw), wanted: Wanted::parse(tail)? }
        }
        Kind::BodyChunk => NodeMessage::BodyChunk(Chunk::parse(plain, tail)?),
        Kind::Forward => NodeMessage::Forward(Forward::parse(plain, tail)?),
        Kind::Report => NodeMessage::Report(read_report(raw, tail)?),
        _ if !tail.is_empty() => return Err(WireError::Length(HEAD_LEN + tail.len())),
        Kind::Question => NodeMessage::Question { nonce: raw.round.get() },
        Kind::Applied => NodeMessage::Applied { term: Term::from_wire(raw.term.get()) },
        Kind::HeldByAll => NodeMessage::HeldByAll {
            term: Term::from_wire(raw.term.get()),
            index: LogIndex::from_wire(raw.previous_index.get()),
        },
        Kind::RequestVote | Kind::Vote | Kind::Ack | Kind::Reject | Kind::TimeoutNow => {
            NodeMessage::Raft(read_raft(kind, raw))
        }
    })
}

fn read_question(raw: &RawHead) -> BodyQuestion {
    BodyQuestion {
        term: Term::from_wire(raw.term.get()),
        index: LogIndex::from_wire(raw.previous_index.get()),
        number: raw.round.get(),
    }
}

fn read_raft(kind: Kind, raw: &RawHead) -> Message {
    let term = Term::from_wire(raw.term.get());
    let previous_index = LogIndex::from_wire(raw.previous_index.get());
    let round = Round::from_wire(raw.round.get());
    let flag = |flag: u16| raw.flags.get() & flag != 0;
    match kind {
        Kind::RequestVote => Message::RequestVote {
            term,
            pre: flag(PRE),
            transfer: flag(TRANSFER),
            last_index: previous_index,
            last_term: Term::from_wire(raw.previous_term.get()),
        },
        Kind::Vote => Message::Vote { term, pre: flag(PRE), granted: flag(GRANTED) },
        Kind::Ack => {
            let epoch = LogIndex::from_wire(raw.epoch.get());
            Message::Ack { epoch, term, index: previous_index, round }
        }
        Kind::Reject => {
            let hint = LogIndex::from_wire(raw.commit.get());
            Message::Reject { term, previous_index, hint, round }
        }
        _ => Message::TimeoutNow { term },
    }
}

fn read_append<'a>(raw: &RawHead, tail: &'a [u8]) -> Result<NodeMessage<'a>, WireError> {
    let (count, flags) = (raw.count.get(), raw.flags.get());
    let append = Append {
        epoch: LogIndex::from_wire(raw.epoch.get()),
        term: Term::from_wire(raw.term.get()),
        previous_index: LogIndex::from_wire(raw.previous_index.get()),
        previous_term: Term::from_wire(raw.previous_term.get()),
        first_of_term: LogIndex::from_wire(raw.first_of_term.get()),
        commit: LogIndex::from_wire(raw.commit.get()),
        round: Round::from_wire(raw.round.get()),
        count,
        answer: flags & ANSWER != 0,
    };
    let len = usize::from(count) * ENTRY_LEN;
    if len > tail.len() {
        return Err(WireError::Field(Field::Count));
    }
    let (bytes, rest) = tail.split_at(len);
    let entries = Entries::check(bytes)?;
    let (configuration, rest) = read_configuration(flags & CONFIGURATION != 0, rest)?;
    if entries.configuration_is_last() != Some(configuration.is_some()) {
        return Err(WireError::Field(Field::Configuration));
    }
    let bodies = match rest.split_first_chunk() {
        _ if flags & BODIES == 0 && rest.is_empty() => Bodies::default(),
        Some((present, bytes)) if flags & BODIES != 0 => {
            Bodies::check(entries, u32::from_be_bytes(*present), bytes)?
        }
        _ => return Err(WireError::Field(Field::Bodies)),
    };
    Ok(NodeMessage::Append { append, entries, configuration, bodies })
}

/// The configuration at the front of `bytes`, when there is one, and what follows.
fn read_configuration(present: bool, bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), WireError> {
    if !present {
        return Ok((None, bytes));
    }
    let bad = WireError::Field(Field::Configuration);
    let (len, rest) = bytes.split_first_chunk().ok_or(bad)?;
    let len = usize::from(u16::from_be_bytes(*len));
    let (configuration, rest) = rest.split_at_checked(len).ok_or(bad)?;
    Ok((Some(configuration), rest))
}

fn read_aggregate<'a>(raw: &RawHead, tail: &'a [u8]) -> Result<Aggregate<'a>, WireError> {
    let count = raw.count.get();
    if count > NodeId::MAX_NODES.into() || tail.len() != usize::from(count) * APPLIED_LEN {
        return Err(WireError::Field(Field::Count));
    }
    let set = WireError::Field(Field::Set);
    let voters = u16::try_from(raw.previous_index.get()).map_err(|_| set)?;
    if u32::from(voters) >> count != 0 {
        return Err(set);
    }
    let applied = AppliedList { bytes: tail };
    if applied.iter().any(|index| index.to_wire() >= super::NUMBER_MAX) {
        return Err(WireError::Field(Field::Number));
    }
    Ok(Aggregate {
        epoch: LogIndex::from_wire(raw.epoch.get()),
        term: Term::from_wire(raw.term.get()),
        first_of_term: LogIndex::from_wire(raw.first_of_term.get()),
        index: LogIndex::from_wire(raw.commit.get()),
        voters,
        applied,
    })
}

fn read_report<'a>(raw: &RawHead, tail: &'a [u8]) -> Result<Report<'a>, WireError> {
    let (count, flags) = (raw.count.get(), raw.flags.get());
    let len = usize::from(count) * LIFE_LEN;
    if count > NodeId::MAX_NODES.into() || len > tail.len() {
        return Err(WireError::Field(Field::Count));
    }
    let (bytes, rest) = tail.split_at(len);
    let mut above = None;
    for life in bytes.as_chunks().0 {
        let member = read_life(life).filter(|member| Some(member.id) > above);
        above = Some(member.ok_or(WireError::Field(Field::Lives))?.id);
    }
    let (configuration, rest) = read_configuration(flags & CONFIGURATION != 0, rest)?;
    if !rest.is_empty() {
        return Err(WireError::Length(HEAD_LEN + tail.len()));
    }
    let memory = flags & MEMORY != 0;
    Ok(Report { nonce: raw.round.get(), memory, lives: Lives { bytes }, configuration })
}
