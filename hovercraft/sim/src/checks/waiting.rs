//! HC6d and HC8: what is ordered was sent by a client, whole; a plain client's not later than its age allows. What waits on a follower
//! leaves for the log, or by its age, and for no other reason.

use std::collections::BTreeMap;

use hovercraft::entry::EntryKind;
use raft_core::entry::Payload;
use raft_core::ids::LogIndex;

use super::book::digest;
use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Waiting {
    /// By node: requests that waited, how many had expired by then, and whether it led.
    before: BTreeMap<usize, (u64, u64, bool)>,
}

impl Property for Waiting {
    fn look(&mut self, view: &View<'_>) -> Found {
        self.survives(view)?;
        if !view.leads {
            return Ok(());
        }
        let mirror = view.mirror();
        for index in view.news.from..=view.news.last {
            let Some(stood) = mirror.at(index) else { break };
            let Payload::Command(request) = stood.payload else { continue };
            let asked = matches!(request.kind, EntryKind::Write | EntryKind::Read);
            let body = view.replica.body_at(LogIndex::from_wire(index));
            let (true, Some(body)) = (asked, body) else { continue };
            let submitted = view.book.submitted_at(digest(body));
            holds("HC6d", submitted.is_some(), || {
                format!("nobody ever sent the body of entry {index}, {:?}", request.id)
            })?;
            let own = stood.term.to_wire() == mirror.term;
            let Some(at) = submitted.filter(|_| own && request.plain) else { continue };
            let (limits, age) = (&view.book.knobs.limits, view.now.saturating_sub(at));
            // The client's last try goes out before it gives up; clocks of plain runs are right to a fiftieth.
            let longest = limits.plain_window.saturating_sub(limits.packet_life);
            let last_try = longest.saturating_sub(limits.unordered_expiry);
            let most = last_try + limits.packet_life + limits.unordered_expiry * 51 / 50;
            holds("HC8", age <= most, || {
                format!(
                    "entry {index} orders plain {:?} {age:?} after it was first sent",
                    request.id
                )
            })?;
        }
        Ok(())
    }
}

impl Waiting {
    /// A leader also drops what the tables know; a follower does not, whomever it follows.
    fn survives(&mut self, view: &View<'_>) -> Found {
        let totals = view.replica.totals();
        let expired = totals.filter(|(name, _)| *name == "unordered_expired").map(|(_, n)| n);
        let now = (view.replica.gauges().unordered, expired.sum(), view.leads);
        let before = self.before.insert(view.place, now).unwrap_or(now);
        let bound = view.news.last.saturating_sub(view.news.from - 1);
        let left = now.0 + bound + now.1.saturating_sub(before.1);
        let judged = view.leads || before.2;
        holds("HC8", judged || left >= before.0, || {
            format!(
                "of {} requests that waited on n{} only {} are left; {bound} came to stand in its log",
                before.0,
                view.place + 1,
                now.0
            )
        })
    }
}
