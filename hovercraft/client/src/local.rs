//! Which address of this machine leads to the cluster.

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::net::UdpSocket;

/// The address that the system would send from to reach `to`. Nothing is sent.
///
/// # Errors
///
/// The system's: no route leads there.
pub(crate) fn address_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_leads_to_loopback() {
        let found = address_towards(SocketAddr::from(([127, 0, 0, 1], 9))).unwrap();
        assert_eq!(found, IpAddr::from([127, 0, 0, 1]));
    }
}
