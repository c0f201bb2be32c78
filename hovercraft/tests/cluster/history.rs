//! The history of a run against what the nodes say they did: the exact check of `history-checker`.

use history_checker::audit::{AuditKind, AuditRecord, Decision};

use history_checker::state::{NodeState, Scan};
use history_checker::{Audits, Options, Truth, Verdict, check as check_history};

use hovercraft::audit::{AuditEntry, Decided};
use hovercraft::entry::EntryKind;
use hovercraft::replica::Role;
use kv::{Kv, Request};
use r2p2::service::{Context, Reply, Service, state_hash};

use crate::cluster::{Cluster, Node};

/// The whole history must be right, with nothing left undecided.
pub(crate) fn check(cluster: &Cluster) {
    let verdict = verdict(cluster);
    assert_eq!(verdict.linearizable, Truth::True, "seed {}: {verdict:#?}", cluster.seed);
    assert_eq!(
        (verdict.acknowledged_lost, verdict.executed_twice),
        (0, 0),
        "seed {}",
        cluster.seed
    );
}

pub(crate) fn verdict(cluster: &Cluster) -> Verdict {
    let mut audits = Audits::new();
    for node in &cluster.nodes {
        let id = node.replica.status().id;
        for (life, audit) in node.past_audits.iter().enumerate() {
            audits.add(format!("{id} life {life}"), audit.iter().map(record));
        }
        audits.add(format!("{id}"), node.replica.audit().iter().map(record));
    }
    let states: Vec<NodeState> = cluster.nodes.iter().filter_map(state).collect();
    let history: Vec<_> =
        cluster.clients.iter().flat_map(|client| client.history.iter().cloned()).collect();
    // The black-box search is exponential: a taste of it here, the exact check decides.
    let options = Options { black_box_steps: 200_000, ..Options::kv() };
    check_history(&history, &audits, &mut Kv::default(), &states, &options)
}

fn state(node: &Node) -> Option<NodeState> {
    let status = node.replica.status();
    if !node.alive || matches!(status.role, Role::Silent | Role::Joining) {
        return None;
    }
    let mut request = Vec::new();
    Request::FULL_SCAN.encode(&mut request).unwrap();
    let mut reply = Vec::new();
    let context = Context { index: status.applied.to_wire(), log_time_us: 0 };
    let service = node.application.service();
    service.query(&context, &request, &mut Reply::new(&mut reply, 1_024 * 1_432)).unwrap();
    Some(NodeState {
        node: status.id.number().into(),
        applied: status.applied.to_wire(),
        state_hash: state_hash(service),
        scan: Some(Scan { request, reply }),
    })
}

fn record(entry: &AuditEntry) -> AuditRecord {
    let index = entry.index.to_wire();
    let Some(request) = entry.request else {
        return AuditRecord::internal(index, entry.log_time_us);
    };
    AuditRecord {
        index,
        log_time_us: entry.log_time_us,
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
