//! Loopback networks that no other test has; the crate's own tests include this file, too.

use core::ops::Range;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;

/// Two bytes of 127.x.y.0 that no other test has, in this process or another, x in `thirds`: a port there is held as
/// long as we live.
pub(crate) fn network_of_our_own(mut thirds: Range<u8>) -> [u8; 2] {
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let fourth = u8::try_from(std::process::id() % 251).unwrap();
    let bound = |third| UdpSocket::bind(SocketAddr::from(([127, third, fourth, 254], 8_199))).ok();
    let (third, held) = thirds.find_map(|third| Some((third, bound(third)?))).unwrap();
    HELD.lock().unwrap().push(held);
    [third, fourth]
}
