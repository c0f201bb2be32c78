//! Leading: appending, sending, counting (Raft, sections 5.3 and 5.4; design HC2a).
//!
//! Invariants:
//! - L4. The leader commits by counting only from the first index of its term on (HC2a).
//! - L5. It counts itself only for what is durable, and only when it votes (HC1c).
//! - L6. Followers that need the same entries get one append, named as a set.

use core::fmt::Debug;

use planted::Plant;

use crate::Instant;
use crate::election::Role;
use crate::entry::{Command, Entry, Payload};
use crate::ids::{LogIndex, Member, NodeSet, Round, Seq, Term};
use crate::message::{Append, Message};
use crate::output::Output;
use crate::progress::Progress;
use crate::quorum::Matches;
use crate::raft::{ProposeError, Raft};

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// A majority has voted for this node: it opens its term with a no-op (Raft, section 8).
    pub(crate) fn become_leader(&mut self, now: Instant) {
        self.counters.terms_led += 1;
        self.election.role = Role::Leader;
        self.election.leader = Some(self.me);
        self.election.votes.clear();
        let term = self.election.term;
        let first = self.log.push(Entry { term, payload: Payload::NoOp });
        self.commit.name_first_of_term(first);
        self.leading.start(now, &self.config);
        self.follow_configuration();
        self.outputs.push(Output::BecameLeader { term, first });
    }

    pub(crate) fn append_command(&mut self, command: E) -> Result<LogIndex, ProposeError> {
        if self.election.role != Role::Leader {
            return Err(ProposeError::NotLeader);
        }
        if self.leading.transfer.is_some() {
            return Err(ProposeError::Transferring);
        }
        if self.log.room() <= self.config.log_reserve as usize {
            return Err(ProposeError::Full); // HC12
        }
        self.leading.due = true;
        Ok(self.log.push(Entry { term: self.election.term, payload: Payload::Command(command) }))
    }

    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        from: Member,
        term: Term,
        index: LogIndex,
        round: Round,
    ) {
        if !self.is_answer(now, from, term) {
            return;
        }
        self.counters.acks_received += 1;
        // An answer to another term of this leader tells of rounds to come.
        let of_round = round <= self.leading.round || planted::is(Plant::R29);
        if index > self.log.last() || !of_round {
            self.counters.impossible += 1;
            return;
        }
        let now_at = self.leading.round;
        let Some(progress) = self.leading.follower(from) else {
            self.counters.stale += 1; // HC11a
            return;
        };
        let first = round > progress.answered;
        progress.answered(round);
        let news = progress.acknowledged(index, round, now_at);
        let unblocked = progress.next <= self.log.last() && progress.may_send();
        let untold = progress.lacks_news_of(self.commit.index());
        self.counters.rounds_answered += u64::from(first);
        if unblocked || untold || self.leading.transfer.is_some() {
            self.leading.due = true;
        }
        if news && index > self.commit.index() {
            self.count_commit();
        }
    }

    pub(crate) fn on_reject(&mut self, now: Instant, from: Member, refusal: Message) {
        let Message::Reject { term, previous_index, hint, round } = refusal else {
            return;
        };
        if !self.is_answer(now, from, term) {
            return;
        }
        self.counters.rejects_received += 1;
        if previous_index > self.log.last() || round > self.leading.round {
            self.counters.impossible += 1;
            return;
        }
        let hint = self.newest_agreement(previous_index, hint);
        let Some(progress) = self.leading.follower(from) else {
            self.counters.stale += 1;
            return;
        };
        let first = round > progress.answered;
        progress.answered(round);
        if progress.refused(previous_index, hint, round) {
            self.leading.due = true;
        }
        self.counters.rounds_answered += u64::from(first);
    }

    /// Where a follower may agree that refused what follows `previous` and names `hint`. If it has an entry at `previous`,
    /// that is older than this leader's: then none of this leader's of that term, before it, is in its log either.
    fn newest_agreement(&self, previous: LogIndex, hint: LogIndex) -> LogIndex {
        match self.log.term_at(previous) {
            Some(refused) if hint >= previous => {
                self.log.newest(previous.prev(), |term| term < refused)
            }
            _ => hint,
        }
    }

    /// Whether an answer of `term` is one to this leader; a later term ends its own.
    fn is_answer(&mut self, now: Instant, from: Member, term: Term) -> bool {
        if term > self.election.term && self.configurations.newest().names(from) {
            self.become_follower(now, term, None);
            return false;
        }
        let of_term = term == self.election.term || planted::is(Plant::R29);
        let answers = of_term && self.election.role == Role::Leader;
        self.counters.stale += u64::from(!answers);
        answers
    }

    /// More of this leader's own log is durable: that can be the last voice missing.
    pub(crate) fn count_own(&mut self) {
        let commit = self.commit.index();
        let mut followers = self.leading.followers.iter();
        if self.leading.alone || followers.any(|progress| progress.matched > commit) {
            self.count_commit();
        }
    }

    /// Commits what a majority holds.
    fn count_commit(&mut self) {
        let mut held = self.majority_of(|progress| progress.votes, self.leading.votes);
        if self.configurations.newest().is_joint() {
            held = held.min(self.majority_of(|progress| progress.outgoing, self.leading.outgoing));
        }
        if self.commit.first_of_term().is_some_and(|first| held >= first || planted::is(Plant::R3))
        {
            self.commit.hear(held); // L4
            self.commit.verify(self.log.last());
            self.advance_commit();
        }
    }

    /// The highest index that a majority of one half of the configuration holds; zero when nobody is in it.
    fn majority_of(&self, counts: impl Fn(&Progress) -> bool, own: bool) -> LogIndex {
        let mut matches = Matches::new();
        for progress in self.leading.followers.iter().filter(|progress| counts(progress)) {
            matches.add(progress.matched);
        }
        if own {
            matches.add(self.disk.index()); // L5
        }
        matches.majority().unwrap_or(LogIndex::ZERO)
    }

    /// Sends what waits: entries to all who can take some, and news of a commit to the others.
    pub(crate) fn send_due(&mut self) {
        if !self.leading.due || self.election.role != Role::Leader {
            return;
        }
        self.leading.due = false;
        self.save_entries();
        if !self.send_entries() {
            self.send_commit();
        }
        self.continue_transfer();
    }

    /// Whether one append went to everybody, and the commit index with it.
    fn send_entries(&mut self) -> bool {
        let mut to_all = false;
        let last = self.log.last();
        let mut wanted = self.first_to_serve();
        while let Some(next) = wanted.take() {
            let append = self.append_from(next);
            let (end, commit, round) = (append.last_index(), append.commit, append.round);
            let (mut to, mut left_out) = (NodeSet::EMPTY, false);
            for progress in &mut self.leading.followers {
                if progress.next == next && progress.may_send() {
                    progress.sent(end, commit, round);
                    to.insert(progress.member.id);
                } else {
                    left_out = true;
                }
                if wanted.is_none() && progress.next <= last && progress.may_send() {
                    wanted = Some(progress.next);
                }
            }
            to_all |= !left_out;
            self.counters.appends_sent += u64::from(to.len());
            self.counters.entries_sent += u64::from(to.len()) * u64::from(append.count);
            self.outputs.push(Output::Append { to, append, needs: Seq::ZERO });
        }
        to_all
    }

    /// The next entry of the first who can take it; marks those whom the log no longer serves.
    fn first_to_serve(&mut self) -> Option<LogIndex> {
        let (base, last) = (self.log.base(), self.log.last());
        let mut wanted = None;
        for progress in &mut self.leading.followers {
            progress.needs_snapshot = progress.next <= base;
            if wanted.is_none() && progress.next <= last && progress.may_send() {
                wanted = Some(progress.next);
            }
        }
        wanted
    }

    /// The append that begins at `next`, as long as budget and configuration let it be (L6).
    fn append_from(&self, next: LogIndex) -> Append {
        let most = u64::from(self.config.append_entries_max);
        let (first, second) = self.log.runs(next, next.prev().plus(most));
        let (mut count, mut bytes) = (0, 0);
        for entry in first.iter().chain(second) {
            match &entry.payload {
                Payload::Command(command) => {
                    bytes += command.wire_len();
                    if count > 0 && bytes > self.config.append_bytes {
                        break;
                    }
                    count += 1;
                }
                // Its value is long: it goes alone, or behind the no-op of its term.
                Payload::Configuration => {
                    count += u16::from(count <= 1);
                    break;
                }
                Payload::NoOp => count += 1,
            }
        }
        self.append_after(next.prev(), count, true)
    }

    /// An append of `count` entries that follow `previous`, which this log knows.
    fn append_after(&self, previous: LogIndex, count: u16, answer: bool) -> Append {
        Append {
            epoch: self.configurations.at(previous.plus(count.into())).epoch,
            term: self.election.term,
            previous_index: previous,
            previous_term: self.log.term_at(previous).unwrap_or(Term::ZERO),
            first_of_term: self.commit.first_of_term().unwrap_or(LogIndex::ZERO),
            commit: self.commit.index(),
            round: self.leading.round,
            count,
            answer,
        }
    }

    /// Nobody waits for a heartbeat to learn of a commit: who got no entries now hears of it without them.
    fn send_commit(&mut self) {
        let commit = self.commit.index();
        let mut to = NodeSet::EMPTY;
        for progress in &mut self.leading.followers {
            if progress.lacks_news_of(commit) {
                progress.commit_sent = commit;
                to.insert(progress.member.id);
            }
        }
        if !to.is_empty() {
            let append = self.append_after(commit, 0, false);
            self.counters.commit_only_sent += u64::from(to.len());
            self.outputs.push(Output::Append { to, append, needs: Seq::ZERO });
        }
    }

    /// Opens a round: an empty append to everybody, whose answer confirms all that was sent, or says where to go back to.
    pub(crate) fn send_heartbeats(&mut self) {
        let base = self.log.base();
        let mut served = NodeSet::EMPTY;
        for at in 0..self.leading.followers.len() {
            let first = &self.leading.followers[at];
            if served.contains(first.member.id) || !first.reachable {
                continue;
            }
            let previous = heartbeat_previous(first, base);
            let append = self.append_after(previous, 0, true);
            let mut to = NodeSet::EMPTY;
            for progress in &mut self.leading.followers[at..] {
                if heartbeat_previous(progress, base) == previous && progress.reachable {
                    progress.commit_sent = progress.commit_sent.max(append.commit);
                    to.insert(progress.member.id);
                }
            }
            served = served.or(to);
            self.counters.heartbeats_sent += u64::from(to.len());
            self.outputs.push(Output::Append { to, append, needs: Seq::ZERO });
        }
    }
}

/// What a heartbeat to this follower follows: the entry before the next one to be sent, or the oldest one known.
fn heartbeat_previous(progress: &Progress, base: LogIndex) -> LogIndex {
    progress.next.prev().max(base)
}
