//! The audits of all nodes as one: each index once, with what the nodes disagree about set aside.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::SocketAddr;

use crate::audit::{AuditKind, AuditRecord, Decision};
use crate::history::{Operation, OperationKind};
use crate::lines::{LineError, Reader};
use crate::verdict::{Findings, ViolationKind};

/// Disagreements kept for the report; all are counted.
const DIVERGENCES_KEPT: u64 = 4;

/// What tells requests apart (as `r2p2::request_id::RequestId`).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Id {
    pub(crate) session: u64,
    pub(crate) number: u64,
    /// Only without a session.
    pub(crate) address: Option<SocketAddr>,
}

/// What the nodes did, merged.
#[derive(Clone, Debug, Default)]
pub struct Audits {
    names: Vec<String>,
    /// By index: the first record seen, and the place of its node in `names`.
    records: BTreeMap<u64, (AuditRecord, usize)>,
    divergences: Vec<Divergence>,
    diverging: u64,
}

/// Two nodes, one index, two records.
#[derive(Clone, Debug)]
struct Divergence {
    one: (AuditRecord, usize),
    other: (AuditRecord, usize),
}

impl Audits {
    /// No evidence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the audit of one node; `name` is for reports. The order of records does not matter.
    pub fn add(&mut self, name: impl Into<String>, records: impl IntoIterator<Item = AuditRecord>) {
        self.names.push(name.into());
        for record in records {
            self.insert(record);
        }
    }

    /// Adds the audit of one node from its lines; returns whether the last line was unfinished and left out.
    ///
    /// # Errors
    ///
    /// The first line that cannot be read.
    pub fn add_lines<R: BufRead>(
        &mut self,
        name: impl Into<String>,
        mut lines: Reader<R, AuditRecord>,
    ) -> Result<bool, LineError> {
        self.names.push(name.into());
        for record in &mut lines {
            self.insert(record?);
        }
        Ok(lines.cut())
    }

    fn insert(&mut self, record: AuditRecord) {
        let node = self.names.len() - 1;
        let kept = self.records.entry(record.index).or_insert((record, node));
        if kept.0 != record {
            self.diverging += 1;
            if self.diverging <= DIVERGENCES_KEPT {
                self.divergences.push(Divergence { one: *kept, other: (record, node) });
            }
        }
    }

    pub(crate) fn get(&self, index: u64) -> Option<&AuditRecord> {
        self.records.get(&index).map(|(record, _)| record)
    }

    /// All records, in index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AuditRecord> {
        self.records.values().map(|(record, _)| record)
    }

    /// The highest index known; 0 without one.
    pub(crate) fn last(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// The first index in `1..=last` that no node's audit has.
    pub(crate) fn first_hole(&self, last: u64) -> Option<u64> {
        let mut next = 1;
        for index in self.records.range(1..).map(|(index, _)| *index) {
            if index != next {
                break;
            }
            next += 1;
        }
        (next <= last).then_some(next)
    }

    /// Log time at `index`: that of the last record up to there.
    pub(crate) fn log_time_us(&self, index: u64) -> u64 {
        let before = self.records.range(..=index).next_back();
        before.map_or(0, |(_, (record, _))| record.log_time_us)
    }

    /// What the audits show without a history: agreement (HC7a), log time (HC7e).
    pub(crate) fn check(&self, findings: &mut Findings<'_>) {
        for Divergence { one, other } in &self.divergences {
            let (one, other) = (self.name(one), self.name(other));
            findings.violation(ViolationKind::AuditsDiverge, &[], || format!("{one}, but {other}"));
        }
        for _ in DIVERGENCES_KEPT..self.diverging {
            findings.violation(ViolationKind::AuditsDiverge, &[], String::new);
        }
        for (before, after) in self.iter().zip(self.iter().skip(1)) {
            if after.log_time_us < before.log_time_us {
                findings.violation(ViolationKind::LogTimeBack, &[], || {
                    format!(
                        "log time is {} us at index {} and {} us at index {}",
                        before.log_time_us, before.index, after.log_time_us, after.index
                    )
                });
            }
        }
    }

    fn name(&self, (record, node): &(AuditRecord, usize)) -> String {
        let AuditRecord { index, log_time_us, client, hash, .. } = record;
        format!(
            "{} has at index {index} {} of {client}, body {hash:016x}, log time {log_time_us} us",
            self.names[*node],
            record.text()
        )
    }
}

impl AuditRecord {
    pub(crate) fn id(&self) -> Id {
        let address = (self.session == 0).then_some(self.client);
        Id { session: self.session, number: self.number, address }
    }

    pub(crate) fn executed(&self) -> bool {
        self.decision == Decision::Executed
    }

    /// A write that was executed.
    pub(crate) fn executed_write(&self) -> bool {
        self.kind == AuditKind::Write && self.executed()
    }

    /// Whether this is the entry of `operation`, executed. An address is compared where the history has one.
    pub(crate) fn executes(&self, operation: &Operation) -> bool {
        let same_kind = match operation.kind {
            OperationKind::Write => self.kind == AuditKind::Write,
            OperationKind::Read => self.kind == AuditKind::Read,
        };
        let id = operation.id();
        let same_address = id.address.is_none() || id.address == Some(self.client);
        self.executed()
            && same_kind
            && (self.session, self.number) == (id.session, id.number)
            && same_address
    }

    pub(crate) fn text(&self) -> String {
        format!("{:?} {}#{}, {:?}", self.kind, self.session, self.number, self.decision)
    }
}

impl Operation {
    pub(crate) fn id(&self) -> Id {
        let address = if self.session == 0 { self.address } else { None };
        Id { session: self.session, number: self.number, address }
    }
}
