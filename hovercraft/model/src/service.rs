//! A service that remembers what it executed: two nodes that executed the same agree on it byte by byte.

use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
};

/// Index and bytes of each write, in the order of execution.
pub type Executed = Vec<(u64, Vec<u8>)>;

/// Every write is kept and answered with the index at which it was executed, and itself.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// What it executed.
    pub executed: Executed,
}

impl Service for Recorder {
    fn execute(&mut self, context: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        self.executed.push((context.index, request.to_vec()));
        reply.write(&context.index.to_be_bytes());
        reply.write(request);
        Outcome::Done
    }

    fn query(&self, _: &Context, _: &[u8], _: &mut Reply<'_>) -> Result<Outcome, ChangesState> {
        Err(ChangesState)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(Vec::new()))
    }

    fn restore(&mut self, _: &mut dyn Snapshot) -> Result<(), RestoreError> {
        Err(RestoreError { offset: 0 })
    }
}
