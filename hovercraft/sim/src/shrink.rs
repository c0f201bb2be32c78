//! A failing run with fewer faults: what is left is what it takes.

use core::time::Duration;

use dataplane::sim::Weather;

use crate::clock::TRUE_RATE;
use crate::faults::{Plan, Planned};
use crate::knobs::Knobs;
use crate::run::{Outcome, run_plan};

/// A run that fails as the one that was given, with less.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What it is made of.
    pub knobs: Knobs,
    /// What goes wrong.
    pub plan: Plan,
    /// How it ends.
    pub outcome: Outcome,
    /// Runs that it took.
    pub runs: u32,
}

/// Makes faults fewer, then what else can be left out, as long as the same rule is broken; at most `runs_max` runs.
#[must_use]
pub fn shrink(knobs: &Knobs, plan: &Plan, outcome: Outcome, runs_max: u32) -> Shrunk {
    let mut shrunk = Shrunk { knobs: knobs.clone(), plan: plan.clone(), outcome, runs: 0 };
    shrunk.fewer_faults(runs_max);
    shrunk.milder_weather(runs_max);
    shrunk.fewer_clients(runs_max);
    shrunk.plainer_cluster(runs_max);
    shrunk.fewer_faults(runs_max);
    shrunk
}

impl Shrunk {
    /// Takes the smaller run if it fails alike.
    fn try_with(&mut self, knobs: Knobs, plan: Plan, runs_max: u32) -> bool {
        if self.runs >= runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run_plan(&knobs, &plan);
        let rule = |outcome: &Outcome| outcome.found.as_ref().err().map(|found| found.rule);
        let alike = rule(&outcome) == rule(&self.outcome);
        if alike {
            (self.knobs, self.plan, self.outcome) = (knobs, plan, outcome);
        }
        alike
    }

    /// Zeller and Hildebrandt's way: halves first, single ones last.
    fn fewer_faults(&mut self, runs_max: u32) {
        let mut chunk = self.plan.faults.len();
        while chunk > 0 {
            let mut at = 0;
            while at < self.plan.faults.len() {
                let mut faults = self.plan.faults.clone();
                faults.drain(at..(at + chunk).min(faults.len()));
                let plan = Plan { faults, ..self.plan.clone() };
                if !self.try_with(self.knobs.clone(), plan, runs_max) {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        // The storm need not outlast its last fault by more than a little.
        let last = self.plan.faults.last().map(|Planned { at, .. }| *at);
        let storm = last.unwrap_or_default() + Duration::from_millis(50);
        if storm < self.knobs.storm {
            let knobs = Knobs { storm, ..self.knobs.clone() };
            self.try_with(knobs, self.plan.clone(), runs_max);
        }
    }

    fn milder_weather(&mut self, runs_max: u32) {
        let Some(weather) = self.plan.weather else { return };
        let milder = [
            None,
            Some(Weather { loss_ppm: 0, ..weather }),
            Some(Weather { duplicate_ppm: 0, ..weather }),
            Some(Weather { late_ppm: 0, ..weather }),
        ];
        for weather in milder {
            let plan = Plan { weather, ..self.plan.clone() };
            if self.try_with(self.knobs.clone(), plan, runs_max) && weather.is_none() {
                return;
            }
        }
    }

    /// From the last on: the faults name clients by place.
    fn fewer_clients(&mut self, runs_max: u32) {
        while self.knobs.clients.len() > 1 {
            let mut knobs = self.knobs.clone();
            knobs.clients.pop();
            let named = |planned: &Planned| planned.fault.client();
            let left = knobs.clients.len();
            if self.plan.faults.iter().filter_map(named).any(|client| usize::from(client) >= left)
                || !self.try_with(knobs, self.plan.clone(), runs_max)
            {
                return;
            }
        }
    }

    fn plainer_cluster(&mut self, runs_max: u32) {
        let places = self.knobs.clock_rates.len();
        let plainer: [fn(&mut Knobs, usize); 3] = [
            |knobs, _| knobs.key = false,
            |knobs, places| knobs.clock_rates = vec![TRUE_RATE; places],
            |knobs, places| knobs.application_delays = vec![Duration::from_micros(1); places],
        ];
        for make in plainer {
            let mut knobs = self.knobs.clone();
            make(&mut knobs, places);
            self.try_with(knobs, self.plan.clone(), runs_max);
        }
    }
}
