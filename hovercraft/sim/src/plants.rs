//! Bugs planted one by one: the checks, which do not know which, have to find each.

use std::time::{Duration, Instant};

use planted::Plant;
use serde::Serialize;

use crate::batch::{Extent, run_all};

/// What became of a planted bug.
#[derive(Clone, Debug, Serialize)]
pub struct Planted {
    /// Its name.
    pub bug: &'static str,
    /// The sentences that it breaks.
    pub sentence: &'static str,
    /// What the code does wrong.
    pub what: &'static str,
    /// Whether a check found it.
    pub found: bool,
    /// The first seed by which it was found.
    pub seed: Option<u64>,
    /// Seeds run until then.
    pub seeds: u64,
    /// The rule that the check named.
    pub by: Option<&'static str>,
    /// What it said.
    pub text: Option<String>,
    /// Wall time.
    #[serde(skip)]
    pub took: Duration,
}

/// Plants one bug and looks for it, from the seed `from` on, for at most `seeds_max` seeds.
///
/// One at a time in a process: the bug is everywhere.
#[must_use]
pub fn look_for(plant: Plant, from: u64, seeds_max: u64, threads: usize) -> Planted {
    set(Some(plant));
    let began = Instant::now();
    let extent = Extent { from, seeds: seeds_max, threads, failures_max: 1, time_max: None };
    let totals = run_all(&extent, |_| {});
    set(None);
    let first = totals.failures.first();
    let violation = first.and_then(|(_, outcome)| outcome.found.as_ref().err());
    Planted {
        bug: plant.name(),
        sentence: plant.rules(),
        what: plant.what(),
        found: first.is_some(),
        seed: first.map(|(seed, _)| *seed),
        seeds: totals.seeds,
        by: violation.map(|violation| violation.rule),
        text: violation.map(|violation| violation.text.lines().next().unwrap_or("").to_owned()),
        took: began.elapsed(),
    }
}

#[cfg(feature = "planted")]
fn set(plant: Option<Plant>) {
    planted::plant(plant);
}

/// Without the feature nothing can be planted, and nothing is found.
#[cfg(not(feature = "planted"))]
fn set(_: Option<Plant>) {}
