//! Bodies as a model checker sees them.

use raft_core::ids::LogIndex;

use super::{BodyKey, NONE, Origin, Slot, Store};
use crate::entry::EntryKind;
use r2p2::request_id::ClientAddress;

/// What decides of one body. Its bytes follow from its name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct BodyState {
    /// Its place among the waiting.
    waits: Option<usize>,
    hash: u64,
    id: (ClientAddress, u64, u64),
    from: OriginState,
    /// Its place in the order of ages, the oldest first, equal ones alike.
    age: usize,
    again: Option<OriginState>,
    pins: u32,
    logged_at: LogIndex,
    from_client: bool,
    kept_at: LogIndex,
}

type OriginState = (ClientAddress, bool, u8, u16);

impl Store {
    /// Every body here, those that wait first, in their order. Ages enter as an order, slots and bursts not at all.
    pub(crate) fn protocol_state(&self) -> Vec<BodyState> {
        let used: Vec<&Slot> = self.slots.iter().filter(|slot| slot.used).collect();
        let state = |slot: &&Slot| BodyState {
            waits: None,
            hash: slot.key.hash,
            id: (slot.key.id.client, slot.key.id.session, slot.key.id.number),
            from: origin(&slot.origin),
            age: used.iter().filter(|other| is_older(other, slot)).count(),
            again: slot.again.as_ref().map(origin),
            pins: slot.pins,
            logged_at: slot.logged_at,
            from_client: slot.from_client,
            kept_at: slot.kept_at,
        };
        let place = |key: &BodyKey| {
            let mut at = self.oldest;
            let waiting = core::iter::from_fn(|| {
                let slot = (at != NONE).then(|| &self.slots[at as usize])?;
                at = slot.younger;
                Some(&slot.key)
            });
            { waiting }.position(|waiting| waiting == key)
        };
        let mut bodies: Vec<BodyState> =
            used.iter().map(|slot| BodyState { waits: place(&slot.key), ..state(slot) }).collect();
        bodies.sort();
        bodies
    }
}

fn origin(origin: &Origin) -> OriginState {
    let kind = match origin.kind {
        EntryKind::Write => 0,
        EntryKind::Read => 1,
        EntryKind::Open => 2,
        EntryKind::Close => 3,
    };
    (origin.client, origin.plain, kind, origin.above_floor)
}

fn is_older(one: &Slot, other: &Slot) -> bool {
    one.origin.age_from < other.origin.age_from
}
