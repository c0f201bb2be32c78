//! A service that only remembers what it was told, so that a trace shows what was executed where.

use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
};

/// Requests: `panic` panics, `big*n` is answered with n bytes, anything else with itself and the index. A query that begins with `w`
/// would change state.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// What was executed: index, log time, request.
    pub(crate) executed: Vec<(u64, u64, String)>,
}

impl Service for Recorder {
    fn execute(&mut self, context: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        let text = crate::support::words::body(request);
        self.executed.push((context.index, context.log_time_us, text.clone()));
        assert!(text != "panic", "asked to");
        match text.strip_prefix("big").and_then(|len| len.parse().ok()) {
            Some(len) => reply.write(&vec![b'r'; len]),
            None => reply.write(format!("{text}@{}", context.index).as_bytes()),
        };
        Outcome::Done
    }

    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        if request.starts_with(b"w") {
            return Err(ChangesState);
        }
        let seen: Vec<_> = self.executed.iter().map(|done| done.2.as_str()).collect();
        reply.write(format!("saw[{}]", seen.join(",")).as_bytes());
        Ok(Outcome::Done)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(Vec::new()))
    }

    fn restore(&mut self, _: &mut dyn Snapshot) -> Result<(), RestoreError> {
        Ok(())
    }
}
