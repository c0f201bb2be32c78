//! HC3: at most one life answers an entry unasked, the one that the entry names; a plain client is not answered late.

use core::time::Duration;
use std::collections::BTreeMap;

use hovercraft::command::{Command, Execute, Tell};
use raft_core::entry::Payload;
use raft_core::ids::Member;

use super::{Found, Property, Seen, Speaker, holds};

/// What an append and the news that follows it may take on top of the time to live: two heartbeats, and the burst that reads them.
const UNDER_WAY: Duration = Duration::from_millis(90);

#[derive(Default)]
pub(super) struct Repliers {
    /// Who answers, by index.
    answers: BTreeMap<u64, Member>,
}

impl Property for Repliers {
    fn hands(&mut self, speaker: &Speaker<'_>, command: &Command) -> Found {
        let index = match command {
            Command::Execute(Execute { index, answer: Some(_), .. })
            | Command::Tell(Tell { index, answer: Some(_), .. }) => index.to_wire(),
            _ => return Ok(()),
        };
        let mirror = speaker.mirror();
        let (Some(me), Some(stood)) = (mirror.life, mirror.at(index)) else { return Ok(()) };
        let Payload::Command(request) = stood.payload else { return Ok(()) };
        holds("HC3a", request.replier == me.id, || {
            format!("{me:?} answers entry {index}, whose replier is {:?}", request.replier)
        })?;
        let first = *self.answers.entry(index).or_insert(me);
        holds("HC3a", first == me, || format!("{first:?} and {me:?} both answer entry {index}"))
    }

    fn serves(&mut self, seen: &Seen<'_>) -> Found {
        let Some(to) = seen.served.unasked.filter(|to| to.plain) else { return Ok(()) };
        if seen.answered.is_none() {
            return Ok(());
        }
        let (index, knobs) = (seen.served.index, &seen.book.knobs);
        let term = seen.book.mirrors[seen.place].term_at(index);
        let Some(fact) = seen.book.fact(index, term) else { return Ok(()) };
        let age = seen.now.saturating_sub(fact.first_at);
        // A later leader counts from when it got the last entry: its log time may lag behind the true one.
        if seen.book.leaders.keys().next_back() != Some(&term) {
            return Ok(());
        }
        // Clocks of plain runs are right to a fiftieth.
        let most = knobs.limits.answer_ttl * 51 / 50 + knobs.limits.packet_life + UNDER_WAY;
        holds("HC3c", age <= most, || {
            format!("n{} answers plain {to:?} {age:?} after entry {index}", seen.place + 1)
        })
    }
}
