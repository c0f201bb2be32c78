//! `cargo xtask sim` and `cargo xtask plant`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use hovercraft_sim::batch::{Extent, Totals, run_all};
use hovercraft_sim::knobs::Knobs;
use hovercraft_sim::plants::{Planted, look_for};
use hovercraft_sim::report::{self, Report};
use hovercraft_sim::run::Outcome;
use hovercraft_sim::shrink::shrink;
use planted::Plant;

#[derive(Debug, Parser)]
#[command(
    name = "xtask",
    about = "The fault simulator, and bugs planted to see that it finds them"
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs whole clusters under faults, by seed
    Run(RunArguments),
    /// Plants bugs one by one, and looks for each by seed
    Plant(PlantArguments),
}

#[derive(Debug, Parser)]
struct RunArguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them; seeds are independent, so that a long run goes on where another ended
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads [default: as many as there are cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Ends after as many failures
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Ends after as many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// Runs that making a failure smaller may take; 0 = it is shown as it is
    #[arg(long, default_value_t = 300)]
    shrink: u32,
    /// A named state that was never reached is a failure: for long runs
    #[arg(long)]
    all_states: bool,
    /// Writes the totals, too
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Parser)]
struct PlantArguments {
    /// Only this one, by its name
    #[arg(long)]
    bug: Option<String>,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Seeds for each, at most
    #[arg(long, default_value_t = 3_000)]
    seeds: u64,
    /// Threads [default: as many as there are cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Writes the table, too
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().what {
        What::Run(arguments) => run(&arguments),
        What::Plant(arguments) => plant(&arguments),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn threads(asked: Option<usize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1)
}

fn run(arguments: &RunArguments) -> Result<bool> {
    let extent = Extent {
        from: arguments.from,
        seeds: arguments.seeds,
        threads: threads(arguments.threads),
        failures_max: arguments.failures,
        time_max: arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
    };
    let began = Instant::now();
    let totals = run_all(&extent, |totals| {
        eprint!("\r{} seeds, {} failed ", totals.seeds, totals.failures.len());
    });
    eprintln!();
    let report = Report::new(arguments.from, &totals, began.elapsed());
    println!("{report}");
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    for (seed, outcome) in &totals.failures {
        show(*seed, outcome, arguments.shrink);
    }
    Ok(totals.failures.is_empty() && !(arguments.all_states && misses_states(&totals)))
}

/// A failing seed: how to run it again, what happened, and what it takes.
fn show(seed: u64, outcome: &Outcome, runs_max: u32) {
    let (knobs, plan) = Knobs::draw(seed);
    println!("\nseed {seed} FAILED; again: cargo xtask sim --from {seed} --seeds 1");
    let shrunk = shrink(&knobs, &plan, outcome.clone(), runs_max);
    println!(
        "of {} faults {} are left after {} runs; what happened then:",
        plan.faults.len(),
        shrunk.plan.faults.len(),
        shrunk.runs
    );
    println!("  {}", report::cluster_in_words(&shrunk.knobs));
    for line in &shrunk.outcome.story {
        println!("  {line}");
    }
}

fn misses_states(totals: &Totals) -> bool {
    let missed: Vec<_> = totals.coverage.all().filter(|(_, times)| *times == 0).collect();
    for (state, _) in &missed {
        println!("never reached: {state}");
    }
    !missed.is_empty()
}

fn plant(arguments: &PlantArguments) -> Result<bool> {
    if !planted::CAN_PLANT {
        bail!("this build cannot plant bugs: run it as `cargo xtask plant`");
    }
    let wanted = |plant: &&Plant| arguments.bug.as_ref().is_none_or(|bug| plant.name() == bug);
    let plants: Vec<Plant> = Plant::ALL.iter().filter(wanted).copied().collect();
    if plants.is_empty() {
        let names: Vec<_> = Plant::ALL.iter().map(|plant| plant.name()).collect();
        bail!("no bug has that name; there are {}", names.join(", "));
    }
    let threads = threads(arguments.threads);
    println!("{:14} {:18} {:10} {:>6}  by", "bug", "sentence", "", "seeds");
    let mut table = Vec::new();
    for plant in plants {
        let planted = look_for(plant, arguments.from, arguments.seeds, threads);
        print_row(&planted);
        table.push(planted);
    }
    let clean = is_clean_without(&table);
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&table).context("the table as JSON")?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(clean && table.iter().all(|planted| planted.found))
}

fn print_row(planted: &Planted) {
    let found = if planted.found { "found" } else { "NOT FOUND" };
    println!(
        "{:14} {:18} {found:10} {:>6}  {} ({:.1} s): {}",
        planted.bug,
        planted.sentence,
        planted.seeds,
        planted.by.unwrap_or("-"),
        planted.took.as_secs_f64(),
        planted.text.as_deref().unwrap_or("-")
    );
}

/// The seeds by which bugs were found pass without any.
fn is_clean_without(table: &[Planted]) -> bool {
    let mut seeds: Vec<u64> = table.iter().filter_map(|planted| planted.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut clean = true;
    for &from in &seeds {
        let extent = Extent { from, seeds: 1, threads: 1, failures_max: 1, time_max: None };
        for (seed, outcome) in run_all(&extent, |_| {}).failures {
            clean = false;
            println!("seed {seed} fails with nothing planted: {:?}", outcome.found);
        }
    }
    let ended = if clean { "all pass" } else { "NOT CLEAN" };
    println!("{} seeds that found them, with nothing planted: {ended}", seeds.len());
    clean
}
