use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::entry::Payload;

const CAPACITY: usize = 16;

/// The log as one would write it without a limit on memory: every entry ever appended, and where it begins to be held.
struct Model {
    entries: Vec<Entry<u64>>,
    released: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Push { term_after: u64, number: u64 },
    Extend { terms_after: Vec<u64>, number: u64 },
    Truncate { back: usize },
    Release { ahead: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0u64..3, any::<u64>()).prop_map(|(term_after, number)| Step::Push { term_after, number }),
        3 => (prop::collection::vec(0u64..2, 0..9), any::<u64>())
            .prop_map(|(terms_after, number)| Step::Extend { terms_after, number }),
        1 => (0usize..6).prop_map(|back| Step::Truncate { back }),
        3 => (0usize..6).prop_map(|ahead| Step::Release { ahead }),
    ]
}

fn index(number: usize) -> LogIndex {
    LogIndex::from_wire(number as u64)
}

impl Model {
    fn term_at(&self, at: usize) -> Term {
        if at == 0 { Term::ZERO } else { self.entries[at - 1].term }
    }

    fn apply(&mut self, log: &mut Log<u64>, step: &Step) {
        match *step {
            Step::Push { term_after, number } => {
                if log.room() == 0 {
                    return;
                }
                let term = self.term_at(self.entries.len()).to_wire() + term_after;
                let entry =
                    Entry { term: Term::from_wire(term), payload: Payload::Command(number) };
                self.entries.push(entry);
                assert_eq!(log.push(entry), index(self.entries.len()));
            }
            Step::Extend { ref terms_after, number } => {
                let mut term = self.term_at(self.entries.len()).to_wire();
                let more: Vec<_> = terms_after
                    .iter()
                    .take(log.room())
                    .map(|after| {
                        term += after;
                        Entry { term: Term::from_wire(term), payload: Payload::Command(number) }
                    })
                    .collect();
                log.extend(&more);
                self.entries.extend(more);
            }
            Step::Truncate { back } => {
                let from = self.entries.len().saturating_sub(back).max(self.released) + 1;
                if from <= self.entries.len() {
                    self.entries.truncate(from - 1);
                    log.truncate(index(from));
                }
            }
            Step::Release { ahead } => {
                self.released = (self.released + ahead).min(self.entries.len());
                log.release(index(self.released));
            }
        }
    }

    fn compare(&self, log: &Log<u64>) {
        let last = self.entries.len();
        assert_eq!((log.last(), log.last_term()), (index(last), self.term_at(last)));
        assert_eq!(log.room(), CAPACITY - (last - self.released));
        let base = usize::try_from(log.base().to_wire()).unwrap();
        assert!(base <= self.released && last - base <= CAPACITY, "L1, L2");
        assert!(log.iter().eq(self.entries[base..].iter()));
        for (from, to) in [(0, last + 2), (base + 2, last), (last, last), (base, base + 9), (4, 3)]
        {
            let (first, second) = log.runs(index(from), index(to));
            let (skipped, end) = (from.max(base + 1) - 1, to.min(last));
            let wanted = if skipped < end { &self.entries[skipped..end] } else { &[] };
            assert!(first.iter().chain(second).eq(wanted), "{from} to {to}");
        }
        for at in 0..last + 3 {
            let held = at > base && at <= last;
            assert_eq!(log.get(index(at)), held.then(|| &self.entries[at - 1]));
            let known = at >= base && at <= last;
            assert_eq!(log.term_at(index(at)), known.then(|| self.term_at(at)));
            for term in 0..5 {
                let term = Term::from_wire(self.term_at(base).to_wire() + term);
                let fits =
                    (base..=at.min(last)).filter(|&one| one == base || self.term_at(one) <= term);
                assert_eq!(
                    log.newest(index(at), |held| held <= term),
                    index(fits.max().unwrap_or(base))
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn the_ring_holds_what_an_unbounded_log_would(steps in prop::collection::vec(step(), 0..120)) {
        let mut log = Log::new(16, LogIndex::ZERO, Term::ZERO);
        let mut model = Model { entries: Vec::new(), released: 0 };
        for step in &steps {
            model.apply(&mut log, step);
            model.compare(&log);
        }
        prop_assert_eq!(log.ring.len(), CAPACITY);
    }
}

#[test]
fn released_entries_stay_until_their_place_is_needed() {
    let mut log = Log::new(16, LogIndex::ZERO, Term::ZERO);
    let entry = Entry { term: Term::from_wire(1), payload: Payload::Command(0) };
    for _ in 0..16 {
        log.push(entry);
    }
    assert_eq!((log.room(), log.base()), (0, index(0)));
    log.release(index(3));
    assert_eq!((log.room(), log.base()), (3, index(0)));
    log.push(entry);
    assert_eq!((log.room(), log.base(), log.get(index(1))), (2, index(1), None));
}

#[test]
#[should_panic(expected = "L2")]
fn an_entry_that_is_not_released_is_never_overwritten() {
    let mut log = Log::new(16, LogIndex::ZERO, Term::ZERO);
    for _ in 0..17 {
        log.push(Entry { term: Term::from_wire(1), payload: Payload::Command(0) });
    }
}

#[test]
#[should_panic(expected = "L2")]
fn nor_by_many_at_once() {
    let mut log = Log::new(16, LogIndex::ZERO, Term::ZERO);
    log.extend(&[Entry { term: Term::from_wire(1), payload: Payload::Command(0) }; 17]);
}

#[test]
#[should_panic(expected = "L3")]
fn terms_never_fall_among_many() {
    let mut log = Log::new(16, LogIndex::ZERO, Term::ZERO);
    let entry = |term| Entry { term: Term::from_wire(term), payload: Payload::Command(0) };
    log.extend(&[entry(2), entry(1)]);
}
