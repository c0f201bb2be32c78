//! Which operation stands at which index: the answers' word, checked against the audits, and the audits' word for
//! operations whose clients learned nothing.
//!
//! Invariants:
//! - P1. An operation is placed at an index only if an audit shows it executed there, or if its answer says so and no
//!   audit has that index.
//! - P2. Where an entry's content cannot be known, the replay ends ([`Placement::horizon`]): what it would give behind
//!   that proves nothing.

use crate::audit::{AuditKind, AuditRecord, Decision};
use crate::audits::{Audits, Id};
use crate::history::{Operation, OperationKind, OperationOutcome};
use crate::verdict::{Findings, ViolationKind};

/// An operation at its place in the log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) index: u64,
    /// Place in the history.
    pub(crate) operation: usize,
    pub(crate) role: Role,
}

/// What an execution is to its operation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Role {
    /// The one that counts.
    Stands,
    /// A further one of an operation that has its place already: it changes state, and nothing is compared.
    Again,
    /// One of those that may have given the answer of a read that names no index (HC5): see `reads`.
    Candidate,
}

/// What is known about the order.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// By index.
    pub(crate) places: Vec<Place>,
    /// The first index that no audit has.
    pub(crate) hole: Option<u64>,
    /// The first index whose content is unknown and may have changed state.
    pub(crate) horizon: Option<u64>,
    pub(crate) unknown_executed: u64,
    pub(crate) unknown_not_executed: u64,
    /// Operations without a place that may have one.
    pub(crate) undecided: u64,
    pub(crate) foreign: u64,
}

/// Works out the placement.
pub(crate) struct Placing<'a, 'b> {
    history: &'a [Operation],
    audits: &'a Audits,
    findings: &'b mut Findings<'a>,
    /// Operations by id, then in the order of the history.
    ids: Vec<(Id, usize)>,
    /// Answered operations by the index that they name.
    named: Vec<(u64, usize)>,
    /// By operation: its place; 0 = none.
    placed: Vec<u64>,
    /// The first entry whose content is unknown.
    unknown_from: Option<u64>,
    /// Writes that may stand where no audit has an entry.
    lurking: u64,
    result: Placement,
}

impl<'a, 'b> Placing<'a, 'b> {
    pub(crate) fn new(audits: &'a Audits, findings: &'b mut Findings<'a>) -> Self {
        let history = findings.history;
        let mut ids: Vec<_> = history.iter().map(Operation::id).zip(0..).collect();
        ids.sort_unstable();
        let named = history.iter().zip(0..).filter(|(operation, _)| operation.is_answered());
        let mut named: Vec<_> = named.map(|(operation, at)| (operation.index, at)).collect();
        named.retain(|(index, _)| *index > 0);
        named.sort_unstable();
        let placed = vec![0; history.len()];
        Self {
            history,
            audits,
            findings,
            ids,
            named,
            placed,
            unknown_from: None,
            lurking: 0,
            result: Placement::default(),
        }
    }

    /// Places all operations. `last` is the last index that anybody spoke of, `applied` the highest that a node is known
    /// to have applied in the end, `allowed` the sessions whose writes are known to change nothing.
    pub(crate) fn run(mut self, last: u64, applied: Option<u64>, allowed: &[u64]) -> Placement {
        let hole = self.audits.first_hole(last);
        for record in self.audits.iter().filter(|record| record.executed()) {
            match record.kind {
                AuditKind::Write => self.place_write(record, allowed),
                AuditKind::Read => self.place_read(record),
                AuditKind::Open | AuditKind::Close | AuditKind::Internal => {}
            }
        }
        let executed = self.check_repetitions(hole);
        self.check_answers(&executed, hole, applied);
        self.check_named_twice();
        self.settle_unknown(hole);
        self.check_hashes();
        if let Some(hole) = hole {
            self.findings.undecided(format!("no audit has index {hole} (of {last})"));
        }
        self.result.hole = hole;
        let hole = hole.filter(|_| self.lurking > 0);
        self.result.horizon = self.unknown_from.into_iter().chain(hole).min();
        self.result.places.sort_unstable();
        self.result
    }

    fn place(&mut self, index: u64, operation: usize) {
        let role = if self.placed[operation] == 0 { Role::Stands } else { Role::Again };
        self.placed[operation] = self.placed[operation].max(index);
        self.result.places.push(Place { index, operation, role });
    }

    /// The operations with this id.
    fn with_id(&self, id: Id) -> impl Iterator<Item = usize> {
        let start = self.ids.partition_point(|(other, _)| *other < id);
        let same = self.ids[start..].iter().take_while(move |(other, _)| *other == id);
        same.map(|&(_, operation)| operation)
    }

    /// The operation that was answered from this entry.
    fn answered_from(&self, record: &AuditRecord) -> Option<usize> {
        let start = self.named.partition_point(|(index, _)| *index < record.index);
        let same = self.named[start..].iter().take_while(|(index, _)| *index == record.index);
        let mut same = same.map(|&(_, operation)| operation);
        same.find(|&operation| record.executes(&self.history[operation]))
    }

    fn place_write(&mut self, record: &AuditRecord, allowed: &[u64]) {
        if let Some(operation) = self.answered_from(record) {
            return self.place(record.index, operation);
        }
        let operations = self.with_id(record.id());
        let operations = operations.filter(|&at| record.executes(&self.history[at]));
        let operations: Vec<_> = operations.collect();
        let free = |at: &&usize| self.placed[**at] == 0;
        let asked = |at: &&usize| {
            let operation = &self.history[**at];
            operation.index == 0 && operation.outcome != OperationOutcome::Refused
        };
        let mut waiting = operations.iter().filter(free).filter(asked);
        let chosen = waiting.next();
        // A plain client's id that it used again, both times without learning an outcome.
        let request = |at: &usize| &self.history[*at].request;
        if chosen.is_some_and(|chosen| waiting.any(|at| request(at) != request(chosen))) {
            return self.unknown_content(record, "sent for one of several operations");
        }
        let chosen = chosen.or_else(|| operations.iter().find(free)).or(operations.first());
        let Some(&chosen) = chosen else {
            if !allowed.contains(&record.session) {
                self.result.foreign += 1;
                self.unknown_content(record, "sent by nobody in the history");
            }
            return;
        };
        if self.history[chosen].outcome == OperationOutcome::Refused {
            let index = record.index;
            self.findings.violation(ViolationKind::RefusedExecuted, &[chosen], || {
                format!("refused, and executed at index {index}")
            });
        }
        self.place(record.index, chosen);
    }

    fn place_read(&mut self, record: &AuditRecord) {
        if let Some(operation) = self.answered_from(record) {
            return self.place(record.index, operation);
        }
        let operations = self.with_id(record.id()).filter(|&at| {
            let operation = &self.history[at];
            record.executes(operation) && operation.is_answered() && operation.index == 0
        });
        let role = Role::Candidate;
        let index = record.index;
        let places = operations.map(|operation| Place { index, operation, role });
        let places: Vec<_> = places.collect();
        for place in &places {
            self.placed[place.operation] = index;
        }
        self.result.places.extend(places);
    }

    /// P2: what stands here may have changed state in a way that the history does not tell.
    fn unknown_content(&mut self, record: &AuditRecord, why: &str) {
        if self.unknown_from.is_none() {
            let (index, what) = (record.index, record.text());
            self.findings.undecided(format!("index {index}: {what}, {why} (the first such)"));
            self.unknown_from = Some(index);
        }
    }

    /// Twice executed (HC7a), and repetitions of nothing. Returns the executed writes by id and index.
    fn check_repetitions(&mut self, hole: Option<u64>) -> Vec<(Id, u64)> {
        let writes = self.audits.iter().filter(|record| record.executed_write());
        let mut executed: Vec<_> = writes.map(|record| (record.id(), record.index)).collect();
        executed.sort_unstable();
        for same in executed.chunk_by(|(one, _), (other, _)| one == other) {
            let (id, first) = same[0];
            // A plain client may use an id again; how often is known only for those in the history.
            let operations: Vec<_> = self.with_id(id).collect();
            let writes =
                operations.iter().filter(|&&at| self.history[at].kind == OperationKind::Write);
            let wanted = match (id.session, writes.count()) {
                (0, 0) => continue,
                (0, count) => count,
                _ => 1,
            };
            for (_, index) in &same[wanted.min(same.len())..] {
                self.findings.violation(ViolationKind::ExecutedTwice, &operations, || {
                    let Id { session, number, .. } = id;
                    format!(
                        "write {session}#{number} executed at index {first} and at index {index}"
                    )
                });
            }
        }
        let known = |index: u64| hole.is_none_or(|hole| index < hole);
        let repeated = |record: &&AuditRecord| {
            record.kind == AuditKind::Write && record.decision == Decision::Repetition
        };
        for record in self.audits.iter().filter(repeated).filter(|record| known(record.index)) {
            let (id, index) = (record.id(), record.index);
            let first = executed.partition_point(|(other, _)| *other < id);
            if executed.get(first).is_none_or(|&(other, at)| other != id || at > index) {
                let operations: Vec<_> = self.with_id(id).collect();
                self.findings.violation(ViolationKind::RepetitionOfNothing, &operations, || {
                    format!("index {index}: {}, and no execution before it", record.text())
                });
            }
        }
        executed
    }

    /// Every answered operation stands where it says, in a log that a node still has.
    fn check_answers(&mut self, executed: &[(Id, u64)], hole: Option<u64>, applied: Option<u64>) {
        let mut unplaced = 0;
        for at in 0..self.history.len() {
            let operation = &self.history[at];
            if !operation.is_answered() {
                continue;
            }
            let write = operation.kind == OperationKind::Write;
            let applied_nowhere = applied.is_some_and(|applied| operation.index > applied);
            if write && applied_nowhere {
                self.lost(at, "and no node has applied so much");
            } else if operation.index > 0 {
                unplaced += u64::from(!self.check_named_index(at, executed));
            } else if self.placed[at] == 0 && hole.is_none() && write {
                self.lost(at, "and no audit shows it executed");
            } else if self.placed[at] == 0 && hole.is_none() {
                self.findings.violation(ViolationKind::WrongIndex, &[at], || {
                    "answered, but executed at no index".to_owned()
                });
            } else if self.placed[at] == 0 {
                unplaced += 1;
                self.lurking += u64::from(write);
            }
        }
        if unplaced > 0 {
            self.result.undecided += unplaced;
            self.findings.undecided(format!("{unplaced} answers name no index that an audit has"));
        }
    }

    /// Compares the index in an answer with the audits; false when they do not have it.
    fn check_named_index(&mut self, at: usize, executed: &[(Id, u64)]) -> bool {
        let operation = &self.history[at];
        let index = operation.index;
        let Some(record) = self.audits.get(index) else {
            // P1: the answer's word alone.
            self.place(index, at);
            return false;
        };
        if record.executes(operation) {
            return true;
        }
        let elsewhere = executed.binary_search_by_key(&operation.id(), |(id, _)| *id).is_ok();
        if operation.kind == OperationKind::Write && !elsewhere {
            self.lost(at, &format!("but there is {}", record.text()));
        } else {
            self.findings.violation(ViolationKind::WrongIndex, &[at], || {
                format!("answered from index {index}, but there is {}", record.text())
            });
        }
        true
    }

    fn lost(&mut self, at: usize, why: &str) {
        let index = self.history[at].index;
        self.findings.violation(ViolationKind::AcknowledgedLost, &[at], || {
            format!("answered as executed at index {index}, {why}")
        });
    }

    /// No index answers two operations, no id is answered from two indexes.
    fn check_named_twice(&mut self) {
        for pair in self.named.windows(2) {
            let [(one_index, one), (index, other)] = [pair[0], pair[1]];
            if one_index == index && self.history[one].id() != self.history[other].id() {
                self.findings.violation(ViolationKind::SameIndex, &[one, other], || {
                    format!("two operations answered from index {index}")
                });
            }
        }
        for pair in self.ids.windows(2) {
            let [(one_id, one), (id, other)] = [pair[0], pair[1]];
            let (first, second) = (&self.history[one], &self.history[other]);
            let writes = first.kind == OperationKind::Write && second.kind == OperationKind::Write;
            let apart = first.index != second.index && first.index > 0 && second.index > 0;
            if one_id == id && id.session != 0 && writes && apart {
                let (index, again) = (first.index, second.index);
                let audited = self.audits.get(index).is_some() && self.audits.get(again).is_some();
                if !audited {
                    self.findings.violation(ViolationKind::ExecutedTwice, &[one, other], || {
                        format!("one write answered from index {index} and from index {again}")
                    });
                }
            }
        }
    }

    fn settle_unknown(&mut self, hole: Option<u64>) {
        let mut unsettled = 0;
        for (operation, placed) in self.history.iter().zip(&self.placed) {
            let unknown_write = operation.kind == OperationKind::Write
                && operation.outcome == OperationOutcome::Unknown;
            match (unknown_write, *placed, hole) {
                (false, ..) => {}
                (true, 0, None) => self.result.unknown_not_executed += 1,
                (true, 0, Some(_)) => unsettled += 1,
                (true, ..) => self.result.unknown_executed += 1,
            }
        }
        self.result.undecided += unsettled;
        self.lurking += unsettled;
        if unsettled > 0 {
            self.findings.undecided(format!(
                "{unsettled} writes of unknown outcome, and audits that do not cover the log"
            ));
        }
    }

    /// HC6b: a hash names one body.
    fn check_hashes(&mut self) {
        let records = self
            .result
            .places
            .iter()
            .filter_map(|place| Some((self.audits.get(place.index)?.hash, place.operation)));
        let mut hashes: Vec<_> = records.collect();
        hashes.sort_unstable();
        for pair in hashes.windows(2) {
            let [(hash, one), (other_hash, other)] = [pair[0], pair[1]];
            if hash == other_hash && self.history[one].request != self.history[other].request {
                self.findings.violation(ViolationKind::HashOfTwoBodies, &[one, other], || {
                    format!("two bodies with the hash {hash:016x}")
                });
            }
        }
    }
}

impl Operation {
    pub(crate) fn is_answered(&self) -> bool {
        self.outcome == OperationOutcome::Answered
    }
}
