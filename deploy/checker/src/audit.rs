//! What a node did with each entry of its log.
//!
//! One line per entry, in index order, written when the entry is applied; one file per node and life:
//!
//! ```text
//! {"index":42,"log_time_us":5000,"session":281474976710700,"number":17,"client":"10.0.0.9:4000","kind":"write",
//!  "decision":"executed","hash":"0123456789abcdef"}
//! ```
//!
//! Every index has its line, no-ops and configurations too (kind `internal`): so a missing index is missing evidence, and
//! can be told from an entry that no client sent. A node that took over a snapshot has no lines for what it covers. All
//! fields follow from the log alone, so that every node writes the same line for an index: a read carries `executed` on
//! every node, also where only its replier ran it.

use std::io::Write as _;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::hex;
use crate::lines::Line;

/// What became of one entry.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditRecord {
    /// Place in the log.
    pub index: u64,
    /// Log time at this entry, in microseconds.
    pub log_time_us: u64,
    /// The session; 0 = none. For an opening request 0, for an internal entry 0.
    pub session: u64,
    /// Number of the request; for an opening request its nonce, for an internal entry 0.
    pub number: u64,
    /// The client's address in the entry; `0.0.0.0:0` for an internal one.
    pub client: SocketAddr,
    /// What kind of entry it is.
    pub kind: AuditKind,
    /// What applying it came to.
    pub decision: Decision,
    /// Hash of the body as in the entry (HC6b); 0 for an internal one.
    #[serde(with = "hex::hash")]
    pub hash: u64,
}

/// Kinds of entries.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditKind {
    /// A request that may change state.
    Write,
    /// A read.
    Read,
    /// Opens a session.
    Open,
    /// Closes a session.
    Close,
    /// A no-op or a configuration.
    Internal,
}

/// What applying an entry came to (HC7).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Executed, whatever the service answered.
    Executed,
    /// Executed already, at an earlier index; not again.
    Repetition,
    /// Answered with a refusal: unknown session, above the window.
    Refused,
    /// Below the session's floor, or otherwise passed over without an answer.
    Dropped,
}

impl AuditRecord {
    /// The record of a no-op or a configuration.
    #[must_use]
    pub fn internal(index: u64, log_time_us: u64) -> Self {
        Self {
            index,
            log_time_us,
            session: 0,
            number: 0,
            client: SocketAddr::from(([0; 4], 0)),
            kind: AuditKind::Internal,
            decision: Decision::Executed,
            hash: 0,
        }
    }
}

impl AuditKind {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Open => "open",
            Self::Close => "close",
            Self::Internal => "internal",
        }
    }
}

impl Decision {
    fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Repetition => "repetition",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

impl Line for AuditRecord {
    fn push_json(&self, line: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(
            line,
            r#"{{"index":{},"log_time_us":{},"session":{},"number":{},"client":"{}","kind":"{}","decision":"{}","hash":"{:016x}"}}"#,
            self.index,
            self.log_time_us,
            self.session,
            self.number,
            self.client,
            self.kind.name(),
            self.decision.name(),
            self.hash,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{Reader, Writer};

    #[test]
    fn lines_are_what_serde_writes_and_reads() {
        let kinds = [
            AuditKind::Write,
            AuditKind::Read,
            AuditKind::Open,
            AuditKind::Close,
            AuditKind::Internal,
        ];
        let decisions =
            [Decision::Executed, Decision::Repetition, Decision::Refused, Decision::Dropped];
        let mut records = vec![AuditRecord::internal(1, 2)];
        for (index, kind) in (2..).zip(kinds) {
            for decision in decisions {
                let client = "[fe80::1]:9".parse().unwrap();
                let record = AuditRecord { client, kind, decision, hash: 0xab, ..records[0] };
                records.push(AuditRecord { index, session: 7, number: u64::MAX, ..record });
            }
        }
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for record in &records {
            writer.write(record).unwrap();
        }
        drop(writer);
        for (line, record) in out.split(|byte| *byte == b'\n').zip(&records) {
            assert_eq!(line, serde_json::to_vec(record).unwrap());
        }
        let read: Result<Vec<AuditRecord>, _> = Reader::new(&out[..]).collect();
        assert_eq!(read.unwrap(), records);
    }

    #[test]
    fn a_line_is_the_documented_one() {
        let mut line = Vec::new();
        AuditRecord::internal(1, 2).push_json(&mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"index\":1,\"log_time_us\":2,\"session\":0,\"number\":0,\"client\":\"0.0.0.0:0\",\
             \"kind\":\"internal\",\"decision\":\"executed\",\"hash\":\"0000000000000000\"}"
        );
    }
}
