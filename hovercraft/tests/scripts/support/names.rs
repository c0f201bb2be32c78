//! Short names for what is long on the wire: sessions by their client, hashes by when they were first seen.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use r2p2::request_id::{ClientAddress, RequestId};

/// Names given so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sessions: BTreeMap<u64, String>,
    newest: BTreeMap<String, u64>,
    hashes: Vec<u64>,
    nonces: Vec<(SocketAddr, u64)>,
}

/// The data address of a node.
pub(crate) fn node(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 8_000))
}

/// The address of client `c7`, as it sends.
pub(crate) fn client(name: &str) -> SocketAddr {
    let number: u8 = name.strip_prefix('c').unwrap().parse().unwrap();
    SocketAddr::from(([10, 0, 1, number], 3_000))
}

/// The name of a client's address.
pub(crate) fn of(address: SocketAddr) -> String {
    match address.ip().to_canonical().to_string().split('.').collect::<Vec<_>>()[..] {
        ["10", "0", "1", number] => format!("c{number}"),
        _ => address.to_string(),
    }
}

impl Names {
    /// A session was opened for this client.
    pub(crate) fn opened(&mut self, session: u64, client: SocketAddr) {
        let count = self.sessions.values().filter(|name| name.starts_with(&of(client))).count();
        let name = format!("{}'{}", of(client), ["", "'", "''", "'''"][count]);
        if self.sessions.contains_key(&session) {
            return;
        }
        self.sessions.insert(session, name);
        self.newest.insert(of(client), session);
    }

    /// A client asked for a session.
    pub(crate) fn opens(&mut self, client: SocketAddr, nonce: u64) {
        self.nonces.push((client, nonce));
    }

    /// Whether this number is the nonce of an opening.
    pub(crate) fn is_nonce(&self, client: SocketAddr, number: u64) -> bool {
        self.nonces.contains(&(client, number))
    }

    /// The session that a client opened last.
    pub(crate) fn session_of(&self, client: &str) -> Option<u64> {
        self.newest.get(client).copied()
    }

    /// `c1'#5`: number 5 in the session of c1; `c9#5`: number or plain id 5 without a session.
    pub(crate) fn id(&self, id: &RequestId) -> String {
        if id.session == 0 && id.client == ClientAddress::default() {
            return format!("nonce {}", id.number);
        }
        if id.session == 0 {
            return format!("{}#{}", of(id.client.socket()), id.number);
        }
        format!("{}#{}", self.session(id.session), id.number)
    }

    pub(crate) fn session(&self, session: u64) -> String {
        self.sessions.get(&session).cloned().unwrap_or_else(|| "?'".into())
    }

    pub(crate) fn hash(&mut self, hash: u64) -> String {
        let known = self.hashes.iter().position(|&known| known == hash);
        let place = known.unwrap_or_else(|| {
            self.hashes.push(hash);
            self.hashes.len() - 1
        });
        format!("h{}", place + 1)
    }
}
