//! HC5: a read is executed at its place in the log, after all that stands before it, and never counts as a repetition.

use std::collections::BTreeMap;

use hovercraft::audit::Decided;
use hovercraft::command::Command;

use super::{Found, Property, Seen, Speaker, View, holds};

#[derive(Default)]
pub(super) struct Reads {
    looked: BTreeMap<usize, usize>,
    /// The last index that each application half has done.
    done: BTreeMap<usize, u64>,
    /// The last write handed to it.
    handed: BTreeMap<usize, u64>,
}

impl Property for Reads {
    fn look(&mut self, view: &View<'_>) -> Found {
        let looked = self.looked.entry(view.place).or_default();
        for entry in view.replica.audit().iter().skip(*looked) {
            *looked += 1;
            let read = entry.request.is_some_and(|request| !request.is_write());
            holds("HC5", !read || entry.decided != Decided::Repetition, || {
                format!("the read at {} counts as a repetition", entry.index)
            })?;
        }
        Ok(())
    }

    fn hands(&mut self, speaker: &Speaker<'_>, command: &Command) -> Found {
        let index = match command {
            Command::Execute(execute) => execute.index.to_wire(),
            Command::Tell(tell) => tell.index.to_wire(),
            _ => return Ok(()),
        };
        let handed = self.handed.entry(speaker.place).or_default();
        let last = core::mem::replace(handed, index);
        holds("HC5", index > last, || {
            format!("n{} hands {index} over after {last}", speaker.place + 1)
        })
    }

    fn serves(&mut self, seen: &Seen<'_>) -> Found {
        let index = seen.served.index;
        if index == 0 {
            return Ok(());
        }
        let done = self.done.entry(seen.place).or_default();
        let last = core::mem::replace(done, index);
        holds("HC5", index > last, || format!("n{} executes {index} after {last}", seen.place + 1))
    }

    fn begins_anew(&mut self, place: usize) {
        self.looked.remove(&place);
        self.done.remove(&place);
        self.handed.remove(&place);
    }
}
