//! What an observer of all nodes knows: a copy of each log, who ever held which entry, who led, what was committed.

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hovercraft::entry::Request;
use hovercraft::replica::{Core, Replica, Role};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{LogIndex, Member};

use crate::knobs::Knobs;

/// An entry as it stands in a log.
pub type Stood = Entry<Request>;

/// One node's log, and where the node is.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The node, in this life; none before it stands in a cluster.
    pub life: Option<Member>,
    /// The life's place in [`Book::lives`].
    pub number: usize,
    /// From index 1.
    pub log: Vec<Stood>,
    /// Its term.
    pub term: u64,
    /// What it does.
    pub role: Role,
    /// Committed up to here.
    pub commit: u64,
    /// Applied up to here.
    pub applied: u64,
}

/// What a step changed in a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct News {
    /// The first new index; above the last when there is none.
    pub from: u64,
    /// The last index.
    pub last: u64,
    /// Entries cut off.
    pub cut: u64,
    /// Commit index before.
    pub commit_before: u64,
    /// Term before.
    pub term_before: u64,
    /// It did not lead in this term before.
    pub elected: bool,
}

/// What is known of an entry: one index, one term.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its term.
    pub term: u64,
    /// As it was first seen.
    pub payload: Payload<Request>,
    /// Term of the entry before it.
    pub previous_term: u64,
    /// When it was first seen: a leader appended it.
    pub first_at: Duration,
    /// Digest of the body first seen with it.
    pub body: Option<u64>,
    /// Lives that ever held it, by their number.
    pub holders: u64,
}

/// A leader's log: what it found, and what it appended since.
#[derive(Clone, Debug)]
pub struct Led {
    /// Which life.
    pub number: usize,
    /// Terms of the entries that it found, from index 1.
    pub found: Vec<u64>,
    /// Its last index.
    pub last: u64,
}

/// All of it.
#[derive(Debug)]
pub struct Book {
    /// What the cluster is made of.
    pub knobs: Knobs,
    /// By node.
    pub mirrors: Vec<Mirror>,
    /// Every life that stood in a cluster.
    pub lives: Vec<Member>,
    /// How far each of them applied.
    pub applied: Vec<u64>,
    facts: Vec<Vec<Fact>>,
    /// By term.
    pub leaders: BTreeMap<u64, Led>,
    /// Terms of what any node saw committed, from index 1.
    pub committed: Vec<u64>,
    submitted: BTreeMap<u64, Duration>,
}

/// Digest of a body.
#[must_use]
pub fn digest(body: &[u8]) -> u64 {
    FixedState::with_seed(3).hash_one(body)
}

/// The place of an index that is above zero.
#[must_use]
pub fn place_of(index: u64) -> usize {
    usize::try_from(index - 1).expect("logs of a run are short")
}

impl Led {
    /// Term of the entry at `index` in the log of the leader of `term`.
    #[must_use]
    pub fn term_at(&self, term: u64, index: u64) -> Option<u64> {
        let found = self.found.len() as u64;
        match index {
            0 => Some(0),
            _ if index <= found => Some(self.found[place_of(index)]),
            _ => (index <= self.last).then_some(term),
        }
    }
}

impl Mirror {
    fn new() -> Self {
        Self {
            life: None,
            number: usize::MAX,
            log: Vec::new(),
            term: 0,
            role: Role::Joining,
            commit: 0,
            applied: 0,
        }
    }

    /// The entry at `index`, from 1.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<&Stood> {
        (index > 0).then(|| self.log.get(place_of(index))).flatten()
    }

    /// Term of the entry at `index`; zero before the first.
    #[must_use]
    pub fn term_at(&self, index: u64) -> u64 {
        self.at(index).map_or(0, |stood| stood.term.to_wire())
    }

    /// The last index.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.log.len() as u64
    }

    /// Takes over what changed in the log. A change of an entry's term shows where it was cut; after a change of term the entries
    /// not committed are compared as a whole.
    fn follow_log(&mut self, core: &Core) -> (u64, u64) {
        let last = core.last_index().to_wire();
        let mut keep = last.min(self.last());
        let same_term = |mirror: &Self, index: u64| {
            let term = core.term_at(LogIndex::from_wire(index));
            term.is_none_or(|term| term == mirror.log[place_of(index)].term)
        };
        while keep > 0 && !same_term(self, keep) {
            keep -= 1;
        }
        if core.term().to_wire() != self.term {
            let held = |index: u64| core.entry(LogIndex::from_wire(index));
            let differs = |&index: &u64| held(index) != Some(&self.log[place_of(index)]);
            let first = (self.commit + 1..=keep).find(|index| differs(index));
            keep = first.map_or(keep, |first| first - 1);
        }
        let cut = self.last() - keep;
        self.log.truncate(usize::try_from(keep).expect("short"));
        for index in keep + 1..=last {
            let Some(entry) = core.entry(LogIndex::from_wire(index)) else { break };
            self.log.push(*entry);
        }
        (keep + 1, cut)
    }
}

impl Book {
    pub(crate) fn new(knobs: &Knobs) -> Self {
        Self {
            mirrors: (0..knobs.nodes).map(|_| Mirror::new()).collect(),
            knobs: knobs.clone(),
            lives: Vec::new(),
            applied: Vec::new(),
            facts: Vec::new(),
            leaders: BTreeMap::new(),
            committed: Vec::new(),
            submitted: BTreeMap::new(),
        }
    }

    /// What is known of an entry.
    #[must_use]
    pub fn fact(&self, index: u64, term: u64) -> Option<&Fact> {
        let facts = (index > 0).then(|| self.facts.get(place_of(index))).flatten()?;
        facts.iter().find(|fact| fact.term == term)
    }

    /// Whether a life ever held an entry.
    #[must_use]
    pub fn held(&self, life: Member, index: u64, term: u64) -> bool {
        let number = self.lives.iter().position(|known| *known == life);
        let fact = self.fact(index, term);
        number.zip(fact).is_some_and(|(number, fact)| fact.holders & 1 << number != 0)
    }

    /// How far a life applied.
    #[must_use]
    pub fn applied_by(&self, life: Member) -> u64 {
        let number = self.lives.iter().position(|known| *known == life);
        number.map_or(0, |number| self.applied[number])
    }

    /// When a body was last submitted by a client; none if never.
    #[must_use]
    pub fn submitted_at(&self, body: u64) -> Option<Duration> {
        self.submitted.get(&body).copied()
    }

    pub(crate) fn submitted(&mut self, now: Duration, body: &[u8]) {
        self.submitted.insert(digest(body), now);
    }

    pub(crate) fn begins_anew(&mut self, place: usize) {
        self.mirrors[place] = Mirror::new();
    }

    /// Takes over what a node's step changed.
    pub(crate) fn follow(
        &mut self,
        now: Duration,
        place: usize,
        replica: &Replica,
        core: &Core,
    ) -> News {
        let mirror = &mut self.mirrors[place];
        if mirror.life.is_none() {
            mirror.life = Some(core.me());
            mirror.number = self.lives.len();
            self.lives.push(core.me());
            self.applied.push(0);
        }
        let (from, cut) = mirror.follow_log(core);
        let status = replica.gauges();
        let role = Role::ALL[usize::try_from(status.role).expect("a place in a list")];
        let news = News {
            from,
            last: mirror.last(),
            cut,
            commit_before: mirror.commit,
            term_before: mirror.term,
            elected: role == Role::Leader && (mirror.role != role || mirror.term != status.term),
        };
        (mirror.term, mirror.role) = (status.term, role);
        (mirror.commit, mirror.applied) = (status.commit, status.applied);
        self.applied[mirror.number] = status.applied;
        self.note_leader(place, &news);
        for index in from..=news.last {
            self.note(now, place, index, replica);
        }
        let mirror = &self.mirrors[place];
        for index in self.committed.len() as u64 + 1..=mirror.commit.min(mirror.last()) {
            self.committed.push(mirror.term_at(index));
        }
        news
    }

    fn note_leader(&mut self, place: usize, news: &News) {
        let mirror = &self.mirrors[place];
        if mirror.role != Role::Leader {
            return;
        }
        let led = self.leaders.entry(mirror.term).or_insert_with(|| {
            // The no-op is the first of its own.
            let own = |stood: &&Stood| stood.term.to_wire() < mirror.term;
            let found = mirror.log.iter().take_while(own).map(|stood| stood.term.to_wire());
            Led { number: mirror.number, found: found.collect(), last: news.last }
        });
        if led.number == mirror.number {
            led.last = led.last.max(news.last);
        }
    }

    fn note(&mut self, now: Duration, place: usize, index: u64, replica: &Replica) {
        let mirror = &self.mirrors[place];
        let Some(stood) = mirror.at(index) else { return };
        if self.facts.len() < mirror.log.len() {
            self.facts.resize_with(mirror.log.len(), Vec::new);
        }
        let facts = &mut self.facts[place_of(index)];
        let term = stood.term.to_wire();
        let known = facts.iter().position(|fact| fact.term == term);
        let at = known.unwrap_or_else(|| {
            facts.push(Fact {
                term,
                payload: stood.payload,
                previous_term: mirror.term_at(index - 1),
                first_at: now,
                body: None,
                holders: 0,
            });
            facts.len() - 1
        });
        facts[at].holders |= 1 << mirror.number;
        if facts[at].body.is_none() {
            facts[at].body = replica.body_at(LogIndex::from_wire(index)).map(digest);
        }
    }
}
