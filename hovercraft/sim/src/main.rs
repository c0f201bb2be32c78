//! `cargo xtask sim` and `cargo xtask plant`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use hovercraft_sim::batch::{Extent, Totals, run_all};
use hovercraft_sim::knobs::Knobs;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs whole clusters under faults, by seed
    Run(RunArguments),
}

#[derive(Debug, Parser)]
struct RunArguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads; as many as there are cores if not given
    #[arg(long)]
    threads: Option<usize>,
    /// Ends after as many failures
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Ends after as many minutes
    #[arg(long)]
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    match Arguments::parse().what {
        What::Run(arguments) => run(&arguments),
    }
}

fn threads(asked: Option<usize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1)
}

fn run(arguments: &RunArguments) -> ExitCode {
    let extent = Extent {
        from: arguments.from,
        seeds: arguments.seeds,
        threads: threads(arguments.threads),
        failures_max: arguments.failures,
        time_max: arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
    };
    let began = Instant::now();
    let totals = run_all(&extent, |totals| {
        eprintln!("{} seeds, {} failed", totals.seeds, totals.failures.len());
    });
    print(&totals, began.elapsed());
    for (seed, outcome) in &totals.failures {
        let (knobs, _) = Knobs::draw(*seed);
        println!("\nseed {seed} FAILED; again: cargo xtask sim --from {seed} --seeds 1");
        println!("{knobs:?}");
        for line in &outcome.story {
            println!("  {line}");
        }
    }
    if totals.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(totals: &Totals, wall: Duration) {
    let hours = totals.virtual_time.as_secs_f64() / 3_600.0;
    println!(
        "{} seeds, {} operations, {} undecided, {:.2} simulated hours in {:.1} s: {:.1} per hour",
        totals.seeds,
        totals.operations,
        totals.undecided,
        hours,
        wall.as_secs_f64(),
        hours * 3_600.0 / wall.as_secs_f64()
    );
    for (state, times) in totals.coverage.all() {
        println!("  {state:40} {times}");
    }
}
