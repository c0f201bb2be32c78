//! Bursts of datagrams in one system call, in and out of the same buffers.
//!
//! Rules of this file: C structs are built for one call, on the stack, from references that outlive the call; what the
//! kernel writes is read only as far as the kernel says that it wrote.

use core::mem::{size_of, zeroed};
use core::ptr::null_mut;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;

/// Packets of one system call.
pub(super) const BURST: usize = 32;

/// Longest packet, in bytes.
pub(super) const PACKET_MAX: usize = 2_048;

/// Packets of one burst: from whom they came, or to whom they go.
pub(super) struct Burst {
    pub(super) peers: [SocketAddrV4; BURST],
    pub(super) lengths: [usize; BURST],
    pub(super) buffers: Box<[[u8; PACKET_MAX]; BURST]>,
    /// How many of them are meant.
    pub(super) count: usize,
}

/// The C side of a burst.
struct Raw {
    names: [libc::sockaddr_in; BURST],
    parts: [libc::iovec; BURST],
    messages: [libc::mmsghdr; BURST],
}

impl Burst {
    pub(super) fn new() -> Self {
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let buffers = Box::new([[0; PACKET_MAX]; BURST]);
        Self { peers: [nobody; BURST], lengths: [0; BURST], buffers, count: 0 }
    }

    /// Waits for a packet, as long as the socket's time-out allows, and takes those that stand behind it as well.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.lengths = [PACKET_MAX; BURST];
        self.count = 0;
        let mut raw = Raw::new();
        self.fill(&mut raw, BURST);
        let flags = libc::MSG_WAITFORONE;
        let room = libc::c_uint::try_from(BURST).unwrap_or(0);
        let messages = raw.messages.as_mut_ptr();
        // SAFETY: `messages` has BURST elements; each points to a name, a part and a buffer that live until this function
        // returns, with their true sizes.
        let count =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), messages, room, flags, null_mut()) };
        self.count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for at in 0..self.count {
            let name = &raw.names[at];
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            self.peers[at] = SocketAddrV4::new(address, u16::from_be(name.sin_port));
            let length = usize::try_from(raw.messages[at].msg_len).unwrap_or(PACKET_MAX);
            self.lengths[at] = length.min(PACKET_MAX);
        }
        Ok(())
    }

    /// Sends the burst, waiting for room.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut raw = Raw::new();
        self.fill(&mut raw, self.count);
        let mut done = 0;
        while done < self.count {
            let left = libc::c_uint::try_from(self.count - done).unwrap_or(0);
            let messages = raw.messages[done..].as_mut_ptr();
            // SAFETY: the elements from `done` on, `left` of them, are filled in; they point to names, parts and buffers
            // that live until this function returns, with their true sizes.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages, left, 0) };
            done += usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        }
        self.count = 0;
        Ok(())
    }

    fn fill(&mut self, raw: &mut Raw, count: usize) {
        for at in 0..count {
            let (name, part, message) =
                (&mut raw.names[at], &mut raw.parts[at], &mut raw.messages[at]);
            name.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(0);
            name.sin_port = self.peers[at].port().to_be();
            name.sin_addr.s_addr = self.peers[at].ip().to_bits().to_be();
            part.iov_base = self.buffers[at].as_mut_ptr().cast();
            part.iov_len = self.lengths[at].min(PACKET_MAX);
            message.msg_hdr.msg_name = (&raw mut *name).cast();
            message.msg_hdr.msg_namelen =
                libc::socklen_t::try_from(size_of::<libc::sockaddr_in>()).unwrap_or(0);
            message.msg_hdr.msg_iov = &raw mut *part;
            message.msg_hdr.msg_iovlen = 1;
        }
    }
}

impl Raw {
    fn new() -> Self {
        // SAFETY: these are plain C structs of integers and pointers: all zero is a value of each.
        unsafe { zeroed() }
    }
}
