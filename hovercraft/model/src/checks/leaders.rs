//! Election safety and leader completeness (Raft, figure 3).

use super::World;

/// Who led each term, of the first fifteen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Leaders(u32);

impl Leaders {
    /// Who led this term; 0 when nobody did.
    #[must_use]
    pub fn of(self, term: u64) -> u8 {
        (self.0 >> shift(term) & 3).to_le_bytes()[0]
    }

    /// With `id` as the leader of `term`.
    #[must_use]
    pub fn with(self, term: u64, id: u8) -> Self {
        Self(self.0 | u32::from(id & 3) << shift(term))
    }

    /// As a word of a state.
    #[must_use]
    pub const fn to_word(self) -> u32 {
        self.0
    }

    /// From a word of a state.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }
}

fn shift(term: u64) -> u32 {
    assert!(term < 16, "the scopes end before term {term}");
    2 * u32::from(term.to_le_bytes()[0])
}

/// At most one node leads a term, now or ever.
pub(super) fn election_safety(world: &World<'_>) -> Result<(), String> {
    let View { id, term, .. } = *world.after;
    let other = world.leaders.of(term);
    if world.after.leads() && other != 0 && other != id {
        return Err(format!("n{id} leads term {term}, which n{other} led"));
    }
    Ok(())
}

use crate::view::View;

/// Who comes to lead a term has every entry that was committed in an earlier one.
pub(super) fn leader_completeness(world: &World<'_>) -> Result<(), String> {
    let (before, after) = (world.before, world.after);
    if !after.leads() || (before.leads() && before.term == after.term) {
        return Ok(());
    }
    for (index, committed) in (1..).zip(&world.record.0) {
        let has = after.entry(index).map(|entry| entry.digest);
        if committed.in_term < after.term && has != Some(committed.digest) {
            let (id, term, earlier) = (after.id, after.term, committed.in_term);
            return Err(format!(
                "n{id} leads term {term} without index {index}, which was committed in term {earlier}"
            ));
        }
    }
    Ok(())
}
