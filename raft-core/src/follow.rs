//! Taking entries from the leader (Raft, section 5.3), and the aggregator's word (design HC9a).
//!
//! Invariants:
//! - F1. Entries that match are never erased, whatever order appends come in (faults.md R8): only an entry of another
//!   term at its index cuts the log, and never at or below the commit index.
//! - F2. What is acknowledged equals the leader's log, and the append that is answered reached so far (HC1b).
//! - F3. Only a round above the last one seen in this term shows that the leader lives (HC9b).

use core::fmt::Debug;

use planted::Plant;

use crate::Instant;
use crate::election::Role;
use crate::entry::{Command, Configuration, Entry, Payload};
use crate::ids::{LogIndex, Member, NodeSet, Seq, Term};
use crate::message::{Append, Message};
use crate::output::Output;
use crate::raft::Raft;

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// An append has arrived with `entries`, of which the caller may have cut the end, lowering `append.count`. Its last
    /// entry's `configuration` comes with it when it is one.
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left, or `append.count` is not the number of `entries`.
    pub fn append(
        &mut self,
        now: Instant,
        from: Member,
        append: Append,
        entries: &[Entry<E>],
        configuration: Option<&Configuration<C>>,
    ) {
        self.assert_drained();
        assert_eq!(usize::from(append.count), entries.len(), "an append's count and its entries");
        if self.follow(now, from, &append) {
            self.commit.hear(append.commit);
            if !self.agrees_with(append.previous_index, append.previous_term) {
                self.advance_commit();
                self.refuse(from, &append);
            } else if let Some(end) = self.take(&append, entries, configuration) {
                self.commit.verify(end);
                self.advance_commit();
                self.acknowledge(from, &append);
            } else {
                self.counters.impossible += 1;
            }
        }
        self.save_vote();
    }

    /// The head of an append has arrived whose entries, and some before them, wait outside for a missing body (HC1a):
    /// all of it counts but the entries. It is acknowledged as far as the log goes, and never refused for the gap.
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn append_parked(&mut self, now: Instant, from: Member, append: Append) {
        self.assert_drained();
        if self.follow(now, from, &append) {
            self.commit.hear(append.commit);
            self.advance_commit();
            self.acknowledge(from, &append);
        }
        self.save_vote();
    }

    /// What an append is answered: F2.
    fn to_acknowledge(&self, append: &Append) -> LogIndex {
        if planted::is(Plant::H2) {
            return append.last_index();
        }
        if planted::is(Plant::Hc1bLast) {
            return self.log.last();
        }
        self.commit.verified().min(append.last_index())
    }

    /// Whether this append is of the leader of the present term, which it may be the first to name.
    fn follow(&mut self, now: Instant, from: Member, append: &Append) -> bool {
        if append.term < self.election.term {
            self.counters.stale += 1;
            self.refuse(from, append);
            return false;
        }
        let newer = append.term > self.election.term;
        let usurper = !newer
            && (self.election.role == Role::Leader
                || self.election.leader.is_some_and(|leader| leader != from));
        if usurper || from.id == self.me.id || append.first_of_term == LogIndex::ZERO {
            self.counters.impossible += 1;
            return false;
        }
        if newer || self.election.role != Role::Follower || self.election.leader.is_none() {
            self.become_follower(now, append.term, Some(from));
        }
        self.commit.name_first_of_term(append.first_of_term);
        if self.commit.hear_round(append.round) {
            self.heard_leader(now); // F3
        }
        true
    }

    /// Whether this log holds the entry before an append. What is committed is in every leader's log.
    fn agrees_with(&self, previous: LogIndex, term: Term) -> bool {
        previous <= self.commit.index()
            || (previous <= self.log.last() && self.log.term_at(previous) == Some(term))
    }

    /// Takes what is new in an append that fits; up to which index the log is now known to agree. `None` for entries
    /// that no leader sends.
    fn take(
        &mut self,
        append: &Append,
        entries: &[Entry<E>],
        configuration: Option<&Configuration<C>>,
    ) -> Option<LogIndex> {
        let previous = append.previous_index;
        // What is committed agrees without a look.
        let known = self.commit.index().since(previous);
        let mut at = usize::try_from(known).map_or(entries.len(), |known| known.min(entries.len()));
        let mut index = previous.plus(at as u64 + 1);
        while at < entries.len() && self.log.term_at(index) == Some(entries[at].term) {
            at += 1;
            index = index.next();
        }
        if at == entries.len() {
            let next = append.last_index().next().max(self.commit.index().next());
            if planted::is(Plant::R8) && next <= self.log.last() {
                self.cut(next);
            }
            return Some(append.last_index());
        }
        let fresh = &entries[at..];
        if !sound(fresh, self.log.term_at(index.prev()), append.term) {
            return None;
        }
        if index <= self.log.last() {
            if index <= self.commit.verified() {
                return None;
            }
            self.cut(index);
        }
        let taken = self.extend(fresh, configuration);
        self.save_entries();
        Some(index.plus(taken as u64).prev())
    }

    /// Cuts off `from` and what follows: another leader's, and not committed.
    fn cut(&mut self, from: LogIndex) {
        assert!(from > self.commit.index(), "F1: {from} is committed");
        self.log.truncate(from);
        self.disk.truncate(from);
        // Who led until this input has just handed over what it had appended since the burst before.
        self.outputs.forget_entries(from);
        if self.configurations.truncate(from) {
            self.reconsider_standing();
        }
        self.counters.truncations += 1;
        self.outputs.push(Output::Truncated { from });
    }

    /// Adds as many of `entries` as there is room for; how many. A configuration is an append's last entry or not taken.
    fn extend(&mut self, entries: &[Entry<E>], configuration: Option<&Configuration<C>>) -> usize {
        let fitting = &entries[..entries.len().min(self.log.room())];
        let is_configuration = |entry: &Entry<E>| matches!(entry.payload, Payload::Configuration);
        let plain = fitting.iter().position(is_configuration).unwrap_or(fitting.len());
        self.log.extend(&fitting[..plain]);
        if plain == fitting.len() {
            self.counters.entries_refused += (entries.len() - plain) as u64;
            return plain;
        }
        let index = self.log.last().next();
        let Some(value) = configuration
            .filter(|value| plain + 1 == entries.len() && value.epoch == index && value.is_sound())
        else {
            self.counters.impossible += 1;
            return plain;
        };
        self.configurations.push(value.clone());
        self.log.push(fitting[plain]);
        self.configurations.prune(self.log.base());
        self.reconsider_standing();
        plain + 1
    }

    fn acknowledge(&mut self, to: Member, append: &Append) {
        if !append.answer || !self.election.standing.named {
            return;
        }
        let index = self.to_acknowledge(append);
        self.counters.acks_sent += 1;
        self.save_vote();
        let needs = self.disk.needs_entries(index);
        let (epoch, term, round) = (append.epoch, append.term, append.round);
        self.send(to.id, Message::Ack { epoch, term, index, round }, needs);
    }

    /// Says where the logs may agree: at the newest entry not above the append's previous one in index or term. Of the two
    /// at that index itself, the leader's is the later one then, and the leader skips its term.
    fn refuse(&mut self, to: Member, append: &Append) {
        if !append.answer || !self.election.standing.named {
            return;
        }
        let (previous_index, term, round) =
            (append.previous_index, self.election.term, append.round);
        let hint = self.log.newest(previous_index, |term| term <= append.previous_term);
        let hint = hint.max(self.commit.index());
        self.counters.rejects_sent += 1;
        self.send(to.id, Message::Reject { term, previous_index, hint, round }, Seq::ZERO);
    }

    /// An aggregator says that `set` holds the log up to `index`: an upper bound, no proof that this log is right (HC2b).
    pub(crate) fn on_quorum_ack(
        &mut self,
        epoch: LogIndex,
        term: Term,
        index: LogIndex,
        set: NodeSet,
    ) {
        let newest = self.configurations.newest();
        let of_this_term = term == self.election.term
            && self.commit.first_of_term().is_some_and(|first| index >= first);
        let by_majority = epoch == newest.epoch
            && !newest.is_joint()
            && newest.is_quorum(set)
            && self.election.leader.is_some_and(|leader| set.contains(leader.id));
        // The aggregator counts the leader silently, who sends it only what is durable here (HC1c).
        let held = self.election.role != Role::Leader || index <= self.disk.index();
        if !(of_this_term && by_majority && held) {
            self.counters.quorum_acks_refused += 1;
            return;
        }
        self.counters.quorum_acks += 1;
        self.commit.hear(index);
        if self.election.role == Role::Leader {
            self.commit.verify(self.log.last());
        }
        self.advance_commit();
    }
}

/// Whether terms do not fall, from the entry before on, nor pass that of the leader who sends them.
fn sound<E>(entries: &[Entry<E>], before: Option<Term>, leader: Term) -> bool {
    let mut term = before.unwrap_or(Term::ZERO);
    entries.iter().all(|entry| {
        let rises = entry.term >= term && entry.term <= leader;
        term = entry.term;
        rises
    })
}
