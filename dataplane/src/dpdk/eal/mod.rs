//! EAL, DPDK's environment: started once in a process, from the arguments that DPDK's users write before `--`.
//!
//! Invariants:
//! - E1. [`Eal`] is a value: whoever needs a started EAL holds a copy. The last copy ends it, unless a packet of one of its
//!   pools is still held, whose memory then stays.
//! - E2. The calling thread runs where it ran before: EAL's pinning of the first core's thread is undone, for the node pins
//!   its own threads.
//! - E3. What the machine has not got is refused before EAL is called, with a line that works.

mod arguments;
mod error;
#[allow(unsafe_code, reason = "calls DPDK; see its header")]
mod ffi;
mod machine;

use core::cell::OnceCell;
use core::marker::PhantomData;
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use error::EalError;
pub(super) use ffi::error_of;

use self::arguments::Arguments;
use self::machine::Machine;

/// A started EAL. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Eal(Arc<Started>);

#[derive(Debug)]
struct Started {
    lcores: Vec<Lcore>,
    said: String,
    /// A pool was dropped while packets of it were held.
    leaks: AtomicBool,
}

/// A logical core as EAL was told: where the node is to pin a thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lcore {
    /// Its number.
    pub id: u32,
    /// The processors that it may run on, in ascending order.
    pub cpus: Vec<u32>,
    /// Its memory's NUMA socket.
    pub socket: u32,
}

/// The calling thread is known to EAL until this is dropped: it has a cache in every pool. Stays on its thread.
#[derive(Debug)]
pub struct RegisteredThread {
    _eal: Eal,
    is_ours: bool,
    _stays: PhantomData<*const ()>,
}

thread_local! {
    static GUARD: OnceCell<RegisteredThread> = const { OnceCell::new() };
}

/// A library that writes thirty lines for each peer that comes; whoever wants them says so again behind it.
const QUIET: &str = "--log-level=lib.vhost.config:warning";

/// EAL starts once.
static WAS_STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts EAL with the arguments that stand before `--`, without a program's name.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dataplane::dpdk::EalError> {
    /// let arguments = ["--lcores", "2@0,3@1", "--no-huge", "-m", "512", "--no-pci"].map(str::to_owned);
    /// let eal = dataplane::dpdk::Eal::start(&arguments)?;
    /// assert_eq!(eal.lcores()[0].cpus, [0]); // the network thread's
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EalError`], each with what to write instead. Only [`EalError::Refused`] uses up the process' one start.
    pub fn start(arguments: &[String]) -> Result<Self, EalError> {
        Arguments::read(arguments).check(&Machine::read(Path::new("/")))?;
        let first = ["hovercraft", QUIET].into_iter();
        let program = first.chain(arguments.iter().map(String::as_str));
        let words: Result<Vec<CString>, _> = program.map(CString::new).collect();
        let words = words.map_err(|_| EalError::ZeroByte)?;
        if WAS_STARTED.swap(true, Ordering::AcqRel) {
            return Err(EalError::AlreadyStarted);
        }
        let (said, result) = ffi::start(&words);
        result.map_err(|cause| error::refused(cause, &said))?;
        let leaks = AtomicBool::new(false);
        Ok(Self(Arc::new(Started { lcores: ffi::lcores(), said, leaks })))
    }

    /// The logical cores, in EAL's order, the main one first: the first is the network thread's, the second the
    /// application thread's. Never empty.
    #[must_use]
    pub fn lcores(&self) -> &[Lcore] {
        &self.0.lcores
    }

    /// What EAL logged while it started.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.0.said
    }

    /// The release that runs, such as `DPDK 22.11.11`.
    #[must_use]
    pub fn version(&self) -> String {
        ffi::version()
    }

    /// Makes the calling thread known to EAL: without it each packet buffer costs about twice the time to take and to
    /// free. The queues of [`super::queue`] see to it themselves.
    ///
    /// A thread that cannot be registered (EAL knows [`sys::SHIM_LCORES_MAX`](dpdk_sys::SHIM_LCORES_MAX) at most) works
    /// all the same, and slower.
    #[must_use]
    pub fn register_thread(&self) -> RegisteredThread {
        let is_ours = !ffi::is_registered() && ffi::register_thread().is_ok();
        RegisteredThread { _eal: self.clone(), is_ours, _stays: PhantomData }
    }

    /// Makes the calling thread known to EAL, once, until it ends.
    #[inline]
    pub(super) fn knows_this_thread(&self) {
        // A thread that is ending works all the same, without its caches.
        let _ending = GUARD.try_with(|guard| {
            guard.get_or_init(|| self.register_thread());
        });
    }

    /// A pool's memory could not be given back (E1).
    pub(super) fn leaks(&self) {
        self.0.leaks.store(true, Ordering::Release);
    }
}

impl RegisteredThread {
    /// Whether EAL knows the thread.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        ffi::is_registered()
    }
}

impl Drop for RegisteredThread {
    fn drop(&mut self) {
        if self.is_ours {
            ffi::unregister_thread();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.leaks.load(Ordering::Acquire) {
            ffi::clean_up();
        }
    }
}
