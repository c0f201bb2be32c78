//! HC2: commit only what was matched, in this term.

use super::{Step, World};

/// HC2a: a leader commits by counting only from its term's first index on; older entries commit with it.
pub(super) fn hc2a_first_of_term(step: &Step<'_>) -> Result<(), String> {
    let Step { before, after, .. } = step;
    let rose = after.commit > before.commit;
    let term = after.entry(after.commit).map(|entry| entry.term);
    if after.leads() && rose && term != Some(after.term) {
        let (id, commit, own) = (after.id, after.commit, after.term);
        let term = term.unwrap_or(0);
        return Err(format!("n{id} leads term {own} and commits index {commit} of term {term}"));
    }
    Ok(())
}

/// HC2b: nothing is committed that is not known to equal the log of the term's leader. What is committed goes with its node into
/// the next term.
pub(super) fn hc2b_verified(step: &Step<'_>) -> Result<(), String> {
    let View { id, commit, verified, .. } = step.after;
    if commit > verified {
        return Err(format!("n{id} commits index {commit} and has verified {verified}"));
    }
    Ok(())
}

/// HC2b: neither the index falls, nor does the log below it change.
pub(super) fn hc2b_never_falls(step: &Step<'_>) -> Result<(), String> {
    let Step { before, after, .. } = step;
    let (id, was, is) = (after.id, before.commit, after.commit);
    if is < was {
        return Err(format!("the commit index of n{id} falls from {was} to {is}"));
    }
    for index in 1..=was {
        if before.entry(index) != after.entry(index) {
            return Err(format!("n{id} changes its entry {index}, committed up to {was}"));
        }
    }
    Ok(())
}

use crate::view::View;

/// What any node takes for committed stands in the logs of a majority. A life that has ended counts for what it held.
pub(super) fn on_a_majority(world: &World<'_>) -> Result<(), String> {
    for node in world.nodes {
        for index in 1..=node.commit {
            let own = node.entry(index);
            let holds = |view: &View| view.entry(index) == own;
            // An ended life and the fresh one in its place are one voter.
            let ended = world.ended.filter(|view| holds(view)).map(|view| view.id);
            let holding =
                world.nodes.iter().filter(|view| holds(view) || ended == Some(view.id)).count();
            if own.is_none() || holding * 2 <= world.nodes.len() {
                let id = node.id;
                return Err(format!(
                    "n{id} has committed index {index}, which {holding} nodes hold"
                ));
            }
        }
    }
    Ok(())
}
