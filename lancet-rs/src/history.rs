//! The history of a run: every operation, for the checker.
//!
//! A sending thread fills chunks of operations and hands them to one writing thread, which encodes them, writes them to
//! the file and sends the emptied chunks back.
//!
//! ```text
//! Recorder (sending thread) --full chunks, bounded--> writing thread --> file
//!          ^------------------- empty chunks --------------'
//! ```
//!
//! Invariants:
//! - H1. A sending thread never waits: when the writer is behind, full chunks wait in the thread's own memory.
//! - H2. Every operation recorded is in the file when [`History::finish`] says so: nothing is dropped for lack of room,
//!   and a failed write fails the run.
//! - H3. A warm recorder allocates nothing while the writer keeps up: chunks and the buffers in them are used again.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{self, JoinHandle};

use history_checker::history::{Operation, OperationKind, OperationOutcome};
use history_checker::lines::Writer;

/// Operations of a chunk.
const CHUNK: usize = 256;

/// Full chunks between the threads, at most.
const CHUNKS_MAX: usize = 1_024;

/// The writing thread.
#[derive(Debug)]
pub struct History {
    writing: JoinHandle<io::Result<u64>>,
}

/// A sending thread's end.
#[derive(Debug)]
pub struct Recorder {
    filling: Chunk,
    /// Full, and not taken by the writer yet (H1).
    full: VecDeque<Chunk>,
    to_writer: SyncSender<Chunk>,
    empty: Receiver<Vec<Operation>>,
    back: Sender<Vec<Operation>>,
}

#[derive(Debug)]
struct Chunk {
    /// All of them keep their buffers; the first `used` are meant.
    operations: Vec<Operation>,
    used: usize,
    /// Where the emptied chunk goes.
    back: Sender<Vec<Operation>>,
}

impl History {
    /// Creates the file and starts the writing thread, with a recorder for each sending thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or the thread not started.
    pub fn create(path: &Path, threads: u32) -> io::Result<(Self, Vec<Recorder>)> {
        let writer = Writer::create(path)?;
        let (to_writer, chunks) = sync_channel(CHUNKS_MAX);
        let recorders = (0..threads).map(|_| Recorder::new(to_writer.clone())).collect();
        let thread = thread::Builder::new().name("history".to_owned());
        let writing = thread.spawn(move || write(writer, &chunks))?;
        Ok((Self { writing }, recorders))
    }

    /// Waits until everything that the recorders got is in the file; returns the number of operations. The recorders are
    /// finished first, or this never returns.
    ///
    /// # Errors
    ///
    /// What writing gave: the history is then not whole.
    pub fn finish(self) -> io::Result<u64> {
        let stopped = |_| Err(io::Error::other("the thread that writes the history has stopped"));
        self.writing.join().unwrap_or_else(stopped)
    }
}

impl Recorder {
    fn new(to_writer: SyncSender<Chunk>) -> Self {
        let (back, empty) = channel();
        let filling = Chunk::new(Vec::with_capacity(CHUNK), back.clone());
        Self { filling, full: VecDeque::new(), to_writer, empty, back }
    }

    /// Adds an operation, which `fill` sets in every field; the buffers of an earlier one are in it, empty.
    pub fn record(&mut self, fill: impl FnOnce(&mut Operation)) {
        fill(self.filling.next());
        if self.filling.used == CHUNK {
            let operations = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
            let next = Chunk::new(operations, self.back.clone());
            self.full.push_back(core::mem::replace(&mut self.filling, next));
            self.hand_over();
        }
    }

    /// Gives the writer all that is left. Waits for it: for after the load.
    pub fn finish(mut self) {
        self.full.push_back(self.filling);
        for chunk in self.full {
            // A writer that failed is gone: `History::finish` says so.
            let _ = self.to_writer.send(chunk);
        }
    }

    fn hand_over(&mut self) {
        while let Some(chunk) = self.full.pop_front() {
            match self.to_writer.try_send(chunk) {
                Ok(()) => {}
                Err(TrySendError::Full(chunk)) => return self.full.push_front(chunk),
                // The writer failed; `History::finish` says so.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

impl Chunk {
    fn new(operations: Vec<Operation>, back: Sender<Vec<Operation>>) -> Self {
        Self { operations, used: 0, back }
    }

    fn next(&mut self) -> &mut Operation {
        if self.used == self.operations.len() {
            self.operations.push(empty_operation());
        }
        let operation = &mut self.operations[self.used];
        operation.request.clear();
        operation.reply.clear();
        self.used += 1;
        operation
    }
}

fn empty_operation() -> Operation {
    Operation {
        client: 0,
        session: 0,
        number: 0,
        address: None,
        kind: OperationKind::Read,
        invoked_us: 0,
        completed_us: None,
        outcome: OperationOutcome::Unknown,
        index: 0,
        request: Vec::new(),
        reply: Vec::new(),
    }
}

fn write(mut writer: Writer<File>, chunks: &Receiver<Chunk>) -> io::Result<u64> {
    let mut written = 0;
    for chunk in chunks {
        for operation in &chunk.operations[..chunk.used] {
            writer.write(operation)?;
            written += 1;
        }
        // The sending thread may be done already.
        let _ = chunk.back.send(chunk.operations);
    }
    writer.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    use history_checker::lines::Reader;

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lancet-history-{}-{name}", std::process::id()))
    }

    #[test]
    fn h2_every_operation_of_every_thread_is_in_the_file() {
        let path = path("whole");
        let (history, recorders) = History::create(&path, 3).unwrap();
        thread::scope(|scope| {
            for (client, mut recorder) in (0..).zip(recorders) {
                scope.spawn(move || {
                    for number in 0..10_000_u64 {
                        recorder.record(|operation| {
                            (operation.client, operation.number) = (client, number);
                            operation.request.extend_from_slice(&number.to_be_bytes());
                        });
                    }
                    recorder.finish();
                });
            }
        });
        assert_eq!(history.finish().unwrap(), 30_000);
        let mut seen = BTreeSet::new();
        for operation in Reader::<_, Operation>::open(&path).unwrap() {
            let operation = operation.unwrap();
            assert_eq!(
                operation.request,
                operation.number.to_be_bytes(),
                "no bytes of an earlier one"
            );
            assert!(seen.insert((operation.client, operation.number)));
        }
        assert_eq!(seen.len(), 30_000);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn h1_a_recorder_does_not_wait_for_a_writer_that_stands_still() {
        let (to_writer, chunks) = sync_channel(1);
        let mut recorder = Recorder::new(to_writer);
        for number in 0..10 * CHUNK as u64 {
            recorder.record(|operation| operation.number = number);
        }
        let reader = thread::spawn(move || chunks.iter().map(|chunk| chunk.used).sum::<usize>());
        recorder.finish();
        assert_eq!(reader.join().unwrap(), 10 * CHUNK);
    }

    #[test]
    fn a_full_disk_fails_the_run() {
        let (history, mut recorders) = History::create(Path::new("/dev/full"), 1).unwrap();
        let mut recorder = recorders.remove(0);
        (0..100 * CHUNK).for_each(|_| recorder.record(|_| {}));
        recorder.finish();
        assert!(history.finish().is_err());
    }
}
