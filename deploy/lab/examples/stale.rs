//! Nodes that lie: the service kv, but of the values of a key a read gives the one before the last, now and then.
//!
//! For the tests, which must see that the check of histories finds it on every wire. As a program of a node it is given to
//! `hovercraft-lab run --node-program`; with `step-nodes` it is the process of all nodes of `--wire inproc`.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use hovercraft_lab::inproc::{self, STEP_NODES};
use hovercraft_node::Services;
use kv::{Kv, Request, Response};
use r2p2::service::{ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot};

/// One read of so many may be stale.
const STALE_EVERY: u64 = 50;

/// A store, and of each key that was put the last value and the one before, if there was one.
#[derive(Default)]
struct Stale {
    kv: Kv,
    put: HashMap<Vec<u8>, [Option<Vec<u8>>; 2]>,
    reads: AtomicU64,
}

impl Service for Stale {
    fn execute(&mut self, context: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        if let Ok(Request::Put { key, value, .. }) = Request::parse(request) {
            let [last, before] = self.put.entry(key.to_vec()).or_default();
            *before = last.replace(value.to_vec());
        }
        self.kv.execute(context, request, reply)
    }

    fn query(
        &self,
        context: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        if let Ok(Request::Get { key }) = Request::parse(request)
            && let Some([_, before]) = self.put.get(key)
            && self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(STALE_EVERY)
        {
            let mut bytes = Vec::new();
            before
                .as_ref()
                .map_or(Response::Absent, |value| Response::Value(value))
                .encode(&mut bytes);
            reply.write(&bytes);
            return Ok(Outcome::Done);
        }
        self.kv.query(context, request, reply)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.kv.snapshot()
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        self.kv.restore(snapshot)
    }
}

fn main() -> ExitCode {
    let services = Services::new().with("kv", |_| Stale::default());
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != STEP_NODES) {
        return hovercraft_node::main("stale", &services);
    }
    let directory = words.next();
    match inproc::run(&services, directory.as_deref().map(Path::new)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stale: {error:#}");
            ExitCode::FAILURE
        }
    }
}
