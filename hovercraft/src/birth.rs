//! Who this node is, and which cluster it belongs to (design HC11b, c).
//!
//! A node without memory asks every member of its file who it is. It reports the list of lives that it has heard of, and is
//! *born* with the others when all report the same list; or it *adopts* the cluster of a node that is in one already and whose
//! configuration names this very life; or it stays *silent*, when that configuration names another life of its id.
//!
//! Feed [`Birth::tick`], [`Birth::on_question`] and [`Birth::on_report`], drain [`Birth::poll_output`]. Once it said
//! [`Output::Born`] or [`Output::Adopted`] it is done; from then on [`answer`] answers questions from what the node remembers.
//!
//! Invariants:
//! - B1. A report counts only with the nonce of a question of ours asked within the last [`Settings::election_timeout_max`].
//! - B2. The lives in the list never become older, so none is reported after a later one.
//! - B3. By birth a node adopts only the list that it reports now, when every member has reported the same to it, and no sooner
//!   than three of the largest election timeouts after it began to ask. For as long after it heard a node with memory of a
//!   cluster that has its id, it takes part in no birth, its own or another's.
//! - B4. A node adopts one cluster in its life, and reports no list afterwards.
//!
//! B2 to B4 make births exclude each other. Let life a adopt list A by birth, life b list B, b be in A and a in B. Then b reported A
//! before it adopted B, so A is nowhere younger than B; and a reported B before it adopted A: so A = B. That reports count for one
//! timeout only, and birth waits for three, also keeps a node from being born into a list whose other members were, meanwhile,
//! told of an older cluster by answers on their way.

use core::hash::Hasher;
use std::collections::VecDeque;

use r2p2::Instant;
use raft_core::entry::Configuration;
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, NodeSet};
use siphasher::sip::SipHasher24;

use crate::wire::{GroupConfig, Head, Report, configuration};

mod lives;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use lives::LifeList;

use lives::Learned;

/// What a node knows of itself and its file when it starts without memory.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node, in its present life. An incarnation is never zero.
    pub me: Member,
    /// The members of the file, this node among them.
    pub members: NodeSet,
    /// The longest that any member waits before it stands for election.
    pub election_timeout_max: Instant,
    /// For nonces: random, another one in every life.
    pub seed: u64,
}

/// What to do next, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Ask a node who it is.
    Question {
        /// Whom.
        to: NodeId,
        /// To be repeated in the report.
        nonce: u64,
    },
    /// Answer a question: a report without memory, under cluster id 0.
    Report {
        /// Who asked.
        to: NodeId,
        /// The question's.
        nonce: u64,
        /// What this node reports now.
        lives: LifeList,
    },
    /// A cluster is born, empty. Say so aloud: whatever there was before is lost.
    Born {
        /// Its id.
        cluster_id: u64,
        /// Its first members; voters, and nothing else.
        members: LifeList,
    },
    /// This life belongs to a cluster that lives already.
    Adopted {
        /// Its id.
        cluster_id: u64,
        /// A configuration of it, which names this life.
        configuration: Box<Configuration<GroupConfig>>,
    },
    /// A cluster has this node's id and knows nothing of this life. The node neither votes nor acknowledges, and says so.
    Silent {
        /// The cluster's id.
        cluster_id: u64,
    },
}

/// Where this node stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Standing {
    /// It asks.
    Asking,
    /// A cluster has its id and does not name its life.
    Silent {
        /// That cluster.
        cluster_id: u64,
    },
    /// It belongs to a cluster.
    Member {
        /// That cluster.
        cluster_id: u64,
    },
}

/// A node without memory on its way into a cluster.
#[derive(Clone, Debug)]
pub struct Birth {
    settings: Settings,
    standing: Standing,
    /// What is reported: every member, unknown lives as zero (B2).
    list: LifeList,
    /// For each place of the list, when the question was asked to which this member reported the list as it is now.
    agreed: [Option<Instant>; NodeId::MAX_NODES as usize],
    /// The questions that may still be answered, newest last (B1).
    questions: VecDeque<(u64, Instant)>,
    next_round: Instant,
    /// Since when no node with memory was heard.
    quiet_since: Instant,
    random: u64,
    older_lives: u64,
    outputs: VecDeque<Output>,
}

/// [`Birth`] as a model checker sees it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BirthState {
    standing: Standing,
    list: Vec<Member>,
    /// For each member its place in the order of agreeing.
    agreed: Vec<Option<usize>>,
    asked: bool,
}

/// Questions within one election timeout.
const ROUNDS: u32 = 4;

/// Largest election timeouts to wait before a birth.
const WAIT: u32 = 3;

impl Birth {
    /// Begins to ask at once.
    ///
    /// # Panics
    ///
    /// When the members do not include this node, or its incarnation is zero.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let me = settings.me;
        assert!(settings.members.contains(me.id), "{} is not among the members", me.id);
        assert_ne!(me.incarnation, Incarnation::ZERO, "zero is no life");
        let mut list = LifeList::unknown(settings.members);
        list.learn(me);
        Self {
            standing: Standing::Asking,
            list,
            agreed: [None; NodeId::MAX_NODES as usize],
            questions: VecDeque::with_capacity(2 * ROUNDS as usize),
            next_round: now,
            quiet_since: now,
            random: settings.seed,
            older_lives: 0,
            outputs: VecDeque::new(),
            settings,
        }
    }

    /// Time has passed. Harmless when nothing is due.
    pub fn tick(&mut self, now: Instant) {
        if matches!(self.standing, Standing::Member { .. }) {
            return;
        }
        if self.is_quiet(now) {
            self.standing = Standing::Asking;
        }
        if now >= self.next_round {
            self.ask_all(now);
        }
        self.try_birth(now);
    }

    /// A node asks who this one is. While silent it reports itself alone, so that nobody is born with it.
    pub fn on_question(&mut self, from: NodeId, nonce: u64) {
        let lives = match self.standing {
            Standing::Asking => self.list,
            Standing::Silent { .. } => self.list.only(self.settings.me),
            Standing::Member { .. } => return,
        };
        self.outputs.push_back(Output::Report { to: from, nonce, lives });
    }

    /// A report came; `head` is its packet's.
    pub fn on_report(&mut self, now: Instant, head: &Head, report: &Report<'_>) {
        let Some(asked_at) = self.asked_at(now, report.nonce) else { return };
        if matches!(self.standing, Standing::Member { .. }) || head.sender.id == self.settings.me.id
        {
            return;
        }
        if report.memory {
            self.on_memory(now, head, report);
        } else if self.settings.members.contains(head.sender.id) {
            self.on_life(asked_at, head.sender, report);
            self.try_birth(now);
        }
    }

    /// The next thing to do, oldest first.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::tick`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match self.standing {
            Standing::Member { .. } => Instant::MAX,
            _ if self.is_unanimous(self.next_round) => {
                self.next_round.min(self.quiet_since + self.wait())
            }
            _ => self.next_round,
        }
    }

    /// Where this node stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What it reports now.
    #[must_use]
    pub fn list(&self) -> LifeList {
        self.list
    }

    /// Reports of a life older than one already reported: a wall clock went back. Such a node takes part in no birth with this one.
    #[must_use]
    pub fn older_lives(&self) -> u64 {
        self.older_lives
    }

    /// What decides of it: where it stands, what it reports, who has reported the same, and who of them answered earlier.
    pub(crate) fn protocol_state(&self) -> BirthState {
        let agreed = self.agreed.iter().map(|at| {
            at.map(|at| self.agreed.iter().flatten().filter(|other| **other < at).count())
        });
        BirthState {
            standing: self.standing,
            list: self.list.iter().collect(),
            agreed: agreed.collect(),
            asked: !self.questions.is_empty(),
        }
    }

    fn on_memory(&mut self, now: Instant, head: &Head, report: &Report<'_>) {
        self.quiet_since = now;
        if let Some(place) = self.list.place(head.sender.id) {
            self.agreed[place] = None;
        }
        let cluster_id = head.cluster_id;
        let decoded = report.configuration.map(configuration::decode);
        if let Some(Ok(configuration)) = decoded
            && admits(&configuration, cluster_id, self.settings.me, head.sender)
        {
            self.standing = Standing::Member { cluster_id };
            let configuration = Box::new(configuration);
            self.outputs.push_back(Output::Adopted { cluster_id, configuration });
        } else if self.standing != (Standing::Silent { cluster_id }) {
            self.standing = Standing::Silent { cluster_id };
            self.outputs.push_back(Output::Silent { cluster_id });
        }
    }

    fn on_life(&mut self, asked_at: Instant, life: Member, report: &Report<'_>) {
        match self.list.learn(life) {
            Learned::Earlier => {
                self.older_lives += 1;
                return;
            }
            // Another list: nobody has reported this one yet.
            Learned::Later => self.agreed = [None; NodeId::MAX_NODES as usize],
            Learned::Known => {}
        }
        if let Some(place) = self.list.place(life.id) {
            let same = report.lives.iter().eq(self.list.iter());
            let earlier = self.agreed[place].filter(|_| same);
            self.agreed[place] = same.then(|| earlier.map_or(asked_at, |at| at.max(asked_at)));
        }
    }

    /// B3.
    fn try_birth(&mut self, now: Instant) {
        if !self.is_quiet(now) || !self.is_unanimous(now) {
            return;
        }
        let cluster_id = cluster_id_of(&self.list);
        self.standing = Standing::Member { cluster_id };
        self.outputs.push_back(Output::Born { cluster_id, members: self.list });
    }

    fn is_quiet(&self, now: Instant) -> bool {
        now.saturating_sub(self.quiet_since) >= self.wait()
    }

    /// Whether every other member reported our list in answer to a question that is fresh at `now`.
    fn is_unanimous(&self, now: Instant) -> bool {
        let limit = self.settings.election_timeout_max;
        self.list.iter().zip(self.agreed).all(|(member, agreed)| {
            member.id == self.settings.me.id
                || agreed.is_some_and(|asked_at| now.saturating_sub(asked_at) <= limit)
        })
    }

    fn ask_all(&mut self, now: Instant) {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let nonce = scramble(self.random);
        let limit = self.settings.election_timeout_max;
        self.questions.retain(|&(_, asked_at)| now.saturating_sub(asked_at) <= limit);
        self.questions.push_back((nonce, now));
        for to in self.settings.members.iter().filter(|&to| to != self.settings.me.id) {
            self.outputs.push_back(Output::Question { to, nonce });
        }
        let slowly = matches!(self.standing, Standing::Silent { .. });
        self.next_round = now + if slowly { limit } else { limit / ROUNDS };
    }

    /// B1.
    fn asked_at(&self, now: Instant, nonce: u64) -> Option<Instant> {
        let limit = self.settings.election_timeout_max;
        let question = self.questions.iter().find(|&&(asked, _)| asked == nonce);
        question.map(|&(_, asked_at)| asked_at).filter(|&at| now.saturating_sub(at) <= limit)
    }

    fn wait(&self) -> Instant {
        self.settings.election_timeout_max * WAIT
    }
}

/// How a node that belongs to a cluster answers a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Whether the report is one with memory: the cluster has the asker's id.
    pub memory: bool,
    /// Whether it carries the configuration: it names the asker's life.
    pub configuration: bool,
}

/// What a node with memory says to `asker`; `configuration` is the newest committed one, or the birth list. Its list of lives is
/// itself alone.
#[must_use]
pub fn answer<C>(configuration: &Configuration<C>, asker: Member) -> Answer {
    Answer {
        memory: configuration.everybody().contains(asker.id),
        configuration: configuration.names(asker),
    }
}

/// The id of the cluster that is born with these members, ascending by id; never zero (HC11c).
#[must_use]
pub fn cluster_id_of(members: &[Member]) -> u64 {
    assert!(members.is_sorted_by(|a, b| a.id < b.id), "members ascend by id");
    let mut hasher = SipHasher24::new_with_key(b"hovercraft birth");
    for member in members {
        hasher.write(&[member.id.number()]);
        hasher.write(&member.incarnation.to_wire().to_be_bytes());
    }
    hasher.finish().max(1)
}

/// Whether `sender` may bring `me` into its cluster by this configuration.
fn admits(
    configuration: &Configuration<GroupConfig>,
    cluster_id: u64,
    me: Member,
    sender: Member,
) -> bool {
    let genuine = match configuration.epoch {
        LogIndex::ZERO => cluster_id_of(&configuration.voters) == cluster_id,
        _ => cluster_id != 0,
    };
    genuine && configuration.names(me) && configuration.names(sender)
}

/// The finalizer of splitmix64.
fn scramble(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
