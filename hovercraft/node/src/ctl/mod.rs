//! `hovercraft-ctl`: looks at a cluster through its members' admin endpoints, and tells it what an operator wants.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | every member answered; `status`: one of them leads, or the group has no replication |
//! | 1 | `transfer` was refused, or nobody took over; `trace`: nobody who answered knows the request |
//! | 2 | wrong command line or configuration |
//! | 3 | some members did not answer |
//! | 4 | `status`: no member that answered leads; `transfer`, `trace`: there is nobody to ask |

mod client;
mod status;
#[cfg(test)]
mod tests;
mod trace;
mod transfer;
mod way;

use core::time::Duration;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{Parser, Subcommand};
use hovercraft_config::{Cluster, Group, Member, Span};

pub use self::client::{AdminError, get, post};

/// Exit codes, as the module says.
const REFUSED: u8 = 1;
const WRONG: u8 = 2;
const SOME_SILENT: u8 = 3;
const NO_LEADER: u8 = 4;

const BEHIND: &str = "\
Exit codes: 0 all members answered (status: and one leads); 1 transfer was refused or nobody took over, \
trace: the request is not known; \
2 wrong command line or configuration; 3 some members did not answer; 4 no leader.";

/// Looks at a cluster, and tells it what an operator wants
#[derive(Clone, Debug, Parser)]
#[command(name = "hovercraft-ctl", version, after_help = BEHIND, max_term_width = 100)]
struct Args {
    /// The cluster.ron
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The group, where the file has several
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// How long to wait for each member
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span)]
    timeout: Duration,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Role, term, commit, applied, lag, unordered requests and queue of each member
    Status {
        /// A JSON array of what each member says, null for one that does not answer
        #[arg(long)]
        json: bool,
        /// Again every second, until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// Moves leadership to another member
    Transfer {
        /// To this one; without it, to whoever has most of the log
        #[arg(long, value_name = "N")]
        to: Option<u8>,
    },
    /// The effective configuration of each member, equal ones together
    Config,
    /// A request's way through the nodes, with times
    Trace(trace::TraceArgs),
}

fn span(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}; write it as 500ms or 2s"))?;
    if span.0.is_zero() {
        return Err("must be more than nothing".to_owned());
    }
    Ok(span.0)
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let wrong = error.use_stderr();
            // Help that nobody reads any more.
            let _ = error.print();
            return if wrong { ExitCode::from(WRONG) } else { ExitCode::SUCCESS };
        }
    };
    let cluster = match Cluster::load(&args.config) {
        Ok(cluster) => cluster,
        Err(error) => return wrong(&error.to_string()),
    };
    let group = match (&args.group, cluster.groups.as_slice()) {
        (Some(name), _) => cluster.group_named(name),
        (None, [group]) => Some(group),
        (None, _) => None,
    };
    let Some(group) = group else {
        let known: Vec<&str> = cluster.groups.iter().map(|group| group.name.as_str()).collect();
        return wrong(&format!("say which group with --group: there are {}", known.join(", ")));
    };
    let code = match args.command {
        Command::Status { json, watch } => status::run(group, args.timeout, json, watch),
        Command::Config => config(group, args.timeout),
        Command::Trace(which) => trace::run(group, args.timeout, &which),
        Command::Transfer { to } => {
            let key = match cluster.load_key() {
                Ok(key) => key.map(|(key, _)| *key.bytes()),
                Err(error) => return wrong(&error.to_string()),
            };
            transfer::run(group, args.timeout, key, to)
        }
    };
    ExitCode::from(code)
}

fn wrong(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(WRONG)
}

/// Prints to whoever still reads.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Asks all members at once; in their order.
fn ask_all<T: Send>(
    group: &Group,
    ask: impl Fn(&Member) -> Result<T, AdminError> + Sync,
) -> Vec<Result<T, AdminError>> {
    thread::scope(|scope| {
        let ask = &ask;
        let asked = group.members.iter().map(|member| scope.spawn(move || ask(member)));
        let asked: Vec<_> = asked.collect();
        let answers = asked.into_iter();
        answers.map(|answer| answer.join().unwrap_or(Err(AdminError::Panicked))).collect()
    })
}

/// Each different configuration, headed by who has it.
fn config(group: &Group, timeout: Duration) -> u8 {
    let answers = ask_all(group, |member| get(member.admin, "/config", timeout));
    let mut different: Vec<(Vec<u8>, Vec<String>)> = Vec::new();
    let mut silent = 0;
    for (member, answer) in group.members.iter().zip(answers) {
        let name = member.id.number().to_string();
        match answer {
            Ok(text) => match different.iter_mut().find(|(other, _)| *other == text) {
                Some((_, names)) => names.push(name),
                None => different.push((text, vec![name])),
            },
            Err(error) => {
                silent += 1;
                eprintln!("node {name}: {error}");
            }
        }
    }
    for (text, names) in different {
        say(&format!("// nodes {}\n{}", names.join(", "), String::from_utf8_lossy(&text)));
    }
    if silent > 0 { SOME_SILENT } else { 0 }
}
