//! HC7: never twice. A session's write is executed at one index only; a plain client's once in a window; nothing is executed in a
//! session that is not open.

use std::collections::BTreeMap;

use hovercraft::audit::{AuditEntry, Decided};
use hovercraft::entry::EntryKind;
use r2p2::request_id::RequestId;

use crate::random::micros;

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Once {
    /// Where and with which stamp a write was executed, by id and, without a session, hash.
    executed: BTreeMap<(RequestId, u64), (u64, u64)>,
    looked: BTreeMap<usize, usize>,
    /// Stamp of the last entry of each session; by the first node that decided it.
    touched: BTreeMap<u64, u64>,
    decided: u64,
}

impl Property for Once {
    fn look(&mut self, view: &View<'_>) -> Found {
        let window = micros(view.book.knobs.limits.plain_window);
        let looked = self.looked.entry(view.place).or_default();
        for entry in view.replica.audit().iter().skip(*looked) {
            *looked += 1;
            if entry.index.to_wire() == self.decided + 1 {
                self.decided += 1;
                let cluster_id = view.replica.status().cluster_id;
                in_session(&mut self.touched, entry, cluster_id, view)?;
            }
            let Some(request) = entry.request.filter(|request| request.is_write()) else {
                continue;
            };
            if entry.decided != Decided::Executed {
                continue;
            }
            let (index, stamp) = (entry.index.to_wire(), request.stamp_us);
            let hash = if request.id.session == 0 { request.hash } else { 0 };
            let here = (index, stamp);
            let (first, at) = *self.executed.entry((request.id, hash)).or_insert(here);
            let forgotten = request.id.session == 0 && stamp.saturating_sub(at) >= window;
            holds("HC7", first >= index || forgotten, || {
                format!("{:?} was executed at {first} and at {index}", request.id)
            })?;
            if forgotten {
                self.executed.insert((request.id, hash), here);
            }
        }
        Ok(())
    }

    fn begins_anew(&mut self, place: usize) {
        self.looked.remove(&place);
    }
}

/// HC7b: sessions are opened by an entry, and expire by log time since their last one.
fn in_session(
    touched: &mut BTreeMap<u64, u64>,
    entry: &AuditEntry,
    cluster_id: u64,
    view: &View<'_>,
) -> Found {
    let Some(request) = entry.request else { return Ok(()) };
    let (index, stamp, session) = (entry.index.to_wire(), entry.log_time_us, request.id.session);
    if request.kind == EntryKind::Open && entry.decided == Decided::Executed {
        touched.insert(index ^ cluster_id, stamp);
    }
    if session == 0 {
        return Ok(());
    }
    let expiry = micros(view.book.knobs.limits.session_expiry);
    let open = touched.get(&session).is_some_and(|last| stamp.saturating_sub(*last) <= expiry);
    if open {
        touched.insert(session, stamp);
    } else {
        touched.remove(&session);
    }
    if request.kind == EntryKind::Close && open {
        touched.remove(&session);
    }
    holds("HC7b", open || entry.decided != Decided::Executed, || {
        format!("entry {index} was executed in session {session}, which was not open")
    })
}
