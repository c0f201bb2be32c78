//! Smallest service: a counter that understands `add 5` and `read`.
//!
//! This is all that a replicated service needs: what a write does, what a read answers, and the state as bytes.

#![forbid(unsafe_code)]

use r2p2::service::{
    ChangesState, Context, Outcome, Reply, RestoreError, Service, Snapshot, SnapshotBytes,
    SnapshotReader,
};

/// A number that requests add to.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    value: i64,
}

impl Service for Counter {
    /// `add n`: adds `n` and answers the new value. Runs on every node, at the same place in the log.
    fn execute(&mut self, _: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        let number = str::from_utf8(request).ok().and_then(|text| text.strip_prefix("add "));
        let Some(number) = number.and_then(|number| number.parse::<i64>().ok()) else {
            reply.write(b"try `add 5` or `read`");
            return Outcome::Failed;
        };
        let Some(value) = self.value.checked_add(number) else {
            reply.write(b"the counter would overflow");
            return Outcome::Failed;
        };
        self.value = value;
        reply.write(value.to_string().as_bytes());
        Outcome::Done
    }

    /// `read`: answers the value. Runs on one node only, and cannot change anything.
    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        if request != b"read" {
            return Err(ChangesState);
        }
        reply.write(self.value.to_string().as_bytes());
        Ok(Outcome::Done)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(self.value.to_be_bytes().to_vec()))
    }

    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(snapshot);
        self.value = i64::from_be_bytes(reader.array()?);
        reader.end()
    }
}

#[cfg(test)]
mod tests;
