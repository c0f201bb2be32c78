//! The history of a run against what the nodes say they did: the exact check of `history-checker`, and the black-box one.

use core::net::SocketAddr;

use history_checker::audit::{AuditKind, AuditRecord, Decision};
use history_checker::state::{NodeState, Scan};
use history_checker::{Audits, Options, Verdict, check as check_history};
use hovercraft::audit::{AuditEntry, Decided};
use hovercraft::entry::EntryKind;
use hovercraft::replica::{Mode, Role};
use kv::{Kv, Request};
use r2p2::service::{Context, Reply, Service, state_hash};

use crate::checks::book::place_of;
use crate::cluster::Cluster;
use crate::node::Node;

/// Steps of the black-box search where it decides, and where it is a taste beside the exact check.
const BLACK_BOX_STEPS: (u64, u64) = (20_000_000, 20_000);

/// What the history shows.
#[must_use]
pub fn verdict(cluster: &Cluster) -> Verdict {
    let mut audits = Audits::new();
    for node in &cluster.nodes {
        for (life, audit) in node.past_audits.iter().enumerate() {
            audits.add(
                format!("{} life {life}", node.id),
                audit.iter().map(|entry| record(cluster, entry)),
            );
        }
        audits.add(
            format!("{}", node.id),
            node.replica.audit().iter().map(|entry| record(cluster, entry)),
        );
    }
    let states: Vec<NodeState> = cluster.nodes.iter().filter_map(state).collect();
    let history: Vec<_> =
        cluster.clients.iter().flat_map(|client| client.history.iter().cloned()).collect();
    let log = cluster.knobs.mode != Mode::Unreplicated;
    let searched = cluster.knobs.black_box || !log;
    let options = Options {
        black_box_steps: if searched { BLACK_BOX_STEPS.0 } else { BLACK_BOX_STEPS.1 },
        log,
        reply_max: cluster.knobs.limits.reply_max as usize,
        ..Options::kv()
    };
    check_history(&history, &audits, &mut Kv::default(), &states, &options)
}

fn state(node: &Node) -> Option<NodeState> {
    let status = node.replica.status();
    if !node.alive || matches!(status.role, Role::Silent | Role::Joining) {
        return None;
    }
    let mut request = Vec::new();
    Request::FULL_SCAN.encode(&mut request).expect("no key is too long");
    let mut reply = Vec::new();
    let context = Context { index: status.applied.to_wire(), log_time_us: 0 };
    let service = node.application.service();
    let scan = service.query(&context, &request, &mut Reply::new(&mut reply, 1_024 * 1_432));
    scan.expect("a scan changes nothing");
    Some(NodeState {
        node: status.id.number().into(),
        applied: status.applied.to_wire(),
        state_hash: state_hash(service),
        scan: Some(Scan { request, reply }),
    })
}

/// The address of a plain client, as its history has it: another one for each of its processes, since they use the same ids.
fn address_of(cluster: &Cluster, index: u64, client: SocketAddr) -> SocketAddr {
    let book = cluster.checks.book();
    let asked = cluster.clients.iter().find(|known| known.own() == client);
    let term = book.committed.get(place_of(index));
    let fact = term.and_then(|term| book.fact(index, *term));
    asked.zip(fact).map_or(client, |(asked, fact)| asked.address_at(fact.first_at))
}

fn record(cluster: &Cluster, entry: &AuditEntry) -> AuditRecord {
    let index = entry.index.to_wire();
    let Some(request) = entry.request else {
        return AuditRecord::internal(index, entry.log_time_us);
    };
    AuditRecord {
        index,
        log_time_us: entry.log_time_us,
        session: request.id.session,
        number: request.id.number,
        client: address_of(cluster, index, request.client.socket()),
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
