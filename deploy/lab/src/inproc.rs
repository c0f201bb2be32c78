//! `--wire inproc`: nodes and client of a lab in one process, on ports of DPDK, stepped in turn by one thread.
//!
//! ```text
//!   node 1 ── port ─┐
//!   node 2 ── port ─┼─ a wire that copies     a round: both halves of each node, the wire, the client
//!   client ── port ─┘
//! ```
//!
//! Nothing outside reaches the nodes' ports, so the load runs inside, too: `lancet`'s, on a queue that steps everybody else
//! (`client.rs`). All else is as with processes: admin addresses (on loopback), evidence, verdict. The lab starts the process
//! (`hovercraft-lab step-nodes DIRECTORY`), tells it by a socket in its directory what to do (`Order`), and reads what the
//! load says from its standard output.
//!
//! Invariants:
//! 1. One thread at a time has the nodes and takes every turn (`world.rs`): the load's while there is one, else one that idles.
//! 2. A node that is killed takes no turn more: its memory, its port and its admin address are gone when the answer comes. That
//!    is what `kill -9` is here; nobody is told, frames that it had not yet given to the wire are lost.
//! 3. A turn that breaks an invariant ends the process, and with it the cluster.

#[cfg(feature = "dpdk")]
mod client;
#[cfg(feature = "dpdk")]
mod serve;
#[cfg(feature = "dpdk")]
mod world;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

#[cfg(feature = "dpdk")]
pub use serve::run;

/// Subcommand of our own program that becomes the process.
pub const STEP_NODES: &str = "step-nodes";

/// Where it is told what to do, in the lab's directory.
pub(crate) const SOCKET: &str = "inproc.sock";

/// What it logs, there.
pub(crate) const LOG: &str = "inproc.log";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the process can be told: a line of JSON each, answered by one. What a load prints is followed by an event of its end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Order {
    /// Say which nodes live.
    Living,
    /// End this node as `kill -9` would, and say which live.
    Kill(u8),
    /// Begin a load with these words as `lancet` takes them.
    Load(Vec<String>),
}

/// The nodes that live, or why the order was not followed.
type Answer = Result<Vec<u8>, String>;

/// Tells the process of the lab in `directory` what to do; the nodes that live then.
///
/// # Errors
///
/// When it does not answer in time, or refuses.
pub(crate) fn tell(directory: &Path, order: &Order) -> anyhow::Result<Vec<u8>> {
    let answer = exchange(directory, order).context("the process of the nodes does not answer")?;
    answer.map_err(|why| anyhow!(why))
}

fn exchange(directory: &Path, order: &Order) -> anyhow::Result<Answer> {
    let mut stream = UnixStream::connect(directory.join(SOCKET))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// The same in a program without DPDK.
///
/// # Errors
///
/// Always: how to get one that has it.
#[cfg(not(feature = "dpdk"))]
pub fn not_built() -> anyhow::Result<()> {
    anyhow::bail!(
        "--wire inproc: this program was built without DPDK: build it with `--features hovercraft-lab/dpdk` (on Debian first \
         `apt-get install dpdk libdpdk-dev libclang-dev clang`), or choose another wire"
    )
}
