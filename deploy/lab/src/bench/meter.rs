//! A client's run, and the CPU time that it and its servers spent meanwhile.
//!
//! Clients print JSON lines on standard output: one with `"event":"begin"` when they are ready to send, and their report
//! with `"event":"report"` when the last answer is in. The times are read at these two lines, so that neither starting up nor
//! what the servers do between rounds is counted.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ffi;
use crate::process::Identity;

/// What a run came to.
#[derive(Debug)]
pub(super) struct Metered<R> {
    /// What the client reports.
    pub(super) report: R,
    /// CPU time of all servers together.
    pub(super) servers: Duration,
    /// CPU time of the client.
    pub(super) client: Duration,
}

#[derive(Debug, Deserialize)]
struct Event {
    event: String,
}

/// Runs a client to its end, its complaints in `log`.
pub(super) fn meter<R: DeserializeOwned>(
    command: &mut Command,
    log: &Path,
    servers: &[Identity],
) -> anyhow::Result<Metered<R>> {
    command.stdout(Stdio::piped()).stderr(File::create(log)?);
    let program = command.get_program().display().to_string();
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let times = |client: u32| -> anyhow::Result<[Duration; 2]> {
        let servers = servers.iter().map(|server| ffi::cpu_time(server.pid));
        let servers: Duration = servers.sum::<Result<_, _>>().context("a server has ended")?;
        Ok([servers, ffi::cpu_time(client)?])
    };
    let out = child.stdout.take().context("the client has no output")?;
    let (mut before, mut result) = (None, None);
    for line in BufReader::new(out).lines() {
        let line = line?;
        match serde_json::from_str::<Event>(&line)?.event.as_str() {
            "begin" => before = Some(times(child.id())?),
            "report" => result = Some((times(child.id())?, serde_json::from_str(&line)?)),
            _ => {}
        }
    }
    let status = child.wait()?;
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    ensure!(status.success(), "{program} ended with {status}:\n{}", said());
    let (before, (after, report)) =
        before.zip(result).with_context(|| format!("{program} reported nothing"))?;
    let [servers, client] = [0, 1].map(|at| after[at].saturating_sub(before[at]));
    Ok(Metered { report, servers, client })
}
