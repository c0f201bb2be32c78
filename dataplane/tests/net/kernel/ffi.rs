//! Unsafe code of these tests: the end of a tap device that a program holds.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Makes a tap device of this name in the calling thread's network namespace. Reading gives a frame that the kernel sends
/// on it, or nothing at once; writing one lets the kernel receive it. It is gone when the file is closed.
pub(crate) fn tap(name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all zeroes is a valid `ifreq`: names are bytes, and every member of the union is made of numbers.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *place = libc::c_char::from_be_bytes([byte]);
    }
    let flags = i16::try_from(libc::IFF_TAP | libc::IFF_NO_PI).map_err(io::Error::other)?;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the request outlives the call, which reads it and writes the name that it gave.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result == 0 { Ok(file) } else { Err(io::Error::last_os_error()) }
}
