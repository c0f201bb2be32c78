//! Why a back end could not start.

use core::net::SocketAddr;
use std::io;

use thiserror::Error;

/// The operating system refused something at start-up: on which address, what, why, and what to do about it.
#[derive(Debug, Error)]
#[error("{address}: cannot {operation}: {cause}; {remedy}")]
pub struct BackendError {
    /// The address that it was about.
    pub address: SocketAddr,
    /// What was asked of the system.
    pub operation: &'static str,
    /// Its answer.
    pub cause: io::Error,
    /// What to do.
    pub remedy: &'static str,
}
