//! The only file that calls libc: what the standard library and `socket2` do not offer.
//!
//! Rules of this file:
//! - C structs are built for one call, on the stack, from references that outlive the call: no pointer is kept, but those of
//!   an [`Inbox`] into itself.
//! - What the kernel writes is read only as far as the kernel says that it wrote.

use core::mem::{MaybeUninit, size_of, zeroed};
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ptr::{NonNull, null_mut};
use core::time::Duration;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bytes of a packet buffer: the longest datagram that is received or sent.
pub const PACKET_MAX: usize = 2_048;

/// Packets of one system call.
pub(super) use crate::not_before::BURST;

/// The buffer of one packet.
pub(super) type Buffer = [u8; PACKET_MAX];

/// What the kernel says of a packet that it put in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// Who sent it.
    pub(super) from: SocketAddr,
    /// How much of the buffer it fills.
    pub(super) len: usize,
    /// It was longer than the buffer.
    pub(super) truncated: bool,
}

/// Buffer sizes of a socket that can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forced {
    Receive,
    Send,
}

/// Memory for one burst: packets, and what the kernel is told of it, which is the same for every call.
#[derive(Debug)]
pub(super) struct Inbox {
    /// From `alloc`, ours alone until we are dropped. No reference to the whole is ever made: its parts point at each other.
    slots: NonNull<Slots>,
}

struct Slots {
    names: [libc::sockaddr_in; BURST],
    parts: [libc::iovec; BURST],
    messages: [libc::mmsghdr; BURST],
    buffers: [Buffer; BURST],
}

// SAFETY: the pointers in `Slots` lead into `Slots`, which belongs to one `Inbox` as a box would.
unsafe impl Send for Inbox {}

impl Inbox {
    pub(super) fn new() -> Self {
        let layout = Layout::new::<Slots>();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(slots) = NonNull::new(memory.cast::<Slots>()) else { handle_alloc_error(layout) };
        let at = slots.as_ptr();
        for place in 0..BURST {
            // SAFETY: `at` has room for a `Slots`, zeroed, which is a value of it: plain C structs of integers and pointers,
            // and bytes. `place` is below the lengths of its arrays, and no reference to any of it exists.
            unsafe {
                let part = &raw mut (*at).parts[place];
                (*part).iov_base = (&raw mut (*at).buffers[place]).cast();
                (*part).iov_len = PACKET_MAX;
                let header = &raw mut (*at).messages[place].msg_hdr;
                (*header).msg_name = (&raw mut (*at).names[place]).cast();
                (*header).msg_namelen = length_of::<libc::sockaddr_in>();
                (*header).msg_iov = part;
                (*header).msg_iovlen = 1;
            }
        }
        Self { slots }
    }

    /// Reads up to [`BURST`] packets without waiting; packet `i` is described by `received[i]`.
    ///
    /// Fewer than [`BURST`] means that the queue was seen empty, *or* that an error came after the first packet; then the
    /// next call answers with that error (net/socket.c, `do_recvmmsg`).
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        received: &mut [Received; BURST],
    ) -> io::Result<usize> {
        let at = self.slots.as_ptr();
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: `messages` has as many elements as we say; each points to a name, a part and a buffer of ours with their
        // true sizes (`new`; a name's is restored below), and we are borrowed for us alone.
        let count = unsafe {
            let messages = (&raw mut (*at).messages).cast();
            libc::recvmmsg(socket.as_raw_fd(), messages, MESSAGES, flags, null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (place, received) in received.iter_mut().enumerate().take(count) {
            // SAFETY: `place` is below BURST; the kernel has written these, and does so no more.
            let (name, message) = unsafe { (&(*at).names[place], &mut (*at).messages[place]) };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            let len = usize::try_from(message.msg_len).unwrap_or(PACKET_MAX);
            *received = Received {
                from: SocketAddrV4::new(address, u16::from_be(name.sin_port)).into(),
                len: len.min(PACKET_MAX),
                truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
            message.msg_hdr.msg_namelen = length_of::<libc::sockaddr_in>();
        }
        Ok(count)
    }

    /// The buffer that packet `place` of the last burst is in.
    pub(super) fn buffer(&self, place: usize) -> &Buffer {
        // SAFETY: the index is checked against the array; whatever is there is a value, and nobody writes while we are
        // borrowed.
        unsafe { &(*self.slots.as_ptr()).buffers[place] }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, and used by nobody else.
        unsafe { dealloc(self.slots.as_ptr().cast(), Layout::new::<Slots>()) };
    }
}

/// Sends up to [`BURST`] packets without waiting; returns how many of the first ones the kernel took, at least one.
pub(super) fn send_burst<'a>(
    socket: BorrowedFd<'_>,
    packets: impl Iterator<Item = (SocketAddrV4, &'a [u8])>,
) -> io::Result<usize> {
    // Not filled in beyond the packets that there are, which are few as a rule.
    let mut names = [const { MaybeUninit::<libc::sockaddr_in>::uninit() }; BURST];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BURST];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BURST];
    let mut count: libc::c_uint = 0;
    let slots = messages.iter_mut().zip(&mut names).zip(&mut parts);
    for (((message, name), part), (to, bytes)) in slots.zip(packets) {
        // SAFETY: these are plain C structs of integers and pointers: all zero is a value of each.
        let (message, name, part) =
            unsafe { (message.write(zeroed()), name.write(zeroed()), part.write(zeroed())) };
        name.sin_family = FAMILY;
        name.sin_port = to.port().to_be();
        name.sin_addr.s_addr = to.ip().to_bits().to_be();
        part.iov_base = bytes.as_ptr().cast_mut().cast();
        part.iov_len = bytes.len();
        message.msg_hdr.msg_name = (&raw mut *name).cast();
        message.msg_hdr.msg_namelen = length_of::<libc::sockaddr_in>();
        message.msg_hdr.msg_iov = &raw mut *part;
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let first = messages.as_mut_ptr().cast();
    // SAFETY: the first `count` messages are filled in, and point to names, parts and bytes that live until this function
    // returns, with their true sizes; sending writes to none of them but the messages' own lengths.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), first, count, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Waits until one of `watched` is ready for `events`, or for `at_most`; returns which, as bits in their order. One that is
/// not among them was looked at during the call, and had neither what was waited for nor an error.
///
/// At most 64 are watched. `None` when nothing was learned: a signal ended the wait early.
pub(super) fn wait_for<'a>(
    watched: impl Iterator<Item = BorrowedFd<'a>>,
    events: Readiness,
    at_most: Duration,
) -> Option<u64> {
    let events = match events {
        Readiness::Readable => libc::POLLIN,
        Readiness::Writable => libc::POLLOUT,
    };
    let mut fds = [libc::pollfd { fd: -1, events, revents: 0 }; 64];
    let mut watched_len = 0;
    for (slot, fd) in fds.iter_mut().zip(watched) {
        slot.fd = fd.as_raw_fd();
        watched_len += 1;
    }
    let watched = &mut fds[..watched_len];
    let count = libc::nfds_t::try_from(watched.len()).unwrap_or(0);
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(at_most.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: at_most.subsec_nanos().into(),
    };
    // SAFETY: `watched` has `count` elements, `timeout` lives until the return, and null is "no signal mask".
    let ready =
        unsafe { libc::ppoll(watched.as_mut_ptr(), count, &raw const timeout, core::ptr::null()) };
    let bits =
        || watched.iter().rev().fold(0, |bits, slot| bits << 1 | u64::from(slot.revents != 0));
    (ready >= 0).then(bits)
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Readiness {
    Readable,
    Writable,
}

/// A counter that can be waited for: readable while it is above zero.
pub(super) fn event_counter() -> io::Result<OwnedFd> {
    // SAFETY: no pointer goes in.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an event counter readable.
pub(super) fn raise(counter: BorrowedFd<'_>) {
    // SAFETY: no pointer goes in. It can only fail when the counter is full, and then it is readable.
    unsafe { libc::eventfd_write(counter.as_raw_fd(), 1) };
}

/// Makes an event counter unreadable until it is raised again.
pub(super) fn lower(counter: BorrowedFd<'_>) {
    let mut value = 0;
    // SAFETY: `value` lives until the return. It can only fail when the counter is zero, and then it is unreadable.
    unsafe { libc::eventfd_read(counter.as_raw_fd(), &raw mut value) };
}

/// Asks for a buffer of `bytes` above the system's limit (`net.core.*mem_max`), which takes CAP_NET_ADMIN.
pub(super) fn force_buffer(socket: BorrowedFd<'_>, which: Forced, bytes: usize) -> io::Result<()> {
    let option = match which {
        Forced::Receive => libc::SO_RCVBUFFORCE,
        Forced::Send => libc::SO_SNDBUFFORCE,
    };
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX / 2);
    // SAFETY: `value` is an int, lives until the return, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Packets that the kernel has dropped on a socket since it was made (wraps at 2^32).
pub(super) fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    /// include/uapi/linux/sock_diag.h: `SK_MEMINFO_DROPS` of `SK_MEMINFO_VARS`.
    const DROPS: usize = 8;
    let mut values = [0_u32; DROPS + 1];
    let mut len = length_of::<[u32; DROPS + 1]>();
    // SAFETY: the kernel writes at most `len` bytes to `values`, which is so long; both live until the return.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(values[DROPS]) } else { Err(io::Error::last_os_error()) }
}

/// [`BURST`] and the address family, in the types in which C wants them.
#[allow(clippy::cast_possible_truncation, reason = "32 and 2 fit every integer")]
const MESSAGES: libc::c_uint = BURST as libc::c_uint;
#[allow(clippy::cast_possible_truncation, reason = "32 and 2 fit every integer")]
const FAMILY: libc::sa_family_t = libc::AF_INET as libc::sa_family_t;

/// The size of a C struct, in C's type.
const fn length_of<T>() -> libc::socklen_t {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the structs of this file have tens of bytes"
    )]
    let size = size_of::<T>() as libc::socklen_t;
    size
}
