//! A node's decisions in the words of the checker.

use history_checker::audit::{AuditKind, AuditRecord, Decision};
use hovercraft::audit::{AuditEntry, Decided};
use hovercraft::entry::EntryKind;

/// The line of one entry.
pub(crate) fn record(entry: &AuditEntry) -> AuditRecord {
    let (index, log_time_us) = (entry.index.to_wire(), entry.log_time_us);
    let Some(request) = &entry.request else {
        return AuditRecord::internal(index, log_time_us);
    };
    AuditRecord {
        index,
        log_time_us,
        session: request.id.session,
        number: request.id.number,
        client: request.client.socket(),
        kind: match request.kind {
            EntryKind::Write => AuditKind::Write,
            EntryKind::Read => AuditKind::Read,
            EntryKind::Open => AuditKind::Open,
            EntryKind::Close => AuditKind::Close,
        },
        decision: match entry.decided {
            Decided::Executed => Decision::Executed,
            Decided::Repetition => Decision::Repetition,
            Decided::Refused => Decision::Refused,
            Decided::Dropped => Decision::Dropped,
        },
        hash: request.hash,
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use hovercraft::entry::Request;
    use r2p2::request_id::{ClientAddress, RequestId};
    use raft_core::ids::{LogIndex, NodeId};

    use super::*;

    #[test]
    fn an_entry_keeps_all_that_the_checker_asks_for() {
        let client: SocketAddr = "10.0.0.9:4000".parse().unwrap();
        let address = ClientAddress::from(client);
        let request = Request {
            id: RequestId::new(address, 7, 17),
            client: address,
            plain: false,
            kind: EntryKind::Read,
            hash: 0xab,
            len: 3,
            above_floor: 0,
            stamp_us: 4_999,
            replier: NodeId::new(1).unwrap(),
            inline: false,
        };
        let index = LogIndex::from_wire(42);
        let decided = Decided::Repetition;
        let entry = AuditEntry { index, log_time_us: 5_000, request: Some(request), decided };
        let expected = AuditRecord {
            index: 42,
            log_time_us: 5_000,
            session: 7,
            number: 17,
            client,
            kind: AuditKind::Read,
            decision: Decision::Repetition,
            hash: 0xab,
        };
        assert_eq!(record(&entry), expected);
        let internal = AuditEntry { request: None, ..entry };
        assert_eq!(record(&internal), AuditRecord::internal(42, 5_000));
    }
}
