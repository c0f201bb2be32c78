//! From a command line to a report: what `lancet` does, for whoever makes the connections.

use std::fs;

use anyhow::Context as _;

use crate::cli::{Arguments, Plan};
use crate::progress::Progress;
use crate::report::{Origin, Report};
use crate::run::{Connect, print_json, run};
use crate::stop::Stop;

/// How a run ended that has a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// As it should.
    Good,
    /// Replies were not what was asked for.
    BadReplies,
    /// By this signal.
    Interrupted(u8),
}

/// Runs the plan over connections that `connect` makes, and shows its result; `words` are the command line, for the report.
///
/// # Errors
///
/// When there is no result, or it cannot be written.
pub fn load(
    arguments: &Arguments,
    plan: &Plan,
    words: impl Iterator<Item = String>,
    stop: &Stop,
    connect: &Connect<'_>,
) -> anyhow::Result<End> {
    let progress = match (arguments.quiet, arguments.progress) {
        (true, Progress::Text) => Progress::None,
        (_, progress) => progress,
    };
    let measures = run(plan, arguments.history.as_deref(), progress, stop, connect)?;
    let has_writes = plan.workload.has_writes();
    let origin =
        Origin { has_writes, open: plan.pace.open(), seed: plan.seed, command: quoted(words) };
    let report = Report::new(&plan.phases, &measures, origin);
    if let Some(file) = &arguments.json {
        let json = report.json().context("the report as JSON")?;
        fs::write(file, json + "\n").with_context(|| file.display().to_string())?;
    }
    match progress {
        Progress::Json => {
            print_json(&report.event());
            eprint!("{}", report.table());
        }
        _ if arguments.quiet => {}
        _ => print!("{}", report.table()),
    }
    Ok(match stop.asked() {
        _ if report.total.bad_replies > 0 => End::BadReplies,
        Some(signal) => End::Interrupted(signal),
        None => End::Good,
    })
}

/// A command line, quoted where a shell needs it.
fn quoted(words: impl Iterator<Item = String>) -> String {
    let quoted = |word: String| {
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_./=:,+".contains(sign);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.map(quoted).collect::<Vec<_>>().join(" ")
}
