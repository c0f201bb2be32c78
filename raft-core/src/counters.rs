//! What happened how often. No part of the protocol state: nothing decides by them.

/// Counted per destination, so that Table 1 of the `HovercRaft` paper can be read off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Appends with entries sent.
    pub appends_sent: u64,
    /// Entries in them.
    pub entries_sent: u64,
    /// Appends without entries that bring news of a commit and want no answer.
    pub commit_only_sent: u64,
    /// Appends without entries that open a round.
    pub heartbeats_sent: u64,
    /// Acknowledgements received as leader.
    pub acks_received: u64,
    /// Refusals received as leader.
    pub rejects_received: u64,
    /// Answers that were the first of a follower to a round.
    pub rounds_answered: u64,
    /// Acknowledgements sent.
    pub acks_sent: u64,
    /// Refusals sent.
    pub rejects_sent: u64,
    /// Questions sent whether an election would be won.
    pub pre_votes_started: u64,
    /// Elections stood for.
    pub elections_started: u64,
    /// Terms led.
    pub terms_led: u64,
    /// Times that leading ended because no majority answered (check-quorum).
    pub quorums_lost: u64,
    /// Votes and pre-votes refused because a leader lives.
    pub votes_refused_for_leader: u64,
    /// Elections not stood for because the term is at its limit (HC13).
    pub term_at_limit: u64,
    /// Elections not stood for because the log has no place for a no-op.
    pub log_full: u64,
    /// Entries refused because the log is full.
    pub entries_refused: u64,
    /// Times that entries were cut off.
    pub truncations: u64,
    /// Quorum acknowledgements accepted.
    pub quorum_acks: u64,
    /// Quorum acknowledgements that were not for this term, epoch or log (HC9a).
    pub quorum_acks_refused: u64,
    /// Messages of an older term, or from nobody that the configuration names.
    pub stale: u64,
    /// Messages that no correct member sends.
    pub impossible: u64,
}
