//! Log matching and state machine safety (Raft, figure 3).

use super::World;
use crate::view::View;

/// What was committed first at each index, from 1 on, whoever is left of those who did.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Record(pub Vec<Committed>);

/// An entry, and the term in which it was committed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Committed {
    /// Of the entry.
    pub digest: u64,
    /// Term of the node that was the first to commit it.
    pub in_term: u64,
}

impl Record {
    /// With what this node has committed beyond it; `None` when that is nothing.
    #[must_use]
    pub fn with(&self, view: &View) -> Option<Self> {
        let known = self.0.len() as u64;
        if view.commit <= known {
            return None;
        }
        let mut record = self.clone();
        let entries = (known + 1..=view.commit).filter_map(|index| view.entry(index));
        let committed = |digest| Committed { digest, in_term: view.term };
        record.0.extend(entries.map(|entry| committed(entry.digest)));
        Some(record)
    }
}

/// Two logs with the same term at an index are the same up to there.
pub(super) fn log_matching(world: &World<'_>) -> Result<(), String> {
    let one = world.after;
    for other in world.nodes.into_iter().chain(world.ended).filter(|other| other.id != one.id) {
        let shared = one.log.iter().zip(&other.log);
        let same_term = shared.clone().rposition(|(a, b)| a.term == b.term);
        let differs = shared.clone().position(|(a, b)| a != b);
        if let (Some(agrees), Some(differs)) = (same_term, differs)
            && differs <= agrees
        {
            let (a, b, agrees, differs) = (one.id, other.id, agrees + 1, differs + 1);
            return Err(format!(
                "n{a} and n{b} have the same term at index {agrees} and differ at {differs}"
            ));
        }
    }
    Ok(())
}

/// All nodes commit the same entry at an index, now or ever, and have executed the same there, byte by byte.
pub(super) fn state_machine_safety(world: &World<'_>) -> Result<(), String> {
    let one = world.after;
    for (index, committed) in (1..=one.commit).zip(&world.record.0) {
        if one.entry(index).map(|entry| entry.digest) != Some(committed.digest) {
            let (id, term) = (one.id, committed.in_term);
            return Err(format!(
                "n{id} commits another entry at index {index} than was committed in term {term}"
            ));
        }
    }
    for other in world.nodes.into_iter().chain(world.ended).filter(|other| other.id != one.id) {
        let differs = one.executed.iter().zip(&other.executed).find(|(a, b)| a != b);
        if let Some((a, _)) = differs {
            let (id, them, index) = (one.id, other.id, a.0);
            return Err(format!("n{id} and n{them} executed different bytes at index {index}"));
        }
    }
    Ok(())
}
