//! Starting and ending EAL, logical cores, threads.
//!
//! Rules of this file:
//! - Pointers that EAL keeps (arguments, the log stream) are given away for good: EAL starts once in a process.
//! - What EAL gives is copied before the function returns.

use core::ffi::{CStr, c_char, c_int};
use core::mem::zeroed;
use core::ptr::null_mut;
use std::ffi::CString;
use std::io;

use dpdk_sys as sys;

use super::Lcore;

/// A negative answer of DPDK's as an error: `-errno`, or -1 with the reason in `rte_errno`.
pub(crate) fn error_of(status: c_int) -> io::Error {
    let errno = if status < -1 {
        -status
    } else {
        // SAFETY: reads a variable of this thread.
        unsafe { sys::shim_errno() }
    };
    io::Error::from_raw_os_error(errno)
}

/// Starts EAL; gives what it logged, and its error if it has failed. The thread's affinity is what it was.
pub(super) fn start(arguments: &[CString]) -> (String, Result<(), io::Error>) {
    let affinity = Affinity::of_this_thread();
    let log = Log::open();
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|argument| argument.clone().into_raw()).collect();
    let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
    pointers.push(null_mut());
    // SAFETY: `count` strings that live for good, then null, as `main` has them.
    let status = unsafe { sys::rte_eal_init(count, pointers.leak().as_mut_ptr()) };
    let result = if status < 0 { Err(error_of(status)) } else { Ok(()) };
    affinity.restore();
    (log.close(), result)
}

/// Gives back what EAL holds. Called once, by the drop of the last [`super::Eal`].
pub(super) fn clean_up() {
    // SAFETY: ports, pools and registered threads each hold an `Eal`, so none is left; nor is a packet, for a pool that was
    // dropped before its packets has said so, and then this is not called.
    unsafe { sys::rte_eal_cleanup() };
}

/// The logical cores that EAL was given, the main one first.
pub(super) fn lcores() -> Vec<Lcore> {
    let mut all = Vec::new();
    // SAFETY: EAL was started; only numbers go in and out.
    unsafe {
        all.push(lcore(sys::rte_get_main_lcore()));
        let mut next = sys::rte_get_next_lcore(u32::MAX, 1, 0);
        while next < sys::SHIM_LCORES_MAX {
            all.push(lcore(next));
            next = sys::rte_get_next_lcore(next, 1, 0);
        }
    }
    all
}

fn lcore(id: u32) -> Lcore {
    let mut cpus = [0; 256];
    // SAFETY: `cpus` has room for as many as we say.
    let (count, socket) = unsafe {
        (sys::shim_lcore_cpus(id, cpus.as_mut_ptr(), 256), sys::rte_lcore_to_socket_id(id))
    };
    Lcore { id, cpus: cpus.iter().copied().take(count as usize).collect(), socket }
}

/// Makes the calling thread one that EAL knows.
pub(super) fn register_thread() -> io::Result<()> {
    // SAFETY: changes variables of this thread, and EAL's own table under its lock.
    let status = unsafe { sys::rte_thread_register() };
    if status < 0 { Err(error_of(status)) } else { Ok(()) }
}

/// Whether EAL knows the calling thread.
pub(super) fn is_registered() -> bool {
    // SAFETY: reads a variable of this thread.
    unsafe { sys::shim_lcore_id() != sys::SHIM_NO_LCORE }
}

/// Undoes [`register_thread`].
pub(super) fn unregister_thread() {
    // SAFETY: as above; without a registration it does nothing.
    unsafe { sys::rte_thread_unregister() };
}

/// The release that runs, such as `DPDK 22.11.11`.
pub(super) fn version() -> String {
    // SAFETY: gives a string constant.
    unsafe { CStr::from_ptr(sys::rte_version()) }.to_string_lossy().into_owned()
}

/// Where a thread may run.
struct Affinity(Option<libc::cpu_set_t>);

impl Affinity {
    fn of_this_thread() -> Self {
        // SAFETY: a set of bits, all zero; 0 is the calling thread.
        unsafe {
            let mut set: libc::cpu_set_t = zeroed();
            let status = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
            Self((status == 0).then_some(set))
        }
    }

    fn restore(&self) {
        if let Some(set) = &self.0 {
            // SAFETY: the set lives until the call returns.
            unsafe {
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const *set);
            }
        }
    }
}

/// What EAL logs while it starts, in memory. The stream is never closed: a thread of EAL's may be writing to it just when
/// it is replaced.
struct Log {
    stream: *mut libc::FILE,
    text: &'static mut Memory,
}

struct Memory {
    bytes: *mut c_char,
    len: usize,
}

impl Log {
    fn open() -> Self {
        let text = Box::leak(Box::new(Memory { bytes: null_mut(), len: 0 }));
        // SAFETY: both places live for good.
        let stream = unsafe { libc::open_memstream(&raw mut text.bytes, &raw mut text.len) };
        if !stream.is_null() {
            // SAFETY: an open stream, never closed.
            unsafe { sys::shim_log_to(stream.cast()) };
        }
        Self { stream, text }
    }

    fn close(self) -> String {
        if self.stream.is_null() {
            return String::new();
        }
        // SAFETY: null is EAL's default stream; a flushed memory stream has `len` bytes at `bytes`, and a zero behind.
        unsafe {
            sys::shim_log_to(null_mut());
            libc::fflush(self.stream);
            if self.text.bytes.is_null() {
                return String::new();
            }
            CStr::from_ptr(self.text.bytes).to_string_lossy().into_owned()
        }
    }
}
