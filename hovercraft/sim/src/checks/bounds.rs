//! HC12: nothing grows beyond its limit. HC1d: no body is lost.

use std::collections::BTreeMap;

use hovercraft::replica::Mode;

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Bounds {
    /// Entries cut off a node's log: their bodies wait again, whatever waits already (HC8).
    returned: BTreeMap<usize, u64>,
}

impl Property for Bounds {
    fn look(&mut self, view: &View<'_>) -> Found {
        let (knobs, gauges) = (&view.book.knobs, view.replica.gauges());
        let (room, limits) = (&knobs.room, &knobs.limits);
        let returned = self.returned.entry(view.place).or_default();
        *returned += view.news.cut;
        // Recovered bodies wait for the append that asked for them.
        let parked = u64::from(room.parked_max) * u64::from(room.append_entries_max);
        let asked_for = match knobs.mode {
            // Bodies that came inside appends wait for these, refused ones too: as many as there are places.
            Mode::Raft => u64::from(room.log_entries),
            _ => parked + u64::from(room.wants_max),
        };
        let waiting = gauges.unordered.saturating_sub(*returned + asked_for);
        let bounds = [
            ("unordered requests", waiting, room.unordered_max),
            ("parked appends", gauges.parked, room.parked_max),
            ("missing bodies", gauges.missing_bodies, room.wants_max),
            ("commands under way", gauges.outstanding, room.commands_max),
            ("sessions", gauges.sessions, limits.sessions_max),
            ("plain ids", gauges.plain_ids, limits.plain_ids_max),
            ("entries not applied", gauges.last - gauges.applied, room.log_entries),
        ];
        holds("HC1d", gauges.body_lost == 0, || {
            format!("n{} stopped: nobody has a body that its log names", view.place + 1)
        })?;
        for (what, number, most) in bounds {
            holds("HC12", number <= u64::from(most), || {
                format!("n{} has {number} {what}: at most {most}", view.place + 1)
            })?;
        }
        Ok(())
    }
}
