//! The command line, and the checked plan that it makes.
//!
//! [`Arguments`] is what was typed and may be nonsense; [`Plan`] is proof that it holds together and is made by
//! [`Plan::new`] alone. Nothing behind it checks again.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};
use hovercraft::limits::Limits;
use hovercraft_config::{Cluster, ConfigError, Mode};
use thiserror::Error;

use crate::arrivals::{Gaps, Schedule};
use crate::pace::Pace;
use crate::phases::{PhaseError, Phases, parse_duration};
use crate::progress::Progress;
use crate::workload::quantity::probability;
use crate::workload::{KvShape, Workload, WorkloadError};

/// Threads, at most.
pub const THREADS_MAX: u32 = 256;

/// Sessions or plain ports, all threads together, at most.
pub const SESSIONS_MAX: u32 = 65_536;

/// Requests per second, at most.
pub const RATE_MAX: f64 = 1e9;

/// Load on a cluster, with latency counted from the scheduled moment.
///
/// Requests are sent when a seeded schedule says so, whatever was answered (--rate), or a fixed number is kept open
/// (--open). Prints a line per second on standard error and a table at the end.
///
/// Interrupted, it sends no more, waits for the answers under way, and reports what was done; a second signal ends it at
/// once.
///
/// Exit status: 0 the run went through; 1 it did not, or replies were not what was asked for; 2 the command line or the
/// configuration is wrong; 130, 143 or 129 it was interrupted by SIGINT, SIGTERM or SIGHUP, and has reported.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "lancet",
    version,
    override_usage = "lancet [--dpdk EAL… --] --config <FILE> [OPTIONS]"
)]
pub struct Arguments {
    /// The cluster's file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Name of the group in it; the first one if not given.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Requests per second, all threads together: an open loop.
    #[arg(long, value_name = "PER_SECOND", required_unless_present = "open")]
    pub rate: Option<f64>,
    /// Requests kept open, all threads together, each new one sent as one ends: a closed loop, which knows nothing of
    /// coordinated omission.
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "arrivals"])]
    pub open: Option<u32>,
    /// How long to send, as in 10s, 500ms, 2m.
    #[arg(long, value_parser = parse_duration, conflicts_with_all = ["phases", "phase_file"])]
    pub duration: Option<Duration>,
    /// Phases instead of one duration, as in "before:10s,leader killed:5s,after:5s".
    #[arg(long, value_name = "NAME:DURATION,...", conflicts_with = "phase_file")]
    pub phases: Option<String>,
    /// A file with one phase per line, as in "before:10s".
    #[arg(long, value_name = "FILE")]
    pub phase_file: Option<PathBuf>,
    /// What to send: kv, `stss_<time us>_<request>_<reply>` or `stssr_<time us>_<request>_<reply>_<read ratio>`, where a
    /// number may be N, exp:MEAN, uni:LOW:HIGH or bimodal:LOW:HIGH:SHARE.
    #[arg(long, default_value = "kv")]
    pub workload: String,
    /// Distribution of the gaps between requests.
    #[arg(long, value_enum, default_value_t = Gaps::Exponential)]
    pub arrivals: Gaps,
    /// Sending threads, each with a socket of its own.
    #[arg(long, default_value_t = 1)]
    pub threads: u32,
    /// Sessions, all threads together (with --plain: ports); 4 for each thread if not given.
    #[arg(long, value_name = "N")]
    pub sessions: Option<u32>,
    /// Seed of schedule and requests; a new one for each run if not given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write every operation to this file, for the check of histories.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Speak the published R2P2 only: no sessions.
    #[arg(long)]
    pub plain: bool,
    /// Give a request up after this time; its outcome is then unknown.
    #[arg(long, value_parser = parse_duration, default_value = "2s")]
    pub timeout: Duration,
    /// Repeat a request for the first time after this silence; the time doubles with each try.
    #[arg(long, value_parser = parse_duration, default_value = "50ms")]
    pub retry_after: Duration,
    /// What a thread does while nothing is due.
    #[arg(long, value_enum, default_value_t = Idle::Wait)]
    pub idle: Idle,
    /// kv: number of keys.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub keys: u32,
    /// kv: bytes of a value.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub value: u32,
    /// kv: share of reads, 0 to 1.
    #[arg(long, default_value_t = 0.5, value_parser = probability)]
    pub reads: f64,
    /// kv: share of scans among the reads, 0 to 1; 0.05 if not given, but 0 in mode `unreplicated`, where histories are
    /// decided key by key.
    #[arg(long, value_parser = probability)]
    pub scans: Option<f64>,
    /// Address of this machine to send from; the one that leads to the cluster if not given.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// On DPDK: the Ethernet port, by its number or its device's name.
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub port: String,
    /// The EAL's arguments, from before `--`; see [`Arguments::of`].
    #[arg(skip)]
    pub dpdk: Option<Vec<String>>,
    /// How to show that the run goes on.
    #[arg(long, value_enum, default_value_t = Progress::Text)]
    pub progress: Progress,
    /// No line per second, no table.
    #[arg(long)]
    pub quiet: bool,
}

/// What a thread does while nothing is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Idle {
    /// Poll on: the most exact, for a core of its own.
    Spin,
    /// Wait in the kernel for a packet or the next moment when that is 100 us away or more, else poll on.
    Wait,
    /// Always wait in the kernel: later by some 50 us, and easy on cores that others need.
    Sleep,
}

/// A run that holds together.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to send.
    pub cluster: Cluster,
    /// Place of the group in it.
    pub group: usize,
    /// When to send.
    pub pace: Pace,
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Sending threads; at least 1.
    pub threads: u32,
    /// How the report divides it.
    pub phases: Phases,
    /// What to send.
    pub workload: Workload,
    /// Sessions of each thread, or plain ports; at least 1.
    pub sessions_per_thread: u32,
    /// Whether to use sessions.
    pub plain: bool,
    /// After which a request is given up.
    pub timeout: Duration,
    /// After which a request is repeated for the first time.
    pub retry_after: Duration,
    /// What a thread does while nothing is due.
    pub idle: Idle,
    /// Address to send from.
    pub from: Option<IpAddr>,
    /// DPDK instead of the kernel's sockets.
    pub dpdk: Option<DpdkPlan>,
}

/// Where the load goes out on DPDK.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DpdkPlan {
    /// The EAL's arguments.
    pub eal: Vec<String>,
    /// The Ethernet port.
    pub port: String,
    /// The address to send from, which no kernel has.
    pub from: SocketAddr,
}

/// Why the arguments make no run.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The cluster's file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No such group.
    #[error("--group {name}: {file} has no such group; it has {known}")]
    Group {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        file: String,
        /// What is there.
        known: String,
    },
    /// Too little, too much, or no number.
    #[error("--rate {0}: must be above 0 and at most {RATE_MAX:e}")]
    Rate(f64),
    /// Too few for the threads, or more than the sessions allow.
    #[error(
        "--open {open}: must be at least --threads {threads}, and at most {most} with {sessions} sessions (--sessions)"
    )]
    Open {
        /// What was asked for.
        open: u32,
        /// Each thread needs one.
        threads: u32,
        /// What all windows together have room for.
        most: u64,
        /// Sessions of all threads.
        sessions: u32,
    },
    /// Neither a duration nor phases.
    #[error("no duration: give --duration 10s, or --phases \"before:10s,after:5s\"")]
    NoDuration,
    /// The text of the phases.
    #[error("--phases: {0}")]
    Phases(#[from] PhaseError),
    /// The file of the phases.
    #[error("--phase-file {file}: {source}")]
    PhaseFile {
        /// Which.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// Too few or too many.
    #[error("--threads {0}: must be 1 to {THREADS_MAX}")]
    Threads(u32),
    /// Too few or too many.
    #[error(
        "--sessions {sessions}: must be at least --threads {threads} and at most {SESSIONS_MAX}"
    )]
    Sessions {
        /// What was asked for.
        sessions: u32,
        /// Each thread needs one.
        threads: u32,
    },
    /// The workload.
    #[error("--workload {text}: {source}")]
    Workload {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        source: WorkloadError,
    },
    /// DPDK has one queue, which one connection of one thread has.
    #[error("--dpdk: one thread with one session sends there; leave --threads and --sessions out")]
    DpdkIsOne,
    /// The kernel does not choose.
    #[error("--dpdk: give the address to send from with --from, one that no other host has")]
    DpdkFrom,
    /// Requests that the cluster would refuse.
    #[error("requests of up to {longest} bytes: the cluster takes {limit} (limits.request_max)")]
    RequestTooLong {
        /// The longest that the workload can draw, in bytes.
        longest: u64,
        /// The cluster's limit, in bytes.
        limit: u64,
    },
    /// Replies that the cluster would not send.
    #[error("replies of up to {longest} bytes: the cluster sends {limit} (limits.reply_max)")]
    ReplyTooLong {
        /// The longest that the workload asks for, in bytes.
        longest: u64,
        /// The cluster's limit, in bytes.
        limit: u64,
    },
}

impl Plan {
    /// Checks the arguments against each other and against the cluster's file, which it reads.
    ///
    /// # Errors
    ///
    /// [`PlanError`] for the first thing wrong.
    pub fn new(arguments: &Arguments) -> Result<Self, PlanError> {
        let cluster = Cluster::load(&arguments.config)?;
        let group = place_of_group(&cluster, arguments)?;
        let phases = phases(arguments)?;
        let threads = arguments.threads;
        if threads == 0 || threads > THREADS_MAX {
            return Err(PlanError::Threads(threads));
        }
        let dpdk = dpdk(arguments)?;
        let default = if dpdk.is_some() { 1 } else { 4 * threads };
        let sessions = arguments.sessions.unwrap_or(default);
        if sessions < threads || sessions > SESSIONS_MAX {
            return Err(PlanError::Sessions { sessions, threads });
        }
        let Arguments { keys, value, reads, scans, .. } = *arguments;
        // Without a log a history is decided by searching for an order, key by key, and a scan is of many keys.
        let has_log = cluster.groups[group].mode != Mode::Unreplicated;
        let scans = scans.unwrap_or(if has_log { 0.05 } else { 0.0 });
        let shape = KvShape { keys, value, reads, scans };
        let workload = Workload::parse(&arguments.workload, shape)
            .map_err(|source| PlanError::Workload { text: arguments.workload.clone(), source })?;
        check_sizes(&workload, &cluster.groups[group].limits)?;
        let seed = arguments.seed.unwrap_or_else(rand::random);
        let sessions_per_thread = sessions.div_ceil(threads);
        let window = open_per_session(&cluster.groups[group].limits, sessions_per_thread);
        let most = u64::from(window) * u64::from(sessions_per_thread) * u64::from(threads);
        Ok(Self {
            pace: pace(arguments, phases.duration(), seed, most)?,
            seed,
            threads,
            phases,
            workload,
            sessions_per_thread,
            plain: arguments.plain,
            timeout: arguments.timeout,
            retry_after: arguments.retry_after,
            idle: arguments.idle,
            from: arguments.from,
            dpdk,
            group,
            cluster,
        })
    }

    /// Requests open at a time in one session, at most.
    #[must_use]
    pub fn open_per_session(&self) -> u32 {
        open_per_session(&self.cluster.groups[self.group].limits, self.sessions_per_thread)
    }

    /// How the group replicates.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.cluster.groups[self.group].mode
    }
}

/// A UDP port that nobody else has on an address of our own: any.
const DPDK_PORTS: core::ops::Range<u16> = 32_768..60_999;

fn dpdk(arguments: &Arguments) -> Result<Option<DpdkPlan>, PlanError> {
    let Some(eal) = arguments.dpdk.clone() else { return Ok(None) };
    if arguments.threads != 1 || arguments.sessions.is_some_and(|sessions| sessions != 1) {
        return Err(PlanError::DpdkIsOne);
    }
    let from = arguments.from.ok_or(PlanError::DpdkFrom)?;
    let from = SocketAddr::new(from, rand::random_range(DPDK_PORTS));
    Ok(Some(DpdkPlan { eal, port: arguments.port.clone(), from }))
}

impl Arguments {
    /// Reads a command line, the program's name first: `lancet [--dpdk EAL… --] …`, as a node's.
    ///
    /// # Errors
    ///
    /// As clap's: what was wrong, or the text of `--help`.
    pub fn of(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut words: Vec<OsString> = words.into_iter().collect();
        let mut eal = None;
        if words.get(1).is_some_and(|word| word == "--dpdk") {
            let wrong = || {
                let text = "--dpdk: the EAL's arguments end with `--`: lancet --dpdk EAL… -- --config FILE …";
                Self::command().error(clap::error::ErrorKind::MissingRequiredArgument, text)
            };
            let end = words.iter().position(|word| word == "--").ok_or_else(wrong)?;
            let taken: Vec<OsString> = words.drain(1..=end).collect();
            let taken = &taken[1..taken.len() - 1];
            eal = Some(taken.iter().map(|word| word.to_string_lossy().into_owned()).collect());
        }
        Ok(Self { dpdk: eal, ..Self::try_parse_from(words)? })
    }
}

/// Requests that a thread has memory for.
const OPEN_PER_THREAD: u32 = 65_536;

/// Requests that every session has memory for.
const OPEN_MIN: u32 = 64;

/// What a session's window allows, unless the sessions are many.
fn open_per_session(limits: &Limits, sessions_per_thread: u32) -> u32 {
    let share = OPEN_PER_THREAD / sessions_per_thread;
    share.clamp(OPEN_MIN, limits.session_window.max(OPEN_MIN))
}

/// `most`: requests that may be open in all sessions together.
fn pace(
    arguments: &Arguments,
    duration: Duration,
    seed: u64,
    most: u64,
) -> Result<Pace, PlanError> {
    let threads = arguments.threads;
    if let Some(open) = arguments.open {
        let sessions = arguments.sessions.unwrap_or(4 * threads);
        let fits = open >= threads && u64::from(open) <= most;
        return if fits {
            Ok(Pace::Closed { open, threads, duration })
        } else {
            Err(PlanError::Open { open, threads, most, sessions })
        };
    }
    // The command line asks for one of the two.
    let rate = arguments.rate.unwrap_or_default();
    if !(rate > 0.0 && rate <= RATE_MAX) {
        return Err(PlanError::Rate(rate));
    }
    Ok(Pace::Open(Schedule { gaps: arguments.arrivals, rate, duration, seed, threads }))
}

fn check_sizes(workload: &Workload, limits: &Limits) -> Result<(), PlanError> {
    let (longest, limit) = (workload.request_max(), u64::from(limits.request_max));
    if longest > limit {
        return Err(PlanError::RequestTooLong { longest, limit });
    }
    let (longest, limit) = (workload.reply_max(), u64::from(limits.reply_max));
    if longest > limit {
        return Err(PlanError::ReplyTooLong { longest, limit });
    }
    Ok(())
}

fn place_of_group(cluster: &Cluster, arguments: &Arguments) -> Result<usize, PlanError> {
    let Some(name) = &arguments.group else { return Ok(0) };
    let place = cluster.groups.iter().position(|group| group.name == *name);
    place.ok_or_else(|| PlanError::Group {
        name: name.clone(),
        file: arguments.config.display().to_string(),
        known: cluster
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn phases(arguments: &Arguments) -> Result<Phases, PlanError> {
    if let Some(text) = &arguments.phases {
        return Ok(Phases::parse(text)?);
    }
    if let Some(file) = &arguments.phase_file {
        let text = fs::read_to_string(file)
            .map_err(|source| PlanError::PhaseFile { file: file.display().to_string(), source })?;
        return Ok(Phases::parse(&text)?);
    }
    let duration = arguments.duration.ok_or(PlanError::NoDuration)?;
    Ok(Phases::single("run", duration))
}

#[cfg(test)]
mod tests;
