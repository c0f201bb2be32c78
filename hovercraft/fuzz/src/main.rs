//! `cargo xtask fuzz`: runs the fuzz targets under libFuzzer, one after the other, and says how far each came.
//!
//! Needs `cargo-fuzz` and a C++ compiler, which is said by name when it is missing. The instrumentation wants `RUSTC_BOOTSTRAP=1`
//! with a stable toolchain; it is set here. Corpora stand in `target/fuzz/corpus`, and are begun with each target's own seeds; a run
//! goes on from where the last one was.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use hovercraft_fuzz::{TARGETS, Target};
use serde::Serialize;

/// Feeds parsers and replicas with what libFuzzer comes up with.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fuzz")]
struct Arguments {
    /// Only this target; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = known)]
    target: Vec<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Writes the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// All that is fuzzed is safe Rust: the address sanitizer halves the speed and finds what foreign code does.
    #[arg(long, value_enum, default_value_t = Sanitizer::None)]
    sanitizer: Sanitizer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

/// How far a target came.
#[derive(Debug, Default, Serialize)]
struct Reached {
    target: &'static str,
    seconds: u32,
    executions: u64,
    /// Edges of the control flow that were taken: libFuzzer's `cov`.
    edges: u64,
    /// Edges with how often they were taken, and comparisons: its `ft`.
    features: u64,
    /// Inputs kept.
    corpus: u64,
    /// Inputs that broke the property.
    crashes: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn known(name: &str) -> Result<String, String> {
    if TARGETS.iter().any(|target| target.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    Err(format!("no such target; there are {}", names.join(", ")))
}

/// True when nothing crashed.
fn run(arguments: &Arguments) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let root = root.context("this crate stands in the workspace")?;
    std::env::set_current_dir(root)?;
    need("cargo", &["fuzz", "--version"], "cargo install cargo-fuzz --locked")?;
    need("c++", &["--version"], "apt-get install g++")?;
    let wanted = &arguments.target;
    let chosen =
        |target: &&Target| wanted.is_empty() || wanted.iter().any(|name| name == target.name);
    println!(
        "{:<12} {:>8} {:>12} {:>8} {:>9} {:>8} {:>8}",
        "target", "seconds", "executions", "edges", "features", "corpus", "crashes"
    );
    let mut all = Vec::new();
    for target in TARGETS.iter().filter(chosen) {
        let reached = fuzz(target, arguments).with_context(|| target.name)?;
        println!(
            "{:<12} {:>8} {:>12} {:>8} {:>9} {:>8} {:>8}",
            reached.target,
            reached.seconds,
            reached.executions,
            reached.edges,
            reached.features,
            reached.corpus,
            reached.crashes.len()
        );
        for crash in &reached.crashes {
            println!("  again: {}", again(target, arguments.sanitizer, crash));
        }
        all.push(reached);
    }
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(all.iter().all(|reached| reached.crashes.is_empty()))
}

/// Says what is missing, and how it comes here.
fn need(program: &str, arguments: &[&str], remedy: &str) -> Result<()> {
    let found = Command::new(program).args(arguments).output();
    if !found.is_ok_and(|output| output.status.success()) {
        bail!("`{program} {}` does not run: {remedy}", arguments.join(" "));
    }
    Ok(())
}

const BEFORE: [&str; 5] =
    ["fuzz", "run", "--fuzz-dir=hovercraft/fuzz/fuzz", "--target-dir=target/fuzz", "--sanitizer"];

fn sanitizer(of: Sanitizer) -> &'static str {
    match of {
        Sanitizer::None => "none",
        Sanitizer::Address => "address",
    }
}

fn again(target: &Target, with: Sanitizer, input: &Path) -> String {
    let (before, with, input) = (BEFORE.join(" "), sanitizer(with), input.display());
    format!("RUSTC_BOOTSTRAP=1 cargo {before} {with} {} {input}", target.name)
}

fn fuzz(target: &'static Target, arguments: &Arguments) -> Result<Reached> {
    let corpus = Path::new("target/fuzz/corpus").join(target.name);
    let artifacts = Path::new("target/fuzz/artifacts").join(target.name);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number}")), seed)?;
    }
    let mut command = Command::new("cargo");
    command.env("RUSTC_BOOTSTRAP", "1").args(BEFORE).arg(sanitizer(arguments.sanitizer));
    command.arg(target.name).arg(&corpus).arg("--");
    command.arg(format!("-max_total_time={}", arguments.seconds));
    command.arg(format!("-max_len={}", target.len_max));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let said = child.stderr.take().context("its standard error")?;
    let mut reached =
        Reached { target: target.name, seconds: arguments.seconds, ..Reached::default() };
    let mut last = Vec::new();
    for line in BufReader::new(said).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        reached.hear(&line);
        last.push(line);
        let old = last.len().saturating_sub(40);
        last.drain(..old);
    }
    let status = child.wait()?;
    if !status.success() && reached.crashes.is_empty() {
        bail!("{status} without an input to blame:\n{}", last.join("\n"));
    }
    if !status.success() {
        eprintln!("{}", last.join("\n"));
    }
    Ok(reached)
}

impl Reached {
    /// Takes the figures out of a line of libFuzzer's.
    fn hear(&mut self, line: &str) {
        let after = |name: &str| {
            let number = line.split_once(name)?.1.trim_start();
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            number[..end].parse::<u64>().ok()
        };
        if let (Some(edges), Some(features)) = (after(" cov: "), after(" ft: ")) {
            (self.edges, self.features) = (edges, features);
            self.corpus = after(" corp: ").unwrap_or(self.corpus);
        }
        if let Some(executions) = after("stat::number_of_executed_units:") {
            self.executions = executions;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.crashes.push(PathBuf::from(path.trim()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_libfuzzers() {
        let mut reached = Reached::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#1048576\tpulse  cov: 1520 ft: 9321 corp: 812/91Kb lim: 4096 exec/s: 17476 rss: 55Mb",
            "stat::number_of_executed_units: 1048599",
            "artifact_prefix='a/'; Test unit written to a/crash-0123",
        ] {
            reached.hear(line);
        }
        assert_eq!((reached.edges, reached.features, reached.corpus), (1_520, 9_321, 812));
        assert_eq!((reached.executions, reached.crashes.len()), (1_048_599, 1));
    }
}
