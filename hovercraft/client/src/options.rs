//! How to reach a cluster.

use core::net::IpAddr;
use core::time::Duration;

use dataplane::clock::Clock;

/// Settings of a [`Client`](crate::Client); [`Options::default`] suits applications and tools.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Place of the group in the configuration, from 0.
    pub group: usize,
    /// Speak the published R2P2 only: no session, 16-bit ids, no log index in answers. In mode `unreplicated`, which has
    /// no sessions, requests carry 64-bit numbers unless this is set.
    pub plain: bool,
    /// How long to wait for a session to be opened.
    pub connect_timeout: Duration,
    /// Time after which a request is given up; its outcome is then unknown. Keep it below half of the cluster's session
    /// expiry.
    pub request_timeout: Duration,
    /// Silence after which a request is repeated for the first time; the time doubles with each try.
    pub retry_after: Duration,
    /// Longest time between two tries.
    pub retry_max: Duration,
    /// Requests open at a time, 1 to 32,768; a session's window may allow fewer.
    pub open_max: usize,
    /// Seed of nonces, first numbers and jitter; a random one if `None`.
    pub seed: Option<u64>,
    /// Address of this machine to send from; the one that leads to the cluster if `None`.
    pub from: Option<IpAddr>,
    /// Wanted socket buffers, in bytes of kernel memory each way.
    pub socket_buffer: usize,
    /// The clock of [`Client::now`](crate::Client::now) and of completions.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group: 0,
            plain: false,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            retry_after: Duration::from_millis(50),
            retry_max: Duration::from_millis(500),
            open_max: 4_096,
            seed: None,
            from: None,
            socket_buffer: 4 << 20,
            clock: Clock::start(),
        }
    }
}
