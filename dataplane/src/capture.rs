//! Frames in and out, written to a pcapng file: with the kernel bypassed there is no tcpdump.
//!
//! Each thread that has frames has a [`Tap`], which copies a frame's first bytes into a buffer taken at the start and
//! pushes it to a thread that writes. Nothing waits for the disk: without a free buffer a frame is counted and left out.
//!
//! ```no_run
//! use dataplane::capture::{Capture, CaptureConfig, Direction};
//! use dataplane::clock::Clock;
//!
//! # fn main() -> Result<(), dataplane::capture::CaptureError> {
//! let clock = Clock::start();
//! let (capture, mut taps) = Capture::start(CaptureConfig::new("node1.pcapng", "net_ring0"), clock, 1)?;
//! taps[0].frame(clock.now(), Direction::Out, &[b"headers", b"payload"]);
//! println!("{:?}", capture.stop()?);
//! # Ok(())
//! # }
//! ```
//!
//! The file can be read while it grows, up to its last flush, and after a crash. It ends with an interface statistics
//! block that says how many frames are missing. Taps' frames are merged by time as they are written, which tools such as
//! Wireshark do not require.
//!
//! Invariants:
//! - W1. Each frame of a tap is counted once: as written, as dropped (no buffer), or as past the limit.
//! - W2. The file never grows above [`CaptureConfig::bytes_max`].
//! - W3. A tap allocates nothing and waits for nothing.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use rtrb::{Consumer, Producer, RingBuffer};
use thiserror::Error;

use crate::backend::Instant;
use crate::clock::Clock;

mod file;
#[cfg(test)]
mod tests;

use file::{CaptureFile, Record};

/// How long the writing thread sleeps when there is nothing to write; what a crash can cost.
const REST: Duration = Duration::from_millis(10);

/// Where to, and how much.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// Replaced if it is there.
    pub file: PathBuf,
    /// The interface's name in the file.
    pub interface: String,
    /// Leading bytes of a frame that are kept, at most.
    pub snaplen: u16,
    /// Buffers of each tap: frames between two visits of the writing thread.
    pub frames: usize,
    /// Longest file, in bytes; later frames are left out, and counted.
    pub bytes_max: u64,
}

/// Totals of all taps since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CaptureTotals {
    /// In the file, or in its buffer.
    pub written: u64,
    /// There was no free buffer.
    pub dropped: u64,
    /// The file had its length, or could not be written any more.
    pub past_limit: u64,
}

/// The file cannot be made or written.
#[derive(Debug, Error)]
#[error("capture file {}: cannot {operation}: {cause}; name another with --pcap, or make room", file.display())]
pub struct CaptureError {
    /// Which.
    pub file: PathBuf,
    /// What was asked of the system.
    pub operation: &'static str,
    /// Its answer.
    pub cause: io::Error,
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// It was received.
    In,
    /// It was sent.
    Out,
}

/// One thread's way into the file.
#[derive(Debug)]
pub struct Tap {
    free: Consumer<Box<Record>>,
    full: Producer<Box<Record>>,
    shared: Arc<Shared>,
}

/// A capture that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Capture {
    thread: Option<JoinHandle<io::Result<()>>>,
    shared: Arc<Shared>,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
    past_limit: AtomicU64,
}

/// The writing thread's end of a tap.
struct Source {
    full: Consumer<Box<Record>>,
    free: Producer<Box<Record>>,
}

impl CaptureConfig {
    /// Whole frames of an ordinary MTU, 4,096 buffers per tap (8 MiB), a file of 1 GiB at most.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, interface: &str) -> Self {
        Self {
            file: file.into(),
            interface: interface.to_owned(),
            snaplen: 2_048,
            frames: 4_096,
            bytes_max: 1 << 30,
        }
    }
}

impl Capture {
    /// Makes the file, takes the memory, starts the thread that writes. Times are those of `clock`, on the wall clock as
    /// it is now.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] when the file cannot be made.
    pub fn start(
        config: CaptureConfig,
        clock: Clock,
        taps: usize,
    ) -> Result<(Self, Vec<Tap>), CaptureError> {
        let refuse = |operation| {
            let file = config.file.clone();
            move |cause| CaptureError { file, operation, cause }
        };
        let since_1970 =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let epoch = since_1970.saturating_sub(clock.now());
        let file = File::create(&config.file).map_err(refuse("make it"))?;
        let file = CaptureFile::new(file, &config, epoch).map_err(refuse("write to it"))?;
        let shared = Arc::new(Shared::default());
        let (taps, sources) = (0..taps).map(|_| tap(&config, &shared)).unzip();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || write(file, sources, &theirs))
            .map_err(refuse("start a thread for it"))?;
        Ok((Self { thread: Some(thread), shared, file: config.file }, taps))
    }

    /// Totals until now.
    #[must_use]
    pub fn totals(&self) -> CaptureTotals {
        self.shared.totals()
    }

    /// Writes what the taps have pushed until now, and the end of the file.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] when the file could not be written at some moment.
    pub fn stop(mut self) -> Result<CaptureTotals, CaptureError> {
        let result = self.end();
        let totals = self.totals();
        match result {
            Ok(()) => Ok(totals),
            Err(cause) => {
                Err(CaptureError { file: self.file.clone(), operation: "write to it", cause })
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.thread().unpark();
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")))
    }
}

impl Drop for Capture {
    /// The file gets its end; who wants to hear of errors calls [`Self::stop`].
    fn drop(&mut self) {
        let _unheard = self.end();
    }
}

impl Tap {
    /// Takes a frame that is gathered from `parts`.
    pub fn frame(&mut self, at: Instant, direction: Direction, parts: &[&[u8]]) {
        let Ok(mut record) = self.free.pop() else {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        record.fill(at, direction, parts);
        // There are as many places as buffers.
        if self.full.push(record).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn totals(&self) -> CaptureTotals {
        let [written, dropped, past_limit] = [&self.written, &self.dropped, &self.past_limit]
            .map(|total| total.load(Ordering::Relaxed));
        CaptureTotals { written, dropped, past_limit }
    }
}

fn tap(config: &CaptureConfig, shared: &Arc<Shared>) -> (Tap, Source) {
    let (full_in, full_out) = RingBuffer::new(config.frames);
    let (mut free_in, free_out) = RingBuffer::new(config.frames);
    for _ in 0..config.frames {
        let fits = free_in.push(Box::new(Record::new(config.snaplen.into())));
        assert!(fits.is_ok(), "the ring has a place for each buffer");
    }
    let tap = Tap { free: free_out, full: full_in, shared: Arc::clone(shared) };
    (tap, Source { full: full_out, free: free_in })
}

/// The writing thread. An error ends the writing, not the taps: their frames are counted from then on.
fn write(mut file: CaptureFile, mut sources: Vec<Source>, shared: &Shared) -> io::Result<()> {
    let mut result = Ok(());
    loop {
        // Before the rings are looked at: what was pushed before the stop is written.
        let stopping = shared.stop.load(Ordering::Acquire);
        let most = sources.iter().map(|source| source.full.slots()).sum();
        for _ in 0..most {
            write_oldest(&mut file, &mut sources, shared, &mut result);
        }
        if stopping {
            break;
        }
        if most == 0 {
            if result.is_ok() {
                result = file.flush();
            }
            thread::park_timeout(REST);
        }
    }
    result?;
    file.end(shared.totals())
}

fn write_oldest(
    file: &mut CaptureFile,
    sources: &mut [Source],
    shared: &Shared,
    result: &mut io::Result<()>,
) {
    let time = |source: &Source| source.full.peek().map(|record| record.at).ok();
    let waiting =
        sources.iter().enumerate().filter_map(|(place, source)| Some((time(source)?, place)));
    let Some((_, place)) = waiting.min() else { return };
    let source = &mut sources[place];
    let Ok(record) = source.full.pop() else { return };
    let is_in = result.is_ok()
        && file.write(&record).unwrap_or_else(|error| {
            *result = Err(error);
            false
        });
    let total = if is_in { &shared.written } else { &shared.past_limit };
    total.fetch_add(1, Ordering::Relaxed);
    let fits = source.free.push(record);
    assert!(fits.is_ok(), "the ring has a place for each buffer");
}
