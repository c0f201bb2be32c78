//! The program. See the crate's documentation and `lancet --help`.
#![forbid(unsafe_code)]

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use lancet_rs::cli::{Arguments, Plan};
use lancet_rs::progress::Progress;
use lancet_rs::report::{Origin, Report};
use lancet_rs::run::{print_json, run};
use lancet_rs::stop::Stop;

fn main() -> ExitCode {
    // A wrong command line ends here, with status 2.
    let arguments = Arguments::of(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let plan = match Plan::new(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("lancet: {error}");
            return ExitCode::from(2);
        }
    };
    match load(&arguments, &plan) {
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::BadReplies) => ExitCode::FAILURE,
        // As shells count it: 128 and the signal.
        Ok(End::Interrupted(signal)) => ExitCode::from(signal.saturating_add(128)),
        Err(error) => {
            eprintln!("lancet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a run ended that has a report.
enum End {
    Good,
    /// Replies were not what was asked for.
    BadReplies,
    /// By this signal.
    Interrupted(u8),
}

/// Runs the plan and shows its result.
fn load(arguments: &Arguments, plan: &Plan) -> anyhow::Result<End> {
    let progress = match (arguments.quiet, arguments.progress) {
        (true, Progress::Text) => Progress::None,
        (_, progress) => progress,
    };
    let stop = Stop::on_signals();
    let measures = run(plan, arguments.history.as_deref(), progress, &stop)?;
    let has_writes = plan.workload.has_writes();
    let origin = Origin { has_writes, open: plan.pace.open(), seed: plan.seed, command: command() };
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

/// The command line, quoted where a shell needs it.
fn command() -> String {
    let quoted = |word: String| {
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_./=:,+".contains(sign);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    std::env::args().map(quoted).collect::<Vec<_>>().join(" ")
}
