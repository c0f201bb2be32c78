//! What happened how often.

use crate::totals::totals;

totals! {
    /// Totals of one replica.
    pub Counters {
        /// Packets received.
        packets,
        /// Packets of clients' requests, passed on ones included.
        request_packets,
        /// Packets that are no message: dropped.
        bad_packets,
        /// Messages between nodes with a wrong MAC: dropped.
        bad_mac,
        /// Messages between nodes of another version: dropped.
        other_version,
        /// Messages of another cluster, or before this node has one: dropped.
        other_cluster,
        /// Messages under this node's own name: dropped.
        own_packets,
        /// Messages of a kind that nobody should send here: dropped.
        unexpected_packets,
        /// Requests while this node is in no cluster: dropped.
        not_standing,
        /// Requests appended as leader.
        ordered,
        /// Times that a request waited because the log was full.
        log_full,
        /// Leadership handed over because this node's application lags behind a full log.
        handed_over_full,
        /// Elections won.
        elections_won,
        /// Appends with entries sent, one for each destination.
        appends_sent,
        /// Heartbeats and news of a commit sent, one for each destination.
        empty_appends_sent,
        /// Acknowledgements received, heartbeats' included.
        acks_received,
        /// Of these, the ones that told of entries not acknowledged before.
        append_acks_received,
        /// Applied indexes told outside an acknowledgement.
        reports_sent,
        /// Applied indexes heard outside an acknowledgement.
        reports_received,
        /// Appends cut at a missing body.
        appends_parked,
        /// Chunks of bodies given to other nodes.
        chunks_sent,
        /// Chunks not given because this turn's budget was spent.
        recovery_throttled,
        /// Bodies asked for that this node does not have.
        bodies_not_here,
        /// Bodies that an append named and that were not here yet.
        bodies_missed,
        /// Long bodies that mode `raft` fetches from the leader as a matter of course.
        bodies_pulled,
        /// Requests passed on to the leader.
        forwarded,
        /// Requests not passed on because they waited here too long (HC8).
        forwards_too_late,
        /// Clients asked for packets.
        packets_wanted,
        /// First packets refused because too much is in the system.
        refused_overload,
        /// Plain requests refused because the window of ids is full.
        refused_plain_full,
        /// Repetitions noted against an entry not yet applied.
        repetitions_noted,
        /// Repetitions answered from a kept reply.
        repetitions_answered,
        /// Entries that were repetitions when applied.
        repetitions_applied,
        /// Replies not kept because there are too many (HC12).
        replies_without_room,
        /// Audited entries forgotten for newer ones: the check of histories misses them.
        audit_lost,
        /// Requests answered outside the log.
        queries,
        /// Requests outside the log left unanswered.
        queries_ignored,
        /// Bytes of bodies copied out of packets.
        body_bytes_copied,
        /// Clusters born here (HC11c): every one is loud.
        births,
    }
}
