//! A run of a cluster that does nothing wrong: history, audits of three nodes, final states, from a seed.

use std::net::SocketAddr;

use history_checker::audit::{AuditKind, AuditRecord, Decision};
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use history_checker::state::{NodeState, Scan};
use history_checker::{Audits, Options, Verdict};
use kv::{Kv, Request};
use r2p2::service::{Context, Reply, Service, state_hash};

pub(crate) const REPLY_MAX: usize = 1_024 * 1_432;

/// Evidence, to be spoilt.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) history: Vec<Operation>,
    pub(crate) audits: Vec<Vec<AuditRecord>>,
    pub(crate) states: Vec<NodeState>,
}

/// What makes a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) clients: u64,
    pub(crate) operations: u64,
    pub(crate) keys: u64,
    /// Of a hundred operations, how many learn no outcome.
    pub(crate) unknown: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { seed: 1, clients: 5, operations: 300, keys: 4, unknown: 5 }
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The cluster at work: one log, one store.
struct Cluster {
    kv: Kv,
    index: u64,
    audit: Vec<AuditRecord>,
}

impl Cluster {
    fn internal(&mut self) {
        self.index += 1;
        self.audit.push(AuditRecord::internal(self.index, self.index * 10));
    }

    fn append(&mut self, operation: &Operation, decision: Decision) {
        self.index += 1;
        let kind = match operation.kind {
            OperationKind::Write => AuditKind::Write,
            OperationKind::Read => AuditKind::Read,
        };
        self.audit.push(AuditRecord {
            session: operation.session,
            number: operation.number,
            client: operation.address.unwrap_or(address(operation.client)),
            kind,
            decision,
            hash: hash(&operation.request),
            ..AuditRecord::internal(self.index, self.index * 10)
        });
    }

    fn execute(&mut self, operation: &Operation) -> Vec<u8> {
        self.append(operation, Decision::Executed);
        let context = Context { index: self.index, log_time_us: self.index * 10 };
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, REPLY_MAX);
        match operation.kind {
            OperationKind::Write => {
                self.kv.execute(&context, &operation.request, &mut reply);
            }
            OperationKind::Read => {
                self.kv.query(&context, &operation.request, &mut reply).unwrap();
            }
        }
        bytes
    }

    fn state(&self, node: u64) -> NodeState {
        let mut request = Vec::new();
        Request::FULL_SCAN.encode(&mut request).unwrap();
        let mut reply = Vec::new();
        let context = Context::default();
        self.kv.query(&context, &request, &mut Reply::new(&mut reply, REPLY_MAX)).unwrap();
        let scan = Some(Scan { request, reply });
        NodeState { node, applied: self.index, state_hash: state_hash(&self.kv), scan }
    }
}

pub(crate) fn address(client: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4_000 + u16::try_from(client).unwrap()))
}

fn hash(request: &[u8]) -> u64 {
    request.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

fn draw_request(random: &mut Random, keys: u64) -> (OperationKind, Vec<u8>) {
    let key = format!("key{}", random.below(keys)).into_bytes();
    let value = random.below(10).to_string().into_bytes();
    let expected = random.below(10).to_string().into_bytes();
    let request = match random.below(12) {
        0..4 => Request::Get { key: &key },
        4..6 => Request::Put { key: &key, value: &value },
        6 => Request::Delete { key: &key },
        7 => Request::CompareAndSwap { key: &key, expected: Some(&expected), value: &value },
        8 => Request::CompareAndSwap { key: &key, expected: None, value: &value },
        9 => Request::Append { key: &key, suffix: &value },
        10 => Request::Increment { key: &key, by: 3 },
        _ => Request::Scan { from: &key, limit: 2 },
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    // Now and then a read goes through the log as a write does.
    let read = request.is_read() && !random.percent(5);
    (if read { OperationKind::Read } else { OperationKind::Write }, bytes)
}

/// Operations without outcomes, each with the moment at which it is ordered.
fn draw_operations(shape: Shape, random: &mut Random) -> Vec<(u64, Operation)> {
    let mut free_at = vec![0; usize::try_from(shape.clients).unwrap()];
    let mut operations = Vec::new();
    for turn in 0..shape.operations {
        let client = turn % shape.clients;
        let free_at = &mut free_at[usize::try_from(client).unwrap()];
        let invoked_us = *free_at + random.below(40);
        let ordered_at = invoked_us + 1 + random.below(100);
        let completed_us = ordered_at + 1 + random.below(100);
        *free_at = completed_us + 1;
        let (kind, request) = draw_request(random, shape.keys);
        // Every fourth client is a plain one.
        let plain = client % 4 == 3;
        let operation = Operation {
            client,
            session: if plain { 0 } else { 1_000 + client },
            number: 1 + turn / shape.clients,
            address: plain.then(|| address(client)),
            kind,
            invoked_us,
            completed_us: Some(completed_us),
            outcome: OperationOutcome::Answered,
            index: 0,
            request,
            reply: Vec::new(),
        };
        operations.push((ordered_at, operation));
    }
    operations.sort_by_key(|(ordered_at, operation)| (*ordered_at, operation.client));
    operations
}

/// Makes a run.
pub(crate) fn run(shape: Shape) -> Run {
    let mut random = Random(shape.seed);
    let mut cluster = Cluster { kv: Kv::default(), index: 0, audit: Vec::new() };
    cluster.internal();
    let mut states = vec![cluster.state(3)];
    let mut history = Vec::new();
    let middle = shape.operations / 2;
    for (turn, (_, mut operation)) in (0..).zip(draw_operations(shape, &mut random)) {
        if random.percent(2) {
            cluster.internal();
        }
        let lost = random.percent(shape.unknown);
        if random.percent(1) {
            operation.outcome = OperationOutcome::Refused;
            cluster.append(&operation, Decision::Refused);
        } else if !lost || random.percent(50) {
            operation.reply = cluster.execute(&operation);
            operation.index = cluster.index;
            if operation.session == 0 {
                operation.index = 0;
                // HC5: a repeated read is a new entry.
                if operation.kind == OperationKind::Read && random.percent(30) {
                    cluster.append(&operation, Decision::Executed);
                }
            }
        }
        if lost {
            operation.outcome = OperationOutcome::Unknown;
            (operation.completed_us, operation.index) = (None, 0);
            let executed = !operation.reply.is_empty();
            operation.reply.clear();
            if executed && operation.kind == OperationKind::Write && random.percent(50) {
                cluster.append(&operation, Decision::Repetition);
            }
        }
        history.push(operation);
        if turn == middle {
            states = vec![cluster.state(3)];
        }
    }
    states.extend([cluster.state(1), cluster.state(2)]);
    Run { history, audits: vec![cluster.audit; 3], states }
}

impl Run {
    pub(crate) fn check(&self, options: &Options) -> Verdict {
        let mut audits = Audits::new();
        for (node, records) in (1..).zip(&self.audits) {
            audits.add(format!("node {node}"), records.iter().copied());
        }
        history_checker::check(&self.history, &audits, &mut Kv::default(), &self.states, options)
    }

    /// Places in the history of what fits.
    pub(crate) fn places(&self, fits: impl Fn(&Operation) -> bool) -> Vec<usize> {
        (0..self.history.len()).filter(|&at| fits(&self.history[at])).collect()
    }

    /// The record at `index`, on every node.
    pub(crate) fn change(&mut self, index: u64, change: impl Fn(&mut AuditRecord)) {
        for record in self.audits.iter_mut().flatten().filter(|record| record.index == index) {
            change(record);
        }
    }
}

/// A session's.
pub(crate) fn answered_write(operation: &Operation) -> bool {
    operation.kind == OperationKind::Write
        && operation.session != 0
        && operation.outcome == OperationOutcome::Answered
}
