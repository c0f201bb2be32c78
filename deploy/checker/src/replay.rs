//! The placed operations once more, in index order, on a service that starts empty: every reply must come out again.

use r2p2::service::{ChangesState, Context, Outcome, Reply, Service, state_hash};

use crate::audits::Audits;
use crate::history::OperationKind;
use crate::placing::{Place, Placement, Role};
use crate::state::NodeState;
use crate::verdict::{Findings, ViolationKind};

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) replies: u64,
    pub(crate) states: u64,
    pub(crate) scans: u64,
    /// Answered operations behind the horizon.
    pub(crate) unreached: u64,
    /// Candidates whose reply is the read's.
    pub(crate) fitting: Vec<Place>,
}

pub(crate) struct Replay<'a, 'b> {
    audits: &'a Audits,
    service: &'b mut dyn Service,
    reply_max: usize,
    findings: &'b mut Findings<'a>,
    reply: Vec<u8>,
    compared: Compared,
}

impl<'a, 'b> Replay<'a, 'b> {
    pub(crate) fn new(
        audits: &'a Audits,
        service: &'b mut dyn Service,
        reply_max: usize,
        findings: &'b mut Findings<'a>,
    ) -> Self {
        let (reply, compared) = (Vec::new(), Compared::default());
        Self { audits, service, reply_max, findings, reply, compared }
    }

    /// Replays up to the horizon, and compares replies and, where they belong, the nodes' states.
    pub(crate) fn run(mut self, placement: &Placement, states: &[NodeState]) -> Compared {
        let mut states: Vec<_> = states.iter().collect();
        states.sort_by_key(|state| (state.applied, state.node));
        self.compare_with_each_other(&states);
        let reached = |index: u64| placement.horizon.is_none_or(|horizon| index < horizon);
        let mut states = states.into_iter().peekable();
        for place in &placement.places {
            if !reached(place.index) {
                let answered = self.findings.history[place.operation].is_answered();
                self.compared.unreached += u64::from(answered && place.role == Role::Stands);
                continue;
            }
            while let Some(state) = states.next_if(|state| state.applied < place.index) {
                self.compare_state(state);
            }
            self.step(place);
        }
        let mut left = 0;
        for state in states {
            if reached(state.applied) {
                self.compare_state(state);
            } else {
                left += 1;
            }
        }
        if left > 0 {
            let horizon = placement.horizon.unwrap_or_default();
            self.findings.undecided(format!("{left} final states stand behind index {horizon}"));
        }
        self.compared
    }

    fn step(&mut self, place: &Place) {
        let operation = &self.findings.history[place.operation];
        let log_time_us = self.audits.get(place.index).map_or(0, |record| record.log_time_us);
        let context = Context { index: place.index, log_time_us };
        let mut reply = Reply::new(&mut self.reply, self.reply_max);
        let result = match operation.kind {
            OperationKind::Write => {
                Ok(self.service.execute(&context, &operation.request, &mut reply))
            }
            OperationKind::Read => self.service.query(&context, &operation.request, &mut reply),
        };
        let overflowed = reply.overflowed();
        if place.role == Role::Again || !operation.is_answered() {
            return;
        }
        let answer = has_answer(result, overflowed);
        if place.role == Role::Candidate {
            let fits = answer.is_ok() && operation.reply == self.reply;
            return self.compared.fitting.extend(fits.then_some(*place));
        }
        self.compared.replies += 1;
        let index = place.index;
        let wanted = match answer {
            Ok(()) if operation.reply == self.reply => return,
            Ok(()) => self.findings.reply_text(&self.reply),
            Err(why) => why.to_owned(),
        };
        self.findings.violation(ViolationKind::WrongReply, &[place.operation], || {
            format!("at index {index} the answer is {wanted}")
        });
    }

    fn compare_state(&mut self, state: &NodeState) {
        let NodeState { node, applied, state_hash: hash, scan } = state;
        self.compared.states += 1;
        let wanted = state_hash(self.service);
        if wanted != *hash {
            self.findings.violation(ViolationKind::WrongState, &[], || {
                format!("node {node} at index {applied}: state hash {hash:016x}, not {wanted:016x}")
            });
        }
        let Some(scan) = scan else { return };
        self.compared.scans += 1;
        let context = Context { index: *applied, log_time_us: self.audits.log_time_us(*applied) };
        let mut reply = Reply::new(&mut self.reply, self.reply_max);
        let result = self.service.query(&context, &scan.request, &mut reply);
        let overflowed = reply.overflowed();
        let wanted = match has_answer(result, overflowed) {
            Ok(()) if scan.reply == self.reply => return,
            Ok(()) => self.findings.reply_text(&self.reply),
            Err(why) => why.to_owned(),
        };
        let found = self.findings.reply_text(&scan.reply);
        self.findings.violation(ViolationKind::WrongScan, &[], || {
            format!("node {node} at index {applied} has {found}, not {wanted}")
        });
    }

    /// Nodes at the same index have the same state, whatever the history says.
    fn compare_with_each_other(&mut self, states: &[&NodeState]) {
        for pair in states.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            if one.applied == other.applied && one.state_hash != other.state_hash {
                self.findings.violation(ViolationKind::StatesDiverge, &[], || {
                    format!(
                        "at index {} node {} has state hash {:016x} and node {} has {:016x}",
                        one.applied, one.node, one.state_hash, other.node, other.state_hash
                    )
                });
            }
        }
    }
}

/// Whether the service has an answer to compare with: `Err` says what the client is told instead.
fn has_answer(result: Result<Outcome, ChangesState>, overflowed: bool) -> Result<(), &'static str> {
    match result {
        Err(ChangesState) => Err("a refusal: the request would change state"),
        Ok(_) if overflowed => Err("a refusal: the reply is too long"),
        Ok(_) => Ok(()),
    }
}
