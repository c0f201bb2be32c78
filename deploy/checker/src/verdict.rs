//! What a check found, with the few operations that prove it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history::{Operation, OperationKind, OperationOutcome};

/// Violations of one kind that are kept; all are counted.
const KEPT_PER_KIND: u64 = 4;

/// An answer that may be missing. In JSON `true`, `false` or `"undecided"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Truth {
    /// Proven.
    True,
    /// Disproven: there are violations.
    False,
    /// Neither: evidence is missing, or the search was given up.
    Undecided,
}

/// The result of a check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Both checks together: false if one disproves it, true if the exact one proves it (without a log: the other).
    pub linearizable: Truth,
    /// The check by log index; `None` in mode `unreplicated`, which has no log.
    pub exact: Option<Truth>,
    /// The check that looks at times and replies alone; `None` where no model of the service is known, or where others
    /// than the history's clients wrote.
    pub black_box: Option<Truth>,
    /// Scans that the black-box check took apart into a read for each key: what it then calls true holds for each key, and
    /// of a whole scan says only that nothing disproves it.
    #[serde(default)]
    pub black_box_scans: u64,
    /// Operations in the history.
    pub operations: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, without a known outcome for the client.
    pub unknown: u64,
    /// Writes of unknown outcome that the audits show executed.
    pub unknown_executed: u64,
    /// Writes of unknown outcome that complete audits do not show executed.
    pub unknown_not_executed: u64,
    /// Operations whose outcome or place could not be established.
    pub undecided: u64,
    /// Answered writes that no node has executed.
    pub acknowledged_lost: u64,
    /// Writes executed a second time.
    pub executed_twice: u64,
    /// Writes executed that no client of the history sent.
    pub foreign: u64,
    /// Replies compared with those of the replay.
    pub replies_compared: u64,
    /// Nodes whose final state was compared with the replay's.
    pub states_compared: u64,
    /// Full scans among them.
    pub scans_compared: u64,
    /// How many violations there are of each kind.
    pub violations_found: BTreeMap<ViolationKind, u64>,
    /// A few of each kind.
    pub violations: Vec<Violation>,
    /// Why the check by log index is undecided, where nothing disproves it.
    pub undecided_because: Vec<String>,
    /// Why the black-box check is.
    pub black_box_because: Vec<String>,
}

/// Something that one server would never have done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Violation {
    /// What kind.
    pub kind: ViolationKind,
    /// What was found and what would be right.
    pub text: String,
    /// The operations that show it.
    pub operations: Vec<Evidence>,
}

/// Kinds of violations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// An answered write that no node has executed.
    AcknowledgedLost,
    /// A write executed at two indexes (HC7).
    ExecutedTwice,
    /// A write executed that was refused.
    RefusedExecuted,
    /// A write taken for a repetition of one that was never executed (HC7a).
    RepetitionOfNothing,
    /// A reply that the replay does not give.
    WrongReply,
    /// An answer that names another index than the audits.
    WrongIndex,
    /// Two operations answered from the same index.
    SameIndex,
    /// An operation completed before another began, and yet stands behind it in the log.
    RealTime,
    /// Nodes that did different things at the same index (HC7a).
    AuditsDiverge,
    /// One body hash for two different bodies (HC6b).
    HashOfTwoBodies,
    /// Log time that went back (HC7e).
    LogTimeBack,
    /// Nodes with different states at the same index.
    StatesDiverge,
    /// A node's state that the replay does not give.
    WrongState,
    /// A node's scan that the replay does not give.
    WrongScan,
    /// Replies on one key that no order of the operations explains.
    NotLinearizable,
}

/// An operation in a violation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// Who asked.
    pub client: u64,
    /// The session; 0 = none.
    pub session: u64,
    /// Number in the session.
    pub number: u64,
    /// How it was tagged.
    pub kind: OperationKind,
    /// When it began, microseconds.
    pub invoked_us: u64,
    /// When it was answered.
    pub completed_us: Option<u64>,
    /// What the client knows.
    pub outcome: OperationOutcome,
    /// Log index in the answer.
    pub index: u64,
    /// Request, readable and shortened.
    pub request: String,
    /// Reply, readable and shortened.
    pub reply: String,
}

/// Makes requests and replies readable.
#[derive(Clone, Copy)]
pub(crate) struct Texts {
    pub(crate) request: fn(&[u8]) -> String,
    pub(crate) reply: fn(&[u8]) -> String,
}

/// What has been found so far.
pub(crate) struct Findings<'a> {
    pub(crate) history: &'a [Operation],
    texts: Texts,
    found: BTreeMap<ViolationKind, u64>,
    violations: Vec<Violation>,
    reasons: Vec<String>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(history: &'a [Operation], texts: Texts) -> Self {
        let (found, violations, reasons) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { history, texts, found, violations, reasons }
    }

    /// Counts a violation, and keeps it if there are few of its kind. `operations` are places in the history.
    pub(crate) fn violation(
        &mut self,
        kind: ViolationKind,
        operations: &[usize],
        text: impl FnOnce() -> String,
    ) {
        let found = self.found.entry(kind).or_default();
        *found += 1;
        if *found <= KEPT_PER_KIND {
            let operations = operations.iter().map(|&at| self.evidence(at)).collect();
            self.violations.push(Violation { kind, text: text(), operations });
        }
    }

    /// Why the exact check cannot say "true".
    pub(crate) fn undecided(&mut self, reason: String) {
        self.reasons.push(reason);
    }

    pub(crate) fn reply_text(&self, reply: &[u8]) -> String {
        (self.texts.reply)(reply)
    }

    /// Violations of this kind so far.
    pub(crate) fn count(&self, kind: ViolationKind) -> u64 {
        self.found.get(&kind).copied().unwrap_or_default()
    }

    /// What the exact check comes to.
    pub(crate) fn truth(&self) -> Truth {
        match (self.found.is_empty(), self.reasons.is_empty()) {
            (false, _) => Truth::False,
            (true, false) => Truth::Undecided,
            (true, true) => Truth::True,
        }
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<ViolationKind, u64>, Vec<Violation>, Vec<String>) {
        (self.found, self.violations, self.reasons)
    }

    fn evidence(&self, at: usize) -> Evidence {
        let operation = &self.history[at];
        Evidence {
            client: operation.client,
            session: operation.session,
            number: operation.number,
            kind: operation.kind,
            invoked_us: operation.invoked_us,
            completed_us: operation.completed_us,
            outcome: operation.outcome,
            index: operation.index,
            request: (self.texts.request)(&operation.request),
            reply: (self.texts.reply)(&operation.reply),
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::True => "true",
            Self::False => "false",
            Self::Undecided => "undecided",
        })
    }
}

impl Serialize for Truth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::True => serializer.serialize_bool(true),
            Self::False => serializer.serialize_bool(false),
            Self::Undecided => serializer.serialize_str("undecided"),
        }
    }
}

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TruthVisitor;

        impl Visitor<'_> for TruthVisitor {
            type Value = Truth;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false or \"undecided\"")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Truth, E> {
                Ok(if value { Truth::True } else { Truth::False })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Truth, E> {
                match text {
                    "undecided" => Ok(Truth::Undecided),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(TruthVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_true_false_or_a_word() {
        let all = [Truth::True, Truth::False, Truth::Undecided];
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"[true,false,"undecided"]"#);
        assert_eq!(serde_json::from_str::<[Truth; 3]>(&json).unwrap(), all);
        assert!(serde_json::from_str::<Truth>(r#""maybe""#).is_err());
    }
}
