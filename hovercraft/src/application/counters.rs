//! What happened how often.

use crate::totals::totals;

totals! {
    /// Totals of one application half.
    pub ApplicationCounters {
        /// Entries executed as writes.
        executed,
        /// Entries executed as reads.
        reads,
        /// Queries outside the log.
        queries,
        /// Answers sent, refusals included.
        answers,
        /// Repetitions answered from a kept reply.
        repetitions_answered,
        /// Answers that a plain client would have got too late (HC3c).
        too_late,
        /// Long answers that found no room.
        long_answers_dropped,
        /// Executions that ended in a panic of the service.
        panics,
        /// Bytes of replies copied: to be kept, or to be sent in many packets.
        reply_bytes_copied,
    }
}
