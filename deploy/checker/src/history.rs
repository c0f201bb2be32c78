//! What clients asked, when, and what they were told.
//!
//! One line per operation, written when its outcome is known or given up:
//!
//! ```text
//! {"client":3,"session":281474976710700,"number":17,"kind":"write","invoked_us":1000,"completed_us":1250,
//!  "outcome":"answered","index":42,"request":"0200016b0000000176","reply":"00"}
//! ```
//!
//! A *history* must hold every operation of every client, also those that were never answered: the check takes writes in
//! the audits that no client names for somebody else's, and then proves nothing. Several files, one per process, make one
//! history if their times come from the same monotonic clock.

use std::io::Write as _;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::hex;
use crate::lines::Line;

/// An operation as its client saw it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Operation {
    /// Who asked: a thread or connection. For reports only.
    pub client: u64,
    /// The session; 0 = none.
    pub session: u64,
    /// Number of the request in the session, or the id of a plain client's.
    pub number: u64,
    /// Without a session: the client's address, which tells its numbers apart. In mode `raft` too, the client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// How the request was tagged.
    pub kind: OperationKind,
    /// Just before the first packet was sent: `CLOCK_MONOTONIC`, microseconds.
    pub invoked_us: u64,
    /// Just after the last packet of the answer was read; `None` unless answered or refused.
    pub completed_us: Option<u64>,
    /// How it ended.
    pub outcome: OperationOutcome,
    /// Log index at which it was executed, as the answer says; 0 = it says none.
    pub index: u64,
    /// Body of the request.
    #[serde(with = "hex::bytes")]
    pub request: Vec<u8>,
    /// Body of the answer; empty without one.
    #[serde(default, with = "hex::bytes")]
    pub reply: Vec<u8>,
}

/// How a request was tagged (R2P2 policy field).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// `REPLICATED_REQ`: executed by every node.
    Write,
    /// `REPLICATED_REQ_R`: executed by its replier alone.
    Read,
}

/// What the client knows in the end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationOutcome {
    /// Executed; `reply` is the answer.
    Answered,
    /// Not executed and never will be: a DROP whose reason was decided when the entry was applied.
    Refused,
    /// No answer, a NACK (HC10), or "done, reply not kept": it may have been executed, or may yet be.
    Unknown,
}

impl OperationKind {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl OperationOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Line for Operation {
    fn push_json(&self, line: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(
            line,
            r#"{{"client":{},"session":{},"number":{},"#,
            self.client, self.session, self.number
        );
        if let Some(address) = self.address {
            let _ = write!(line, r#""address":"{address}","#);
        }
        let _ = write!(line, r#""kind":"{}","invoked_us":{},"#, self.kind.name(), self.invoked_us);
        let _ = match self.completed_us {
            Some(at) => write!(line, r#""completed_us":{at},"#),
            None => write!(line, r#""completed_us":null,"#),
        };
        let (outcome, index) = (self.outcome.name(), self.index);
        let _ = write!(line, r#""outcome":"{outcome}","index":{index},"request":""#);
        hex::push(line, &self.request);
        line.extend_from_slice(br#"","reply":""#);
        hex::push(line, &self.reply);
        line.extend_from_slice(br#""}"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{LineError, Reader, Writer};

    fn operation() -> Operation {
        Operation {
            client: 1,
            session: u64::MAX,
            number: 2,
            address: None,
            kind: OperationKind::Write,
            invoked_us: 3,
            completed_us: Some(4),
            outcome: OperationOutcome::Answered,
            index: 5,
            request: vec![0, 255],
            reply: vec![16],
        }
    }

    fn written(operations: &[Operation]) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for operation in operations {
            writer.write(operation).unwrap();
        }
        drop(writer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_the_documented_one_and_what_serde_writes() {
        let line = written(&[operation()]);
        assert_eq!(
            line,
            "{\"client\":1,\"session\":18446744073709551615,\"number\":2,\"kind\":\"write\",\
             \"invoked_us\":3,\"completed_us\":4,\"outcome\":\"answered\",\"index\":5,\
             \"request\":\"00ff\",\"reply\":\"10\"}\n"
        );
        assert_eq!(line.trim_end(), serde_json::to_string(&operation()).unwrap());
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let mut operations = vec![operation(); 3];
        operations[1].address = Some("10.0.0.1:80".parse().unwrap());
        operations[1].kind = OperationKind::Read;
        operations[1].completed_us = None;
        operations[1].outcome = OperationOutcome::Unknown;
        operations[2].outcome = OperationOutcome::Refused;
        let text = written(&operations);
        let read: Result<Vec<Operation>, _> = Reader::new(text.as_bytes()).collect();
        assert_eq!(read.unwrap(), operations);
    }

    #[test]
    fn an_unfinished_last_line_is_left_out_and_told() {
        let text = written(&vec![operation(); 2]);
        let mut reader = Reader::<_, Operation>::new(&text.as_bytes()[..text.len() - 5]);
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), 1);
        assert!(reader.cut());
        let mut whole = Reader::<_, Operation>::new(text.trim_end().as_bytes());
        assert_eq!(whole.by_ref().map(Result::unwrap).count(), 2);
        assert!(!whole.cut());
    }

    #[test]
    fn a_bad_line_is_named() {
        let text = format!("\n{}{{\"client\":1}}\n", written(&[operation()]));
        let mut reader = Reader::<_, Operation>::new(text.as_bytes());
        assert!(reader.next().unwrap().is_ok());
        let error = reader.next().unwrap().unwrap_err();
        assert!(matches!(error, LineError::Json { line: 3, .. }), "{error}");
    }
}
