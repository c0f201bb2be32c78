//! Totals: what happened how often. Read by the control thread; nothing here decides, and none of it is protocol state.

use r2p2::refusal::Reason;

/// A struct of totals that can name them all.
macro_rules! totals {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        $vis struct $name {
            $($(#[$field_doc])* $vis $field: u64,)*
        }

        impl $name {
            /// Every total with its name, always in the same order.
            $vis fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field),)*].into_iter()
            }
        }
    };
}
pub(crate) use totals;

/// Refusals sent to clients, by reason (wire.md 6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refusals([u64; NAMES.len()]);

/// By [`Reason`]'s number, from 1.
const NAMES: [&str; 8] = [
    "nack_overload",
    "nack_unknown_session",
    "nack_above_window",
    "nack_changes_state",
    "nack_too_large",
    "nack_no_leader",
    "nack_not_kept",
    "nack_failed",
];

impl Refusals {
    /// One more.
    pub(crate) fn count(&mut self, reason: Reason) {
        self.0[reason as usize - 1] += 1;
    }

    /// Every total with its name, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        NAMES.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_total() {
        let mut refusals = Refusals::default();
        for (reason, name) in [
            (Reason::Overload, "nack_overload"),
            (Reason::UnknownSession, "nack_unknown_session"),
            (Reason::AboveWindow, "nack_above_window"),
            (Reason::ChangesState, "nack_changes_state"),
            (Reason::TooLarge, "nack_too_large"),
            (Reason::NoLeader, "nack_no_leader"),
            (Reason::NotKept, "nack_not_kept"),
            (Reason::Failed, "nack_failed"),
        ] {
            let before: Vec<_> = refusals.iter().collect();
            refusals.count(reason);
            let changed: Vec<_> =
                refusals.iter().zip(before).filter(|(now, then)| now != then).collect();
            assert_eq!(changed.len(), 1);
            assert_eq!(changed[0].0, (name, 1));
        }
    }
}
