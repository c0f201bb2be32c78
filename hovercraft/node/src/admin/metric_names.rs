//! Names of metrics: a prefix of one word, base units, `_total` behind totals (added by the encoder).

/// A gauge that is one number of the network thread's board.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) number: &'static str,
}

/// Totals under one name, told apart by labels.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) counters: &'static [Counter],
}

/// One total of one thread.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) thread: &'static str,
    pub(super) total: &'static str,
    pub(super) labels: &'static [(&'static str, &'static str)],
}

const fn gauge(name: &'static str, number: &'static str, help: &'static str) -> Gauge {
    Gauge { name, help, number }
}

const fn family(name: &'static str, help: &'static str, counters: &'static [Counter]) -> Family {
    Family { name, help, counters }
}

/// A total of the network thread.
const fn net(total: &'static str, labels: &'static [(&'static str, &'static str)]) -> Counter {
    Counter { thread: "network", total, labels }
}

/// A total of the application thread.
const fn app(total: &'static str, labels: &'static [(&'static str, &'static str)]) -> Counter {
    Counter { thread: "application", total, labels }
}

#[rustfmt::skip]
pub(super) const GAUGES: &[Gauge] = &[
    gauge("term", "term", "The node's term"),
    gauge("commit_index", "commit", "Committed up to here, as far as the node knows"),
    gauge("applied_index", "applied", "Applied up to here"),
    gauge("last_index", "last", "Last entry of the node's log"),
    gauge("caught_up", "caught_up", "1 when the node has once applied all that it had heard to be committed"),
    gauge("overloaded", "overloaded", "1 while new requests would be refused"),
    gauge("log_room_entries", "log_room", "Entries that the log can still take"),
    gauge("log_reserve_entries", "log_reserve", "How many of these are not for requests"),
    gauge("unordered_requests", "unordered", "Requests that wait to be ordered"),
    gauge("missing_bodies", "missing_bodies", "Bodies that the log names and the node has yet to get"),
    gauge("body_lost", "body_lost", "Whether the node has stopped because nobody has a body that its log names"),
    gauge("parked_appends", "parked", "Appends that wait for a body"),
    gauge("commands_outstanding", "outstanding", "Commands handed to the application thread and not reported done"),
    gauge("sessions", "sessions", "Open sessions"),
    gauge("plain_ids", "plain_ids", "Ids of plain requests that are remembered"),
    gauge("kept_reply_slots", "kept_replies", "Places of replies kept for repetitions"),
    gauge("body_bytes", "body_bytes", "Bytes of request bodies held, in whole buffers"),
];

/// The same of back ends that have such a number; the others' nodes show none.
#[rustfmt::skip]
pub(super) const BACKEND_GAUGES: &[Gauge] = &[
    gauge("receive_buffers_in_use", "receive_buffers_in_use", "DPDK: buffers out of the pool that packets are received into"),
    gauge("receive_buffers_free", "receive_buffers_free", "DPDK: buffers in that pool"),
    gauge("transmit_buffers_in_use", "transmit_buffers_in_use", "DPDK: buffers out of the pool that packets are sent from"),
    gauge("transmit_buffers_free", "transmit_buffers_free", "DPDK: buffers in that pool"),
];

#[rustfmt::skip]
pub(super) const COUNTERS: &[Family] = &[
    family("packets_received", "Packets taken from the network", &[net("received", &[])]),
    family("packets_sent", "Packets handed to the network", &[
        net("sent", &[("thread", "network")]),
        app("sent", &[("thread", "application")]),
    ]),
    family("packets_dropped", "Packets lost between the node and the network: in receive buffers of the kernel, or not taken for sending", &[
        net("dropped_receive", &[("direction", "receive"), ("thread", "network")]),
        net("dropped_send", &[("direction", "send"), ("thread", "network")]),
        app("dropped_send", &[("direction", "send"), ("thread", "application")]),
    ]),
    family("packets_refused", "Packets without effect, by what was wrong with them", &[
        net("bad_packets", &[("reason", "malformed")]),
        net("bad_mac", &[("reason", "mac")]),
        net("other_version", &[("reason", "version")]),
        net("other_cluster", &[("reason", "cluster")]),
        net("own_packets", &[("reason", "own_name")]),
        net("unexpected_packets", &[("reason", "unexpected")]),
        net("not_standing", &[("reason", "in_no_cluster")]),
    ]),
    family("request_packets", "Packets of clients' requests, passed on ones included", &[net("request_packets", &[])]),
    family("proposals_ordered", "Requests appended as leader", &[net("ordered", &[])]),
    family("requests_executed", "Requests executed here", &[
        app("executed", &[("kind", "write")]),
        app("reads", &[("kind", "read")]),
        app("queries", &[("kind", "query")]),
    ]),
    family("answers", "Answers sent by the application thread, refusals included", &[app("answers", &[])]),
    family("nack", "Refusals sent to clients", &[
        net("nack_overload", &[("reason", "overload"), ("thread", "network")]),
        net("nack_unknown_session", &[("reason", "unknown_session"), ("thread", "network")]),
        net("nack_too_large", &[("reason", "too_large"), ("thread", "network")]),
        net("nack_no_leader", &[("reason", "no_leader"), ("thread", "network")]),
        net("nack_failed", &[("reason", "failed"), ("thread", "network")]),
        app("nack_overload", &[("reason", "overload"), ("thread", "application")]),
        app("nack_unknown_session", &[("reason", "unknown_session"), ("thread", "application")]),
        app("nack_above_window", &[("reason", "above_window"), ("thread", "application")]),
        app("nack_changes_state", &[("reason", "changes_state"), ("thread", "application")]),
        app("nack_not_kept", &[("reason", "not_kept"), ("thread", "application")]),
        app("nack_failed", &[("reason", "failed"), ("thread", "application")]),
    ]),
    family("elections", "Elections: asked about, stood for, won", &[
        net("pre_votes_started", &[("step", "asked")]),
        net("elections_started", &[("step", "stood")]),
        net("elections_won", &[("step", "won")]),
    ]),
    family("leadership_lost", "Times that leading ended because no majority answered", &[net("quorums_lost", &[])]),
    family("clusters_born", "Clusters born here, empty", &[net("births", &[])]),
    family("older_lives", "Words of earlier lives of members, heard while looking for a cluster", &[net("older_lives", &[])]),
    family("appends_sent", "Appends sent, one for each destination", &[
        net("appends_sent", &[("kind", "entries")]),
        net("empty_appends_sent", &[("kind", "empty")]),
    ]),
    family("appends_parked", "Appends cut at a missing body", &[net("appends_parked", &[])]),
    family("recovery_bodies_wanted", "Bodies to be had of another node: missing when an append named them, or long ones in mode raft", &[
        net("bodies_missed", &[("reason", "missing")]),
        net("bodies_pulled", &[("reason", "long")]),
    ]),
    family("recovery_requests", "Requests to other nodes for a body", &[net("bodies_asked", &[])]),
    family("recovery_bodies", "Bodies that came of another node", &[net("bodies_recovered", &[])]),
    family("recovery_bytes", "Bytes of bodies that came of another node", &[net("bytes_recovered", &[])]),
    family("recovery_failures", "Bodies not asked for or not given", &[
        net("bodies_wrong_hash", &[("reason", "wrong_hash")]),
        net("wants_refused", &[("reason", "no_room")]),
        net("bodies_not_here", &[("reason", "not_here")]),
        net("recovery_throttled", &[("reason", "throttled")]),
    ]),
    family("recovery_chunks_sent", "Chunks of bodies given to other nodes", &[net("chunks_sent", &[])]),
    family("unordered_expired", "Requests that were never ordered and let go", &[net("unordered_expired", &[])]),
    family("unordered_dropped", "Requests that found no room to wait in", &[net("unordered_full", &[])]),
    family("repetitions", "Requests that came again", &[
        net("repetitions_noted", &[("answered", "at_apply")]),
        net("repetitions_answered", &[("answered", "at_once")]),
        net("repetitions_applied", &[("answered", "from_the_log")]),
    ]),
    family("copied_bytes", "Bytes copied by the program itself on a request's way", &[
        net("body_bytes_copied", &[("what", "body")]),
        net("packet_bytes_copied", &[("what", "packet")]),
        app("reply_bytes_copied", &[("what", "reply")]),
    ]),
    family("answers_late", "Answers that a plain client would have got too late", &[app("too_late", &[])]),
    family("service_panics", "Executions that ended in a panic of the service", &[app("panics", &[])]),
];
