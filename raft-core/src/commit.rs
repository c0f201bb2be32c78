//! What this node knows of the term's leader's log, and what is committed (design HC2).
//!
//! Invariants:
//! - C1. `index` never falls and never passes `verified` (HC2b).
//! - C2. `word` is the highest upper bound accepted in this term; `index` follows it as `verified` rises.
//! - C3. In a new term `verified` and `word` start at `index`: nothing else is known to equal the new leader's log.

use crate::ids::{LogIndex, Round};
use planted::Plant;

/// Commit index and what bounds it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Commit {
    index: LogIndex,
    word: LogIndex,
    verified: LogIndex,
    /// The term's no-op, once an append of the term named it (HC2a).
    first_of_term: Option<LogIndex>,
    /// The highest round seen in this term (HC9b).
    round: Round,
}

impl Commit {
    /// Everything up to `index` is committed: what a snapshot covers.
    pub(crate) const fn new(index: LogIndex) -> Self {
        Self { index, word: index, verified: index, first_of_term: None, round: Round::ZERO }
    }

    /// A new term has begun (C3).
    pub(crate) fn begin_term(&mut self) {
        *self = Self::new(self.index);
    }

    /// The log up to `index` equals that of the term's leader.
    pub(crate) fn verify(&mut self, index: LogIndex) {
        self.verified = self.verified.max(index);
    }

    /// Somebody who may say so says that entries up to `word` are committed.
    pub(crate) fn hear(&mut self, word: LogIndex) {
        self.word = if planted::is(Plant::R5) { word } else { self.word.max(word) };
    }

    /// Moves the commit index as far as it may go; the new one when it rose.
    pub(crate) fn advance(&mut self) -> Option<LogIndex> {
        self.advance_within(self.verified)
    }

    /// The same, where the log is good for entries up to `known`.
    pub(crate) fn advance_within(&mut self, known: LogIndex) -> Option<LogIndex> {
        let index = self.word.min(known);
        if index <= self.index && !(planted::is(Plant::R5) && index < self.index) {
            return None; // C1
        }
        self.index = index;
        Some(index)
    }

    /// Whether `round` is news: that the leader of this term was alive after all that was heard before.
    pub(crate) fn hear_round(&mut self, round: Round) -> bool {
        let news = round > self.round;
        self.round = self.round.max(round);
        news
    }

    pub(crate) fn name_first_of_term(&mut self, first: LogIndex) {
        self.first_of_term.get_or_insert(first);
    }

    pub(crate) const fn index(&self) -> LogIndex {
        self.index
    }

    pub(crate) const fn verified(&self) -> LogIndex {
        self.verified
    }

    pub(crate) const fn first_of_term(&self) -> Option<LogIndex> {
        self.first_of_term
    }

    /// The word, once it covers the term's first index: before, the term's leader may not know of all that is committed.
    pub(crate) fn word_of_term(&self) -> Option<LogIndex> {
        self.first_of_term.filter(|&first| first <= self.word).map(|_| self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(number: u64) -> LogIndex {
        LogIndex::from_wire(number)
    }

    #[test]
    fn hc2b_commit_never_passes_verified_and_follows_the_word_kept() {
        let mut commit = Commit::new(index(3));
        commit.hear(index(10));
        assert_eq!(commit.advance(), None);
        commit.verify(index(7));
        assert_eq!(commit.advance(), Some(index(7)));
        commit.hear(index(5));
        commit.verify(index(12));
        assert_eq!(commit.advance(), Some(index(10)));
    }

    #[test]
    fn hc2b_in_a_new_term_verified_and_the_word_start_at_the_commit_index() {
        let mut commit = Commit::new(index(3));
        commit.verify(index(7));
        commit.hear(index(5));
        assert_eq!(commit.advance(), Some(index(5)));
        commit.begin_term();
        assert_eq!((commit.verified(), commit.first_of_term()), (index(5), None));
        commit.verify(index(6));
        commit.hear(index(20));
        assert_eq!(commit.advance(), Some(index(6)));
        commit.begin_term();
        commit.verify(index(9));
        assert_eq!(commit.advance(), None);
    }

    #[test]
    fn the_word_of_a_term_covers_its_first_index() {
        let mut commit = Commit::new(index(3));
        commit.hear(index(7));
        assert_eq!(commit.word_of_term(), None, "nobody named the first index");
        commit.name_first_of_term(index(8));
        assert_eq!(
            commit.word_of_term(),
            None,
            "entries before 8 may be committed and not known to be"
        );
        commit.hear(index(8));
        commit.hear(index(5));
        assert_eq!(commit.word_of_term(), Some(index(8)));
        assert_eq!(commit.advance(), None, "a word is no proof");
        commit.begin_term();
        commit.name_first_of_term(index(9));
        assert_eq!(commit.word_of_term(), None);
    }

    #[test]
    fn hc9b_only_a_round_above_the_last_one_is_news() {
        let mut commit = Commit::new(index(0));
        let rounds = [2, 2, 1, 3].map(|round| commit.hear_round(Round::from_wire(round)));
        assert_eq!(rounds, [true, false, false, true]);
    }
}
