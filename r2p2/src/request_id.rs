//! Who asked, and which of its requests it is.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use planted::Plant;

/// A client's address in the form that entries carry: 16 bytes (IPv4 mapped) and a port.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientAddress {
    /// IPv6, or IPv4 mapped into it.
    pub ip: [u8; 16],
    /// UDP port.
    pub port: u16,
}

/// Tells requests apart (HovercRaft, "request ids"; ours: sessions).
///
/// With a session, session and number alone; without one (`session` 0), address, port and number, be the number a plain
/// client's 16-bit id or the extension's 64-bit one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId {
    /// The session; 0 = none.
    pub session: u64,
    /// Number within the session, or within the client's address.
    pub number: u64,
    /// The client, where it tells requests apart: all zero when there is a session.
    pub client: ClientAddress,
}

impl ClientAddress {
    /// As a socket address, IPv4 where it is one.
    #[must_use]
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(Ipv6Addr::from(self.ip).to_canonical(), self.port)
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        Self { ip, port: address.port() }
    }
}

impl RequestId {
    /// The id of a request from `client`.
    #[must_use]
    pub fn new(client: ClientAddress, session: u64, number: u64) -> Self {
        if session != 0 || planted::is(Plant::H7) {
            return Self { session, number, client: ClientAddress::default() };
        }
        Self { session, number, client }
    }
}
