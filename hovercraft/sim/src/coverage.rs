//! Named states: what a long run must have reached for its silence to mean something.

use std::collections::BTreeMap;

use hovercraft::command::{Command, Tell, Told};
use hovercraft::replica::Role;

use crate::checks::book::{Mirror, News};
use crate::node::Node;

/// How often each named state occurred.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<&'static str, u64>,
}

/// The states by name, and what each is. Those with a `Some` are a total of the nodes, by its name.
const STATES: &[(&str, Option<&str>)] = &[
    ("elections_won", Some("elections_won")),
    ("elections_under_load", None),
    ("pre_votes_started", Some("pre_votes_started")),
    ("leaders_without_quorum", Some("quorums_lost")),
    ("logs_truncated", None),
    ("entries_truncated", None),
    ("appends_rejected", Some("rejects_sent")),
    ("appends_parked", Some("appends_parked")),
    ("parked_dropped", Some("parked_dropped")),
    ("bodies_missed", Some("bodies_missed")),
    ("bodies_pulled", Some("bodies_pulled")),
    ("recovery_chunks", Some("chunks_sent")),
    ("bodies_not_here", Some("bodies_not_here")),
    ("unordered_full", Some("unordered_full")),
    ("unordered_expired", Some("unordered_expired")),
    ("log_full", Some("log_full")),
    ("handed_over_full", Some("handed_over_full")),
    ("refused_overload", Some("refused_overload")),
    ("refused_plain_full", Some("refused_plain_full")),
    ("packets_wanted", Some("packets_wanted")),
    ("forwarded", Some("forwarded")),
    ("forwards_too_late", Some("forwards_too_late")),
    ("repetition_noted_unapplied", Some("repetitions_noted")),
    ("repetition_answered_from_kept", Some("repetitions_answered")),
    ("repetition_answered_with_its_entry", None),
    ("repetition_not_kept", Some("replies_without_room")),
    ("session_opened", None),
    ("session_unknown_at_apply", None),
    ("answered_too_late", Some("too_late")),
    ("reads_executed", Some("reads")),
    ("crashes", None),
    ("later_lives", None),
    ("pauses", None),
    ("stalls_of_the_application", None),
    ("clocks_changed", None),
    ("hand_overs", None),
    ("clients_replaced", None),
    ("client_pauses", None),
    ("one_way_cuts", None),
    ("fenced_nodes", None),
    ("splits", None),
    ("members_deaf_to_multicast", None),
    ("log_time_of_another_term", None),
    ("plain_clients", None),
    ("session_clients", None),
    ("plain_ids_wrapped", None),
    ("left_without_quorum", None),
    ("single_node", None),
    ("even_cluster", None),
    ("nine_nodes", None),
    ("unreplicated", None),
    ("mode_raft", None),
    ("black_box_checked", None),
];

impl Coverage {
    /// It happened.
    pub fn note(&mut self, state: &'static str) {
        self.add(state, 1);
    }

    /// It happened so often.
    pub fn add(&mut self, state: &'static str, times: u64) {
        debug_assert!(STATES.iter().any(|(name, _)| *name == state), "{state} has no place");
        if times > 0 {
            *self.counts.entry(state).or_default() += times;
        }
    }

    /// What another run reached.
    pub fn merge(&mut self, other: &Self) {
        for (state, times) in &other.counts {
            *self.counts.entry(state).or_default() += times;
        }
    }

    /// Every state with its count, zeroes included.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATES.iter().map(|(name, _)| (*name, self.counts.get(name).copied().unwrap_or(0)))
    }

    /// What a node's life counted.
    pub(crate) fn add_totals(&mut self, node: &Node) {
        let totals = node.replica.totals().chain(node.application.totals());
        for (total, value) in totals {
            let states = STATES.iter().filter(|(_, counted)| *counted == Some(total));
            for (state, _) in states {
                self.add(state, value);
            }
        }
    }

    pub(crate) fn watch(&mut self, news: &News, mirror: &Mirror) {
        if news.cut > 0 {
            self.note("logs_truncated");
            self.add("entries_truncated", news.cut);
        }
        if news.elected && mirror.role == Role::Leader {
            let backlog = mirror.last() > mirror.commit + 1;
            self.add("elections_under_load", backlog.into());
            self.add("log_time_of_another_term", (mirror.last() > 2).into());
        }
    }

    pub(crate) fn hands(&mut self, command: &Command) {
        match command {
            Command::Also(_) => self.note("repetition_answered_with_its_entry"),
            Command::Tell(Tell { what: Told::Opened { .. }, .. }) => self.note("session_opened"),
            Command::Tell(Tell { what: Told::Refused(_), .. }) => {
                self.note("session_unknown_at_apply");
            }
            _ => {}
        }
    }
}
