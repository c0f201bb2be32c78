//! `cargo xtask model`: explores, prints what it saw.
//!
//! Exit status 0 = nothing wrong, 1 = a rule does not hold, 2 = it could not be asked so.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hovercraft_model::checks;
use hovercraft_model::explore::{Bounds, End, Explorer, Figures};
use hovercraft_model::replay::replay;
use hovercraft_model::scope::{self, Scope};
use planted::Plant;
use serde_json::{Value, json};

/// Every order of events of three real replicas: loss, duplication, reordering, changes of leader.
#[derive(Debug, Parser)]
#[command(name = "model", version)]
struct Arguments {
    /// States of each scope, at most.
    #[arg(long, default_value_t = 500_000)]
    states: usize,
    /// Memory, at most, about: bytes, or with K, M or G.
    #[arg(long, default_value = "4G", value_parser = size)]
    memory: usize,
    /// Plants this bug first (R3, R4, R8, H8, …).
    #[arg(long, value_parser = plant)]
    plant: Option<Plant>,
    /// One scope; all of them without it.
    #[arg(long)]
    scope: Option<String>,
    /// Leaves out the checks whose names begin so.
    #[arg(long)]
    blind: Vec<String>,
    /// Writes what was seen to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Names scopes and checks.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if arguments.list {
        list();
        return ExitCode::SUCCESS;
    }
    let scopes = match &arguments.scope {
        None => scope::ALL.to_vec(),
        Some(name) => match Scope::find(name) {
            Some(scope) => vec![scope],
            None => {
                eprintln!("model: no scope has the name {name}; --list names them");
                return ExitCode::from(2);
            }
        },
    };
    if let Some(unknown) =
        arguments.blind.iter().find(|name| !checks::names().any(|rule| rule.starts_with(*name)))
    {
        eprintln!("model: no check has a name that begins with {unknown}; --list names them");
        return ExitCode::from(2);
    }
    plant_it(arguments.plant);
    run(&arguments, &scopes)
}

fn run(arguments: &Arguments, scopes: &[Scope]) -> ExitCode {
    let mut results = Vec::new();
    let mut wrong = false;
    for &scope in scopes {
        let bounds = Bounds {
            states: arguments.states,
            bytes: arguments.memory,
            blind: arguments.blind.clone(),
            progress,
        };
        let (result, found) = explore(scope, bounds);
        results.push(result);
        wrong |= found;
        if found {
            break;
        }
    }
    if let Some(file) = &arguments.json {
        let plant = arguments.plant.map(Plant::name);
        let all = json!({ "plant": plant, "scopes": results });
        if let Err(error) = std::fs::write(file, format!("{all:#}\n")) {
            eprintln!("model: {} cannot be written: {error}", file.display());
            return ExitCode::from(2);
        }
    }
    ExitCode::from(u8::from(wrong))
}

/// Explores one scope and prints what came of it; whether something was wrong.
fn explore(scope: Scope, bounds: Bounds) -> (Value, bool) {
    println!("{}: {}", scope.name, scope.what);
    let blind = bounds.blind.clone();
    let mut explorer = Explorer::new(scope, bounds);
    let end = explorer.run();
    let figures = explorer.counts();
    println!("  {}", words(&figures));
    let mut result = json!({
        "scope": scope.name,
        "states": figures.states,
        "depth": figures.depth,
        "frontier": figures.frontier,
        "transitions": figures.transitions,
        "nodes": figures.nodes,
        "steps": figures.steps,
        "packets": figures.packets,
        "merged": figures.merged.0,
        "audited": figures.merged.1,
        "seconds": figures.took.as_secs_f64(),
        "end": end_word(&end),
    });
    match end {
        End::Emptied => println!("  frontier emptied: nothing wrong in any order of events"),
        End::States => println!("  nothing wrong so far; --states bounds it"),
        End::Memory => println!("  nothing wrong so far; --memory bounds it"),
        End::Unlike(what) => {
            println!("  two nodes with one protocol state behave differently:\n{what}");
            return (result, true);
        }
        End::Violated { violation, path } => {
            let replay = replay(scope, &mut explorer.machine.packets, &path, &blind);
            let confirmed = replay.violation.as_ref() == Some(&violation);
            println!("  VIOLATED {}: {}", violation.rule, violation.what);
            let how = if confirmed { "played again on real nodes" } else { "NOT seen again" };
            println!("  the shortest way there, {} events, {how}:", path.len());
            for line in &replay.lines {
                println!("  {line}");
            }
            result["violation"] = json!({
                "rule": violation.rule,
                "what": violation.what,
                "confirmed": confirmed,
                "trace": replay.lines,
            });
            return (result, true);
        }
    }
    (result, false)
}

fn end_word(end: &End) -> &'static str {
    match end {
        End::Emptied => "emptied",
        End::States => "states",
        End::Memory => "memory",
        End::Violated { .. } => "violated",
        End::Unlike(_) => "unlike",
    }
}

fn words(figures: &Figures) -> String {
    let Figures { states, depth, frontier, transitions, nodes, steps, packets, merged, took } =
        figures;
    let seconds = took.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate to be read"
    )]
    let rate = (*states as f64 / seconds.max(1e-9)) as u64;
    format!(
        "{states} states, depth {depth}, frontier {frontier}, {transitions} transitions in \
         {seconds:.1} s ({rate} states/s); {nodes} nodes, {steps} steps of real code, {packets} packets, \
         {} merged, {} of these tried",
        merged.0, merged.1
    )
}

fn progress(figures: &Figures) {
    eprintln!("  … {}", words(figures));
}

fn list() {
    println!("scopes");
    for scope in scope::ALL {
        println!("  {:8} {}", scope.name, scope.what);
    }
    println!("checks");
    for name in checks::names() {
        println!("  {name}");
    }
}

fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: usize = digits.parse().map_err(|_| "a number, or one with K, M or G".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too much".to_owned())
}

fn plant(name: &str) -> Result<Plant, String> {
    if !planted::CAN_PLANT {
        return Err("this build has no bugs to plant: use cargo xtask model".to_owned());
    }
    let found = Plant::ALL.iter().find(|plant| plant.name().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = Plant::ALL.iter().map(|plant| plant.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

#[cfg(feature = "planted")]
fn plant_it(plant: Option<Plant>) {
    planted::plant(plant);
}

#[cfg(not(feature = "planted"))]
fn plant_it(_: Option<Plant>) {}
