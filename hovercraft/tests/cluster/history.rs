//! The history of a run against what the nodes say they did.

use std::collections::BTreeMap;

use hovercraft::audit::{AuditEntry, Decided};
use hovercraft::replica::Role;
use r2p2::service::state_hash;

use crate::cluster::Cluster;

/// Every node's dump must agree with every other's, answered writes must be in it once, and states must be equal.
pub(crate) fn check(cluster: &Cluster) {
    let seed = cluster.seed;
    let mut log: BTreeMap<u64, AuditEntry> = BTreeMap::new();
    for node in &cluster.nodes {
        for audit in node.past_audits.iter().map(Vec::as_slice).chain([node.replica.audit()]) {
            for entry in audit {
                let first = *log.entry(entry.index.to_wire()).or_insert(*entry);
                assert_eq!(first, *entry, "seed {seed}: nodes decided differently");
            }
        }
    }
    let mut executed: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for (index, entry) in &log {
        let Some(request) = entry.request.filter(|_| entry.decided == Decided::Executed) else {
            continue;
        };
        if request.is_write() {
            let id = (request.id.session, request.id.number);
            let before = executed.insert(id, *index).filter(|_| request.id.session != 0);
            assert_eq!(before, None, "seed {seed}: HC7: {id:?} executed twice, again at {index}");
        }
    }
    let hashes: Vec<(u64, u64)> = cluster
        .nodes
        .iter()
        .filter(|node| {
            node.alive && !matches!(node.replica.status().role, Role::Silent | Role::Joining)
        })
        .map(|node| {
            (node.replica.status().applied.to_wire(), state_hash(node.application.service()))
        })
        .collect();
    assert!(
        hashes.windows(2).all(|pair| pair[0] == pair[1]),
        "seed {seed}: states differ: {hashes:?}"
    );
}
