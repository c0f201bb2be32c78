//! The admin endpoint: HTTP/1.1 over kernel TCP on the member's `admin` address.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | [`crate::report::NodeStatus`] |
//! | `GET /audit?from=I` | `history_checker::audit::AuditRecord`s from index I on, one per line, up to the applied index |
//! | `GET /state[?query=HEX]` | `history_checker::state::NodeState`; with the service's answer to the query |
//! | `GET /trace?request=R[,R…]`, `?index=I`, `?last=N` | [`crate::report::NodeTrace`]: the last steps of these requests here |
//! | `GET /config` | the effective cluster.ron |
//! | `GET /livez[?verbose]` | 200 when both threads turn, else 503 and which does not |
//! | `GET /readyz[?verbose]` | 200 when clients are served here, else 503 and why not |
//! | `GET /metrics` | totals, gauges and histograms, for Prometheus |
//! | `GET /challenge` | [`crate::report::Challenge`] |
//! | `POST /transfer[?to=N]` | [`crate::report::TransferStarted`]; with a cluster key only under a MAC (see [`command_mac`]) |
//!
//! One request per connection, then it is closed. The audit is sent as it is read: its end is the connection's end, and
//! the header `Audit-Last` says up to which index it goes, so that a reader can tell half an answer from a whole one.
//!
//! Invariants:
//! - A1. Nothing here runs on a node's own threads: they are asked through mailboxes and answer once per turn. Health and
//!   metrics do not even ask: they read what the threads publish, and so speak of a stuck one, too.
//! - A2. Connections, the bytes of a request and the time for it are bounded; no bytes make it panic.
//! - A3. What only looks is open to whoever reaches the port. What changes something needs, when the cluster has a key,
//!   a MAC over a challenge that is used once (HC13).

mod challenges;
mod histograms;
pub(crate) mod http;
mod metric_names;
pub(crate) mod metrics;
pub(crate) mod routes;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use hovercraft::wire::MacKey;

use self::challenges::Challenges;
use self::http::Respond;
use self::routes::Routes;
use crate::handle::Handle;

pub use self::challenges::CHALLENGE_LIFE;

/// Connections served at a time; one more is told to come later.
const CONNECTIONS_MAX: usize = 8;

/// Bytes of a MAC.
const MAC_LEN: usize = 16;

/// The endpoint of one node.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Serves `listener` on a thread of its own.
    ///
    /// # Errors
    ///
    /// What the system says: no address, no thread.
    pub(crate) fn start(listener: TcpListener, handle: Handle) -> io::Result<Self> {
        Self::serve(listener, Routes { handle, challenges: Challenges::default() })
    }

    /// Serves `listener` with answers of any kind.
    ///
    /// # Errors
    ///
    /// What the system says: no address, no thread.
    pub(crate) fn serve(listener: TcpListener, routes: impl Respond) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ending);
        let routes = Arc::new(routes);
        let thread = thread::Builder::new().name("hc-admin".to_owned());
        let thread = thread.spawn(move || serve(&listener, &routes, &ends))?;
        Ok(Self { address, ending, thread })
    }

    /// Ends it; connections under way are answered.
    pub(crate) fn stop(self) {
        self.ending.store(true, Ordering::Release);
        // A connection of our own ends the wait for one.
        if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
            // It has nothing to say.
            let _ = self.thread.join();
        }
    }
}

/// The MAC under which a command of an operator is done: over a label, the challenge and the request line's path.
#[must_use]
pub fn command_mac(key: &MacKey, challenge: &[u8; 16], path: &str) -> [u8; MAC_LEN] {
    // No message between nodes begins like this: theirs begin with R2P2's magic byte.
    let mut bytes = b"hovercraft admin command\0".to_vec();
    bytes.extend_from_slice(challenge);
    bytes.extend_from_slice(path.as_bytes());
    key.mac(&bytes)
}

fn serve<R: Respond>(listener: &TcpListener, routes: &Arc<R>, ending: &AtomicBool) {
    let open = Arc::new(());
    for stream in listener.incoming() {
        if ending.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of files, or the like: others may be about to give some back.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        if Arc::strong_count(&open) > CONNECTIONS_MAX {
            http::refuse(stream);
            continue;
        }
        let (routes, open) = (Arc::clone(routes), Arc::clone(&open));
        let thread = thread::Builder::new().name("hc-admin-answer".to_owned());
        let answered = thread.spawn(move || {
            http::answer(stream, &*routes);
            drop(open);
        });
        if let Err(error) = answered {
            tracing::warn!(%error, "cannot start a thread for an admin request");
        }
    }
}
