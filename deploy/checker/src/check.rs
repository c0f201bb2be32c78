//! The check: evidence in, verdict out.
//!
//! *Exactly*: each answer names the log index at which its operation was executed. So the order is known, and checking it
//! is a replay: execute in index order on a service that starts empty, compare every reply, and look whether an operation
//! that completed before another began stands before it in the log. What no client learned is taken from the audits. If
//! all of that holds, the index order is a linearization, and the history is linearizable.
//!
//! *As a black box*: is there any order that explains replies and times, whatever the indexes say? It is slower and knows
//! the key-value store only, and of a scan only whether each key in it fits (per key), but it does not rest on the indexes,
//! so that an error in reporting them is told from an error of the service.
//!
//! Invariants:
//! - V1. "true" rests on complete evidence: an audit of each index up to the last one that anybody spoke of, every
//!   executed write known, every answer compared.
//! - V2. "false" rests on a violation that no missing evidence could explain away; the history is taken to hold all
//!   operations of all clients, unless an audit shows others.
//! - V3. Anything else is "undecided", with the reasons.

use r2p2::service::Service;

use crate::audits::Audits;
use crate::black_box;
use crate::describe;
use crate::history::{Operation, OperationOutcome};
use crate::placing::{Place, Placement, Placing, Role};
use crate::reads;
use crate::replay::{Compared, Replay};
use crate::state::NodeState;
use crate::verdict::{Findings, Truth, Verdict, ViolationKind};

/// What the check must know of the cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which service it is; decides on the black-box check and on how the report shows requests.
    pub known: KnownService,
    /// Longest reply, in bytes (`reply_max` of the cluster's limits).
    pub reply_max: usize,
    /// Whether there is a log: false in mode `unreplicated`, where only the black-box check can judge.
    pub log: bool,
    /// Sessions outside the history whose writes change nothing that the check looks at.
    pub allowed_sessions: Vec<u64>,
    /// Steps that the black-box search may take in all; some ten million per second.
    pub black_box_steps: u64,
}

/// Services of which the check knows more than the trait tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KnownService {
    /// The key-value store.
    Kv,
    /// Any other.
    Other,
}

impl Default for Options {
    /// An unknown service under default limits.
    fn default() -> Self {
        Self {
            known: KnownService::Other,
            reply_max: 1_024 * 1_432,
            log: true,
            allowed_sessions: Vec::new(),
            black_box_steps: 50_000_000,
        }
    }
}

impl Options {
    /// The key-value store under default limits.
    #[must_use]
    pub fn kv() -> Self {
        Self { known: KnownService::Kv, ..Self::default() }
    }
}

/// Checks a history against audits, a fresh `service` and the nodes' final `states`.
///
/// The states are to be taken after the load has ended and every node that lives has applied what is committed.
#[must_use]
pub fn check(
    history: &[Operation],
    audits: &Audits,
    service: &mut dyn Service,
    states: &[NodeState],
    options: &Options,
) -> Verdict {
    let mut findings = Findings::new(history, describe::texts(options.known));
    let (placement, compared) = if options.log {
        exactly(audits, service, states, options, &mut findings)
    } else {
        (Placement::default(), Compared::default())
    };
    let exact = options.log.then(|| findings.truth());
    let search = (options.known == KnownService::Kv && placement.foreign == 0)
        .then(|| black_box::check(history, options.black_box_steps, &mut findings));
    let black_box = search.as_ref().map(|search| search.truth);
    let scans = search.as_ref().map_or(0, |search| search.scans);
    let linearizable = match (exact, black_box) {
        // Of scans, the search says less than that there is an order.
        (None, Some(Truth::True)) if scans > 0 => {
            findings.undecided(format!(
                "{scans} scans could be judged key by key only: there is no log"
            ));
            Truth::Undecided
        }
        (Some(Truth::False), _) | (_, Some(Truth::False)) => Truth::False,
        (Some(Truth::True), _) | (None, Some(Truth::True)) => Truth::True,
        _ => Truth::Undecided,
    };
    let count = |outcome| tally(history.iter().filter(|operation| operation.outcome == outcome));
    let acknowledged_lost = findings.count(ViolationKind::AcknowledgedLost);
    let executed_twice = findings.count(ViolationKind::ExecutedTwice);
    let (violations_found, violations, undecided_because) = findings.into_parts();
    Verdict {
        linearizable,
        exact,
        black_box,
        black_box_scans: scans,
        operations: tally(history),
        answered: count(OperationOutcome::Answered),
        refused: count(OperationOutcome::Refused),
        unknown: count(OperationOutcome::Unknown),
        unknown_executed: placement.unknown_executed,
        unknown_not_executed: placement.unknown_not_executed,
        undecided: placement.undecided + compared.unreached,
        acknowledged_lost,
        executed_twice,
        foreign: placement.foreign,
        replies_compared: compared.replies,
        states_compared: compared.states,
        scans_compared: compared.scans,
        violations_found,
        violations,
        undecided_because,
        black_box_because: search.map(|search| search.reasons).unwrap_or_default(),
    }
}

fn exactly<'a>(
    audits: &'a Audits,
    service: &mut dyn Service,
    states: &[NodeState],
    options: &Options,
    findings: &mut Findings<'a>,
) -> (Placement, Compared) {
    let history = findings.history;
    audits.check(findings);
    let applied = states.iter().map(|state| state.applied).max();
    let named = history.iter().filter(|operation| operation.is_answered());
    let named = named.map(|operation| operation.index).max();
    let last = audits.last().max(applied.unwrap_or(0)).max(named.unwrap_or(0));
    let mut placement =
        Placing::new(audits, findings).run(last, applied, &options.allowed_sessions);
    let replay = Replay::new(audits, service, options.reply_max, findings);
    let mut compared = replay.run(&placement, states);
    reads::settle(&mut placement, &mut compared, findings);
    check_real_time(&placement.places, findings);
    if compared.replies == 0 {
        findings.undecided("no reply could be compared".to_owned());
    }
    (placement, compared)
}

/// V2: what completed before another began stands before it.
fn check_real_time(places: &[Place], findings: &mut Findings<'_>) {
    let history = findings.history;
    // Of all operations up to here in the log, the one that began last.
    let mut latest: Option<&Place> = None;
    for place in places.iter().filter(|place| place.role == Role::Stands) {
        let began = |place: &Place| history[place.operation].invoked_us;
        let late = latest.filter(|latest| latest.index < place.index);
        if let (Some(late), Some(completed)) = (late, history[place.operation].completed_us)
            && completed < began(late)
        {
            let (index, before) = (place.index, late.index);
            let operations = [place.operation, late.operation];
            findings.violation(ViolationKind::RealTime, &operations, || {
                format!(
                    "at index {index}, behind index {before}, but completed before that one began"
                )
            });
        }
        if latest.is_none_or(|latest| began(latest) < began(place)) {
            latest = Some(place);
        }
    }
}

fn tally<T>(items: impl IntoIterator<Item = T>) -> u64 {
    items.into_iter().fold(0, |count, _| count + 1)
}
