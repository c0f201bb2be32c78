//! What the search need not try: which values are needed, by whom, and who can still make them.
//!
//! Invariants:
//! - R1. A value that no answer depends on is as good as any other such: they become one, [`UNSEEN`], and a write of it
//!   whose outcome nobody knows is left out. Not so where an answer depends on there being some value, whichever (a delete
//!   that was done, a refused increment), or where an append or increment of unknown outcome could make a value that
//!   matters out of one that seems not to.
//! - R2. A value is not left while an answered operation still needs it and nothing is left that could make it again.

use super::model::{ABSENT, Action, Answer, Model, Op, UNSEEN};

/// What an operation takes and leaves, as its answer tells.
#[derive(Clone, Copy, Debug, Default)]
struct Role {
    /// Can have been answered so only at this value.
    needs: Option<u32>,
    /// Leaves this value, if it happens.
    makes: Option<u32>,
    /// May leave any value.
    makes_any: bool,
}

/// Who needs and who makes each value, among the operations not yet ordered.
#[derive(Debug, Default)]
pub(super) struct Relevance {
    roles: Vec<Role>,
    needed: Vec<u32>,
    made: Vec<u32>,
    made_any: u32,
    /// By operation: when the value that it alone makes is first needed, or it is answered.
    due: Vec<u64>,
}

impl Relevance {
    /// Looks at the operations of a key, simplifies them (R1), and counts.
    pub(super) fn new(model: &mut Model) -> Self {
        simplify(model);
        let ops = model.ops.clone();
        let roles: Vec<Role> = ops.iter().map(|op| role(op, model)).collect();
        let values = model.values_len();
        let mut relevance =
            Self { needed: vec![0; values], made: vec![0; values], ..Self::default() };
        let mut first_needed = vec![u64::MAX; values];
        for (role, op) in roles.iter().zip(&ops) {
            if let Some(at) = role.needs.map(place) {
                relevance.needed[at] += 1;
                first_needed[at] = first_needed[at].min(op.end);
            }
            if let Some(made) = role.makes.and_then(|value| relevance.made.get_mut(place(value))) {
                *made += 1;
            }
            relevance.made_any += u32::from(role.makes_any);
        }
        let due = roles.iter().zip(&ops).map(|(role, op)| {
            let alone = role.makes.filter(|&value| relevance.made.get(place(value)) == Some(&1));
            alone.map_or(op.end, |value| op.end.min(first_needed[place(value)]))
        });
        relevance.due = due.collect();
        relevance.roles = roles;
        relevance
    }

    /// When the search should have ordered this operation.
    pub(super) fn due(&self, op: usize) -> u64 {
        self.due[op]
    }

    /// R2: whether `op` must not lead away from `state` yet.
    pub(super) fn forbids(&self, op: usize, state: u32) -> bool {
        let role = &self.roles[op];
        let needed = self.needed.get(place(state)).copied().unwrap_or_default();
        let made = self.made.get(place(state)).copied().unwrap_or_default();
        needed > u32::from(role.needs == Some(state))
            && made == u32::from(role.makes == Some(state))
            && self.made_any == u32::from(role.makes_any)
    }

    /// `op` is ordered.
    pub(super) fn take(&mut self, op: usize) {
        self.count(op, |count| count - 1);
    }

    /// `op` is not ordered after all.
    pub(super) fn give_back(&mut self, op: usize) {
        self.count(op, |count| count + 1);
    }

    fn count(&mut self, op: usize, change: fn(u32) -> u32) {
        let role = self.roles[op];
        if let Some(needed) = role.needs.and_then(|value| self.needed.get_mut(place(value))) {
            *needed = change(*needed);
        }
        if let Some(made) = role.makes.and_then(|value| self.made.get_mut(place(value))) {
            *made = change(*made);
        }
        if role.makes_any {
            self.made_any = change(self.made_any);
        }
    }
}

fn place(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn role(op: &Op, model: &mut Model) -> Role {
    let makes = |value| Role { makes: Some(value), ..Role::default() };
    let needs = |value| Role { needs: Some(value), ..Role::default() };
    match (op.action, op.answer) {
        (Action::Get, Some(Answer::Value(value))) => needs(value),
        (Action::Get | Action::Delete, Some(Answer::Absent)) => needs(ABSENT),
        (Action::Put { value }, _) => makes(value),
        (Action::Delete, _) => makes(ABSENT),
        (Action::Swap { .. }, Some(Answer::Conflict(value))) => needs(value),
        (Action::Swap { expected, value }, Some(_)) => {
            Role { needs: Some(expected), ..makes(value) }
        }
        (Action::Swap { value, .. }, None) => makes(value),
        (Action::Append { suffix }, Some(Answer::Value(value))) => {
            // Nothing may have been there, or an empty value: then no single one is needed.
            let before = model.before_append(value, suffix).filter(|&before| before != ABSENT);
            Role { needs: before, ..makes(value) }
        }
        (Action::Increment { by }, Some(Answer::Integer(sum))) => {
            let before = sum.checked_sub(by).filter(|&before| before != 0);
            let needs = before.map(|before| model.decimal(before));
            Role { needs, ..makes(model.decimal(sum)) }
        }
        (Action::Append { .. } | Action::Increment { .. }, None) => {
            Role { makes_any: true, ..Role::default() }
        }
        _ => Role::default(),
    }
}

/// R1.
fn simplify(model: &mut Model) {
    let ops = model.ops.clone();
    let depends_on_any = ops.iter().any(|op| {
        let unknown = op.answer.is_none();
        match op.action {
            Action::Delete => op.answer == Some(Answer::Done),
            Action::Append { .. } | Action::Increment { .. } => {
                unknown || matches!(op.answer, Some(Answer::Failed(_)))
            }
            _ => false,
        }
    });
    if depends_on_any {
        return;
    }
    let roles: Vec<Role> = ops.iter().map(|op| role(op, model)).collect();
    let (empty, zero) = (model.empty(), model.decimal(0));
    let mut seen = vec![false; model.values_len()];
    for (role, op) in roles.iter().zip(&ops) {
        let expected = match op.action {
            Action::Swap { expected, .. } => Some(expected),
            _ => None,
        };
        // What was before the first append or increment is one of two.
        let either = match op.action {
            Action::Append { .. } if role.needs.is_none() => [Some(ABSENT), Some(empty)],
            Action::Increment { .. } if role.needs.is_none() => [Some(ABSENT), Some(zero)],
            _ => [None, None],
        };
        for value in either.into_iter().chain([role.needs, expected]).flatten() {
            seen[place(value)] = true;
        }
    }
    let unseen = |value: u32| !seen[place(value)];
    for op in &mut model.ops {
        match &mut op.action {
            Action::Put { value } | Action::Swap { value, .. } if unseen(*value) => *value = UNSEEN,
            _ => {}
        }
    }
    model.ops.retain(|op| match op.action {
        Action::Put { value } | Action::Swap { value, .. } => {
            op.answer.is_some() || value != UNSEEN
        }
        Action::Delete => op.answer.is_some() || !unseen(ABSENT),
        _ => true,
    });
}
