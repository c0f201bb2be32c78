//! `history-check`: reads histories, audits and states, prints the verdict.
//!
//! Exit code 0 = linearizable, 1 = not, 2 = undecided, 3 = the check could not be made (arguments, files).

#![forbid(unsafe_code)]

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use history_checker::history::Operation;
use history_checker::lines::Reader;
use history_checker::state::NodeState;
use history_checker::{Audits, KnownService, Options, Truth, Verdict, check};
use kv::Kv;
use r2p2::service::Service;
use synthetic::{Pace, Synthetic};

/// Checks recorded histories of a replicated service.
#[derive(Debug, Parser)]
#[command(name = "history-check", version)]
struct Arguments {
    /// Histories of clients (JSON lines); all of them together hold every operation.
    #[arg(long, required = true, num_args = 1..)]
    history: Vec<PathBuf>,
    /// Audits of nodes (JSON lines), one file for each node and life.
    #[arg(long, num_args = 1..)]
    audit: Vec<PathBuf>,
    /// Final states of nodes (JSON).
    #[arg(long, num_args = 1..)]
    state: Vec<PathBuf>,
    /// The service that ran.
    #[arg(long)]
    service: ServiceName,
    /// Longest reply in bytes, as in the cluster's limits.
    #[arg(long, default_value_t = Options::default().reply_max)]
    reply_max: usize,
    /// Mode `unreplicated`: there is no log, the black-box check decides alone.
    #[arg(long)]
    no_log: bool,
    /// A session outside the histories whose writes change nothing; may be repeated.
    #[arg(long)]
    allow_session: Vec<u64>,
    /// Steps that the black-box search may take.
    #[arg(long, default_value_t = Options::default().black_box_steps)]
    black_box_steps: u64,
    /// Writes the verdict as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Services that can be replayed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServiceName {
    /// The key-value store.
    Kv,
    /// Synthetic service times and sizes.
    Synthetic,
}

impl ServiceName {
    fn fresh(self) -> Box<dyn Service> {
        match self {
            Self::Kv => Box::new(Kv::default()),
            Self::Synthetic => Box::new(Synthetic::new(Pace::NONE)),
        }
    }

    fn known(self) -> KnownService {
        match self {
            Self::Kv => KnownService::Kv,
            Self::Synthetic => KnownService::Other,
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { 3 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(&arguments) {
        Ok(verdict) => {
            print!("{verdict}");
            ExitCode::from(match verdict.linearizable {
                Truth::True => 0,
                Truth::False => 1,
                Truth::Undecided => 2,
            })
        }
        Err(error) => {
            eprintln!("history-check: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Verdict> {
    let mut history = Vec::new();
    for path in &arguments.history {
        read_history(path, &mut history).with_context(|| path.display().to_string())?;
    }
    let mut audits = Audits::new();
    for path in &arguments.audit {
        read_audit(path, &mut audits).with_context(|| path.display().to_string())?;
    }
    let mut states = Vec::new();
    for path in &arguments.state {
        read_states(path, &mut states).with_context(|| path.display().to_string())?;
    }
    let options = Options {
        known: arguments.service.known(),
        reply_max: arguments.reply_max,
        log: !arguments.no_log,
        allowed_sessions: arguments.allow_session.clone(),
        black_box_steps: arguments.black_box_steps,
    };
    let mut service = arguments.service.fresh();
    let verdict = check(&history, &audits, &mut *service, &states, &options);
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&verdict).context("verdict")?;
        fs::write(path, json + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(verdict)
}

fn read_history(path: &Path, history: &mut Vec<Operation>) -> Result<()> {
    let mut lines = Reader::open(path)?;
    for operation in &mut lines {
        history.push(operation?);
    }
    note_if_cut(path, lines.cut());
    Ok(())
}

fn read_audit(path: &Path, audits: &mut Audits) -> Result<()> {
    let cut = audits.add_lines(path.display().to_string(), Reader::open(path)?)?;
    note_if_cut(path, cut);
    Ok(())
}

fn read_states(path: &Path, states: &mut Vec<NodeState>) -> Result<()> {
    let file = BufReader::new(fs::File::open(path)?);
    for state in serde_json::Deserializer::from_reader(file).into_iter() {
        states.push(state?);
    }
    Ok(())
}

fn note_if_cut(path: &Path, cut: bool) {
    if cut {
        eprintln!("history-check: {}: last line unfinished, left out", path.display());
    }
}
