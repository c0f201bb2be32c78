//! Every fuzz target, bounded. `FUZZ_RUNS=n` gives each so many inputs, `FUZZ_SEED=n` others; `FUZZ_TARGET=name` takes one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use hovercraft_fuzz::{TARGETS, ordinary};

#[test]
fn hc13_no_bytes_do_harm() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u32>().unwrap());
    let only = env::var("FUZZ_TARGET").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|only| only == name);
    for target in TARGETS.iter().filter(|target| chosen(target.name)) {
        let runs = number("FUZZ_RUNS").unwrap_or(target.runs);
        let tally = ordinary::run(target, number("FUZZ_SEED").unwrap_or(1).into(), runs);
        println!("{:12} {tally:?}", target.name);
        assert_eq!(tally.runs, runs);
        let needed = u64::from(runs) * u64::from(target.useful) / 1_000;
        assert!(u64::from(tally.useful) >= needed, "{}: {tally:?} tries too little", target.name);
    }
}

/// A target without its three lines would never meet libFuzzer.
#[test]
fn every_target_is_one_of_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let files = fs::read_dir(folder.join("fuzz_targets")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect());
    for target in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)));
    }
}
