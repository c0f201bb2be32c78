//! The control thread: signals, and the log of what happens (design, section 5). Unpinned, never on the hot path.
//!
//! It looks at the network half twenty times a second and writes down what has changed. What comes and goes between two
//! looks is told by totals: an election won, a birth.
//!
//! `SIGTERM` or `SIGINT`: a leader hands over first, for a second at most; a second signal ends the node at once.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hovercraft::replica::Role;
use tracing::{error, info, warn};

use crate::ffi::EndSignals;
use crate::handle::Handle;
use crate::network::View;
use crate::node::Node;
use crate::report::Totals;

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Time between two lines about losses.
const LOSSES_EVERY: Duration = Duration::from_secs(10);

/// How long a leader tries to hand over.
const HAND_OVER_MAX: Duration = Duration::from_secs(1);

/// Peers of another version that are told of, at most: anybody can pretend to be one.
const TOLD_MAX: usize = 32;

/// How a node came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// A signal asked for it.
    Asked,
    /// One of its threads broke an invariant and ended.
    Broken,
}

/// Watches over a node until it ends.
pub(crate) fn supervise(node: Node, signals: &EndSignals) -> Ended {
    let handle = node.handle();
    let mut watch = Watch::new(Instant::now());
    while !signals.wait(LOOK_EVERY) {
        if !node.is_whole() {
            error!("a thread of this node broke an invariant and ended; the node stops");
            return Ended::Broken;
        }
        watch.look(&handle, Instant::now());
    }
    info!("asked to end");
    hand_over(&handle, signals);
    drop(node);
    info!("ended");
    Ended::Asked
}

/// Until this node leads no more, the time is over, or a second signal comes.
fn hand_over(handle: &Handle, signals: &EndSignals) {
    let begin = Instant::now();
    let leads = || handle.view().is_ok_and(|view| view.status.role == Role::Leader);
    if !leads() {
        return;
    }
    info!("handing leadership over");
    while leads() {
        if begin.elapsed() > HAND_OVER_MAX {
            warn!("nobody took leadership over in time: the others will elect a leader");
            return;
        }
        // Asked again while it lasts: the first one asked may be gone.
        let _ = handle.hand_leadership_over(None);
        if signals.wait(Duration::from_millis(10)) {
            warn!("asked to end at once");
            return;
        }
    }
    info!(took_ms = begin.elapsed().as_millis(), "leadership handed over");
}

/// What was last written down.
#[derive(Debug)]
pub(crate) struct Watch {
    last: Option<View>,
    /// Whether the operator was told of the service's end, and of an unanswered look.
    told_stopped: bool,
    told_silent: bool,
    /// Peers of another version that the operator was told of.
    told_versions: BTreeSet<SocketAddr>,
    losses: BTreeMap<String, u64>,
    next_losses: Instant,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last: None,
            told_stopped: false,
            told_silent: false,
            told_versions: BTreeSet::new(),
            losses: BTreeMap::new(),
            next_losses: now + LOSSES_EVERY,
        }
    }

    pub(crate) fn look(&mut self, handle: &Handle, now: Instant) {
        match handle.view() {
            Ok(view) => {
                if core::mem::take(&mut self.told_silent) {
                    info!("the network thread answers again");
                }
                self.compare(&view);
                self.last = Some(view);
            }
            Err(error) if !self.told_silent => {
                self.told_silent = true;
                warn!(%error, "the node is slow or stuck");
            }
            Err(_) => {}
        }
        if !handle.is_serving() && !self.told_stopped {
            self.told_stopped = true;
            error!(
                "the service panicked and its state does not survive that: this node executes nothing any more and \
                 answers no entry; the same request ends the other nodes alike"
            );
        }
        if now >= self.next_losses {
            self.next_losses = now + LOSSES_EVERY;
            if let Ok(totals) = handle.totals() {
                self.tell_losses(&totals);
            }
        }
    }

    /// Writes down what differs from the last look.
    fn compare(&mut self, view: &View) {
        let (status, counters) = (&view.status, &view.counters);
        let last = self.last.as_ref();
        let term = status.term.to_wire();
        if let (Some(lost), None) = (status.lost_body, last.and_then(|last| last.status.lost_body))
        {
            error!(
                index = %lost.index,
                session = lost.key.id.session,
                number = lost.key.id.number,
                client = %lost.key.id.client.socket(),
                "the log names a request whose body no member has or has applied, though all of them answered: this node \
                 has stopped, for the log cannot be applied past it; see what the other nodes say before any is restarted"
            );
        }
        let before = last.map_or(0, |last| last.counters.births);
        if counters.births > before {
            warn!(
                cluster = format_args!("{:016x}", status.cluster_id),
                "A CLUSTER IS BORN, EMPTY: its first members have just found each other. If this cluster lived before, \
                 a majority of it has lost its memory, and with it its data"
            );
        }
        if status.cluster_id != last.map_or(0, |last| last.status.cluster_id) {
            info!(cluster = format_args!("{:016x}", status.cluster_id), "in a cluster");
        }
        let role = last.map(|last| last.status.role);
        if role != Some(status.role) {
            let from = role.map_or("none", Role::name);
            info!(role = status.role.name(), from, term, "role");
            if status.role == Role::Silent {
                warn!(
                    incarnation = format_args!("{:016x}", status.incarnation),
                    "this life is not a member of the cluster that lives: the node neither votes nor acknowledges nor \
                     answers"
                );
            }
        }
        let leader = last.and_then(|last| last.status.leader);
        if leader != status.leader {
            match status.leader {
                Some(id) => info!(leader = id.number(), term, "leader"),
                None => info!(term, "no leader"),
            }
        }
        if let Some((from, version)) = view.other_version
            && self.told_versions.len() < TOLD_MAX
            && self.told_versions.insert(from)
        {
            warn!(
                peer = %from,
                peer_version = version,
                own_version = hovercraft::wire::VERSION,
                "a peer speaks another version of the protocol: its messages are refused"
            );
        }
    }

    /// One line with what was lost or refused since the last one.
    fn tell_losses(&mut self, totals: &Totals) {
        let replica = totals.replica.iter().filter(|(name, _)| !is_of_good_use(name));
        let kept = ["too_late", "long_answers_dropped", "panics"];
        let application =
            totals.application.iter().filter(|(name, _)| kept.contains(&name.as_str()));
        let backend = totals.backend.iter().filter(|(name, _)| is_of_ill(name));
        let mut words = Vec::new();
        for (name, &total) in replica.chain(application).chain(backend) {
            let before = self.losses.insert(name.clone(), total).unwrap_or(0);
            if total > before {
                words.push(format!("{name} +{}", total - before));
            }
        }
        if !words.is_empty() {
            warn!(seconds = LOSSES_EVERY.as_secs(), "lost or refused: {}", words.join(", "));
        }
    }
}

/// Totals of a back end that an operator should hear of.
fn is_of_ill(name: &str) -> bool {
    let named = [
        "duplicate_address",
        "fragments",
        "too_long_on_way",
        "unreachable",
        "neighbours_full",
        "device_missed",
        "device_no_buffer",
        "device_losses",
        "device_refusals",
    ];
    name.starts_with("dropped") || named.contains(&name)
}

/// Totals of the replica that count its ordinary work.
fn is_of_good_use(name: &str) -> bool {
    matches!(
        name,
        "packets"
            | "ordered"
            | "request_packets"
            | "body_bytes_copied"
            | "packet_bytes_copied"
            | "pre_votes_started"
            | "elections_started"
            | "elections_won"
            | "appends_sent"
            | "empty_appends_sent"
            | "acks_sent"
            | "acks_received"
            | "append_acks_received"
            | "reports_sent"
            | "reports_received"
            | "chunks_sent"
            | "bodies_missed"
            | "bodies_pulled"
            | "bodies_asked"
            | "bodies_recovered"
            | "bytes_recovered"
            | "forwarded"
            | "packets_wanted"
            | "repetitions_noted"
            | "repetitions_answered"
            | "repetitions_applied"
            | "queries"
            | "births"
    )
}

#[cfg(test)]
mod tests;
