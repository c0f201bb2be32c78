//! HC7: never twice. A session's write is executed at one index only; a plain client's once in a window.

use std::collections::BTreeMap;

use hovercraft::audit::Decided;
use r2p2::request_id::RequestId;

use crate::random::micros;

use super::{Found, Property, View, holds};

#[derive(Default)]
pub(super) struct Once {
    /// Where and with which stamp a write was executed, by id and, without a session, hash.
    executed: BTreeMap<(RequestId, u64), (u64, u64)>,
    looked: BTreeMap<usize, usize>,
}

impl Property for Once {
    fn look(&mut self, view: &View<'_>) -> Found {
        let window = micros(view.book.knobs.limits.plain_window);
        let looked = self.looked.entry(view.place).or_default();
        for entry in view.replica.audit().iter().skip(*looked) {
            *looked += 1;
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
