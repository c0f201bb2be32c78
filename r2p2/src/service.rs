//! What an application implements, to run alone or replicated without a change.
//!
//! Everything that [`Service::execute`] does must follow from the state, the request and the [`Context`] alone: no clock
//! but the log time, no randomness, no iteration in an order that differs between machines.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use thiserror::Error;

/// Where in the log a request stands; the only clock that a service may read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Context {
    /// Log index of the request; for a query outside the log, of the last one applied.
    pub index: u64,
    /// Log time in microseconds: never goes back, equal on every node.
    pub log_time_us: u64,
}

/// How a request ended. Both are results, kept and replicated alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// The service refused or failed in its own terms; the reply says how.
    Failed,
}

/// `query` does not accept this request: it would change state.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the request would change state")]
pub struct ChangesState;

/// Bytes that are no snapshot of this service.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("snapshot unreadable at byte {offset}")]
pub struct RestoreError {
    /// Where reading stopped.
    pub offset: u64,
}

/// A deterministic application behind request/response.
pub trait Service {
    /// Executes a request that may change state, and writes its reply.
    fn execute(&mut self, context: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome;

    /// Answers a read.
    ///
    /// # Errors
    ///
    /// [`ChangesState`] when the request is not a read, whatever its tag says.
    fn query(
        &self,
        context: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState>;

    /// The state as it is now, detached: it can be read on another thread while the service goes on.
    fn snapshot(&self) -> Box<dyn Snapshot>;

    /// Replaces the state by a snapshot's.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the bytes are not such a snapshot; the state is then not to be used.
    fn restore(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), RestoreError>;

    /// Whether the state still stands after a panic in `execute`.
    fn survives_panic(&self) -> bool {
        false
    }
}

/// A detached reader of a service's state.
pub trait Snapshot: Send {
    /// Fills `buffer` from the front; returns how many bytes, 0 only at the end.
    fn read(&mut self, buffer: &mut [u8]) -> usize;
}

/// A snapshot in memory.
#[derive(Clone, Debug, Default)]
pub struct SnapshotBytes {
    bytes: Vec<u8>,
    at: usize,
}

impl SnapshotBytes {
    /// Reads `bytes` from the start.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Snapshot for SnapshotBytes {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.bytes[self.at..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        len
    }
}

/// Reads a snapshot field by field, for [`Service::restore`].
pub struct SnapshotReader<'a> {
    snapshot: &'a mut dyn Snapshot,
    offset: u64,
}

impl<'a> SnapshotReader<'a> {
    /// Reads from where `snapshot` stands.
    pub fn new(snapshot: &'a mut dyn Snapshot) -> Self {
        Self { snapshot, offset: 0 }
    }

    /// Fills `buffer` whole.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the snapshot ends first.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RestoreError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let len = self.snapshot.read(&mut buffer[filled..]);
            self.check(len > 0)?;
            filled += len;
            self.offset += len as u64;
        }
        Ok(())
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when the snapshot ends first.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let mut array = [0; N];
        self.fill(&mut array)?;
        Ok(array)
    }

    /// Goes on only if what was read makes sense.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] at this place when `sound` is false.
    pub fn check(&self, sound: bool) -> Result<(), RestoreError> {
        if sound { Ok(()) } else { Err(RestoreError { offset: self.offset }) }
    }

    /// Nothing follows.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] when something does.
    pub fn end(&mut self) -> Result<(), RestoreError> {
        let len = self.snapshot.read(&mut [0]);
        self.check(len == 0)
    }
}

/// A hash of the service's state: SipHash-1-3 with key zero over the bytes of its snapshot. Equal on nodes whose state
/// is equal; it guards against accidents, not against somebody who chooses the state.
#[must_use]
pub fn state_hash(service: &dyn Service) -> u64 {
    snapshot_hash(&mut *service.snapshot())
}

/// [`state_hash`] of the state that a snapshot holds: for a thread that is not the service's.
#[must_use]
pub fn snapshot_hash(snapshot: &mut dyn Snapshot) -> u64 {
    let mut hasher = SipHasher13::new();
    let mut buffer = [0; 4_096];
    loop {
        let len = snapshot.read(&mut buffer);
        if len == 0 {
            return hasher.finish();
        }
        hasher.write(&buffer[..len]);
    }
}

/// Where a service writes its reply: bounded, in a buffer that is used again.
#[derive(Debug)]
pub struct Reply<'a> {
    bytes: &'a mut Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl<'a> Reply<'a> {
    /// An empty reply of at most `limit` bytes, written into `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>, limit: usize) -> Self {
        bytes.clear();
        Self { bytes, limit, overflowed: false }
    }

    /// Appends `bytes`. Above the limit nothing more is kept and the reply counts as [`Self::overflowed`].
    pub fn write(&mut self, bytes: &[u8]) {
        if self.overflowed || bytes.len() > self.room() {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Appends `count` times `byte`, with the limit of [`Self::write`].
    pub fn fill(&mut self, byte: u8, count: usize) {
        if self.overflowed || count > self.room() {
            self.overflowed = true;
        } else {
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.overflowed = false;
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether more was written than fits: the client is told that the service failed.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}
