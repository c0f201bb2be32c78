//! A verdict for people.

use std::fmt;

use crate::history::{OperationKind, OperationOutcome};
use crate::verdict::{Evidence, Truth, Verdict, Violation, ViolationKind};

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = |truth: Option<Truth>| truth.map_or("not run".to_owned(), |t| t.to_string());
        writeln!(out, "linearizable: {}", self.linearizable)?;
        writeln!(
            out,
            "  by log index   {} ({} replies, {} final states, {} scans compared)",
            check(self.exact),
            self.replies_compared,
            self.states_compared,
            self.scans_compared
        )?;
        write!(out, "  as a black box {}", check(self.black_box))?;
        if self.black_box.is_some() && self.black_box_scans > 0 {
            write!(out, ", per key: {} scans as a read of each key", self.black_box_scans)?;
        }
        match &self.black_box_because[..] {
            [] => writeln!(out)?,
            because => writeln!(out, " ({})", because.join(", "))?,
        }
        writeln!(
            out,
            "operations: {} ({} answered, {} refused, {} unknown to their clients)",
            self.operations, self.answered, self.refused, self.unknown
        )?;
        writeln!(
            out,
            "writes unknown to their clients: {} executed, {} not",
            self.unknown_executed, self.unknown_not_executed
        )?;
        writeln!(
            out,
            "undecided: {}, acknowledged and lost: {}, executed twice: {}, foreign: {}",
            self.undecided, self.acknowledged_lost, self.executed_twice, self.foreign
        )?;
        for (kind, count) in &self.violations_found {
            writeln!(out, "violations, {}: {count}", kind.text())?;
            for violation in self.violations.iter().filter(|found| found.kind == *kind) {
                write!(out, "{violation}")?;
            }
        }
        if self.linearizable == Truth::Undecided {
            for reason in &self.undecided_because {
                writeln!(out, "undecided because {reason}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  {}", self.text)?;
        for evidence in &self.operations {
            writeln!(out, "    {evidence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OperationKind::Write => "write",
            OperationKind::Read => "read",
        };
        let Self { client, session, number, request, reply, invoked_us, index, .. } = self;
        write!(out, "{kind} {session}#{number} of client {client}, {request}, ")?;
        match self.completed_us {
            Some(completed_us) => write!(out, "{invoked_us} to {completed_us} us, ")?,
            None => write!(out, "from {invoked_us} us, ")?,
        }
        match self.outcome {
            OperationOutcome::Answered if *index == 0 => write!(out, "said {reply}"),
            OperationOutcome::Answered => {
                write!(out, "said {reply} from index {index}")
            }
            OperationOutcome::Refused => write!(out, "refused"),
            OperationOutcome::Unknown => write!(out, "never answered"),
        }
    }
}

impl ViolationKind {
    fn text(self) -> &'static str {
        match self {
            Self::AcknowledgedLost => "acknowledged and lost",
            Self::ExecutedTwice => "executed twice",
            Self::RefusedExecuted => "refused and executed",
            Self::RepetitionOfNothing => "repetition of nothing",
            Self::WrongReply => "wrong reply",
            Self::WrongIndex => "wrong index in an answer",
            Self::SameIndex => "two answers from one index",
            Self::RealTime => "order against real time",
            Self::AuditsDiverge => "nodes that decided differently",
            Self::HashOfTwoBodies => "one hash for two bodies",
            Self::LogTimeBack => "log time that went back",
            Self::StatesDiverge => "nodes with different states",
            Self::WrongState => "a state that the log does not give",
            Self::WrongScan => "a scan that the log does not give",
            Self::NotLinearizable => "no order explains the replies on a key",
        }
    }
}
