//! HC7e: log time never falls, and never runs ahead of the fastest clock of the run.

use core::time::Duration;

use raft_core::entry::Payload;

use crate::random::micros;

use super::{Found, Property, View, holds};

/// What a clock may run ahead of the true time: twice its rate, with drift, and a turn of the loop.
fn fastest(passed: Duration) -> u64 {
    micros(passed).saturating_mul(9) / 4 + 1_000
}

#[derive(Default)]
pub(super) struct Stamps;

impl Property for Stamps {
    fn look(&mut self, view: &View<'_>) -> Found {
        if !view.leads {
            return Ok(());
        }
        let mirror = view.mirror();
        for index in view.news.from..=view.news.last {
            let Some(stood) = mirror.at(index) else { break };
            let Payload::Command(request) = stood.payload else { continue };
            let earlier = (1..index).rev().filter_map(|at| Some((at, mirror.at(at)?)));
            let stamped = earlier.filter_map(|(at, stood)| match stood.payload {
                Payload::Command(request) => Some((at, stood.term.to_wire(), request.stamp_us)),
                Payload::NoOp | Payload::Configuration => None,
            });
            let Some((before, term, stamp)) = stamped.take(1).next() else { continue };
            holds("HC7e", request.stamp_us >= stamp, || {
                format!("the stamp of entry {index} is {}, of {before} {stamp}", request.stamp_us)
            })?;
            let Some(fact) = view.book.fact(before, term) else { continue };
            let most = stamp + fastest(view.now.saturating_sub(fact.first_at));
            holds("HC7e", request.stamp_us <= most, || {
                format!(
                    "the stamp of entry {index} is {} us after that of {before}, appended {:?} ago",
                    request.stamp_us - stamp,
                    view.now.saturating_sub(fact.first_at)
                )
            })?;
        }
        Ok(())
    }
}
