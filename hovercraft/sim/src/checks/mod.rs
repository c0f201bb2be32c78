//! What must hold at every step, one file per property, each named by its rule.
//!
//! The checks see what an observer of all nodes sees: logs, messages, commands, answers. They know neither the faults to come nor
//! whether a bug is planted. [`book`] is what they share: a copy of every log, and for each entry who ever held it.

mod acknowledged;
pub mod book;
mod bounds;
mod commits;
mod completeness;
mod elections;
mod logs;
mod once;
mod progress;
mod queues;
mod reads;
mod repliers;
mod stamps;
mod states;
mod waiting;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use hovercraft::command::{AnswerTo, Command, Execute, Tell};
use hovercraft::replica::{Core, Replica, Role};
use hovercraft::wire::{MacKey, NodeMessage, parse};
use kv::Kv;
use raft_core::ids::NodeSet;

use crate::coverage::Coverage;
use crate::knobs::Knobs;
use crate::node::Node;
use book::{Book, Mirror, News};

/// Something that must never happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The rule, by its name in docs/design.md or in Raft.
    pub rule: &'static str,
    /// What was seen.
    pub text: String,
}

/// Nothing wrong, or what.
pub type Found = Result<(), Violation>;

impl Violation {
    /// A violation of `rule`.
    #[must_use]
    pub fn new(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

impl std::error::Error for Violation {}

/// `Ok` when it holds.
fn holds(rule: &'static str, holds: bool, text: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(Violation::new(rule, text())) }
}

/// One node after a step.
pub struct View<'a> {
    /// The true time.
    pub now: Duration,
    /// Which node, from 0.
    pub place: usize,
    /// Its network half.
    pub replica: &'a Replica,
    /// Its consensus core.
    pub core: &'a Core,
    /// What changed in its log.
    pub news: News,
    /// Whether it leads.
    pub leads: bool,
    /// What all nodes did before, this step included.
    pub book: &'a Book,
}

impl View<'_> {
    fn mirror(&self) -> &Mirror {
        &self.book.mirrors[self.place]
    }
}

/// A node that speaks.
pub struct Speaker<'a> {
    /// Which node, from 0.
    pub place: usize,
    /// What all nodes did.
    pub book: &'a Book,
}

impl Speaker<'_> {
    fn mirror(&self) -> &Mirror {
        &self.book.mirrors[self.place]
    }
}

/// A command that the application half did, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Log index; 0 = outside the log.
    pub index: u64,
    /// Executed by every node.
    pub write: bool,
    /// Executed here alone.
    pub read: bool,
    /// Whom it may answer unasked.
    pub unasked: Option<AnswerTo>,
}

impl Served {
    /// What can be told before it is done.
    #[must_use]
    pub fn before(command: &Command) -> Self {
        match command {
            Command::Execute(Execute { index, read, answer, .. }) => {
                Self { index: index.to_wire(), write: !read, read: *read, unasked: *answer }
            }
            Command::Tell(Tell { index, answer, .. }) => {
                Self { index: index.to_wire(), write: false, read: false, unasked: *answer }
            }
            _ => Self::default(),
        }
    }
}

/// A property. Each looks where it has something to see.
trait Property {
    /// A node has taken a step.
    fn look(&mut self, _view: &View<'_>) -> Found {
        Ok(())
    }

    /// A node sends a message to others.
    fn says(&mut self, _speaker: &Speaker<'_>, _to: NodeSet, _message: &NodeMessage<'_>) -> Found {
        Ok(())
    }

    /// A network half hands a command to its application half.
    fn hands(&mut self, _speaker: &Speaker<'_>, _command: &Command) -> Found {
        Ok(())
    }

    /// An application half did it; `answered` is whom it sent something.
    fn serves(&mut self, _seen: &Seen<'_>) -> Found {
        Ok(())
    }

    /// A node's life has ended, and another one begins.
    fn begins_anew(&mut self, _place: usize) {}
}

/// One command done.
struct Seen<'a> {
    now: Duration,
    place: usize,
    served: &'a Served,
    answered: Option<SocketAddr>,
    service: &'a Kv,
    book: &'a Book,
}

/// All of them.
pub struct Checks {
    book: Book,
    properties: Vec<Box<dyn Property>>,
    /// Which named states occurred how often.
    pub coverage: Coverage,
}

impl Checks {
    /// For a cluster as `knobs` say.
    #[must_use]
    pub fn new(knobs: &Knobs) -> Self {
        Self {
            book: Book::new(knobs),
            properties: vec![
                Box::<elections::Elections>::default(),
                Box::<logs::Logs>::default(),
                Box::<completeness::Completeness>::default(),
                Box::<acknowledged::Acknowledged>::default(),
                Box::<commits::Commits>::default(),
                Box::<progress::Matched>::default(),
                Box::<states::States>::default(),
                Box::<once::Once>::default(),
                Box::<repliers::Repliers>::default(),
                Box::<queues::Queues>::default(),
                Box::<reads::Reads>::default(),
                Box::<stamps::Stamps>::default(),
                Box::<waiting::Waiting>::default(),
                Box::<bounds::Bounds>::default(),
            ],
            coverage: Coverage::default(),
        }
    }

    /// Nothing is looked at from now on: somebody forges messages, which no key forbids.
    pub fn close_their_eyes(&mut self) {
        self.properties.clear();
    }

    /// What they share.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Looks at a node that has taken a step.
    ///
    /// # Errors
    ///
    /// What it finds.
    pub fn look(&mut self, now: Duration, node: &Node) -> Found {
        let place = usize::from(node.id.number() - 1);
        let Some(core) = node.replica.core() else { return Ok(()) };
        let news = self.book.follow(now, place, &node.replica, core);
        self.coverage.watch(&news, &self.book.mirrors[place]);
        let leads = self.book.mirrors[place].role == Role::Leader;
        let book = &self.book;
        let view = View { now, place, replica: &node.replica, core, news, leads, book };
        self.properties.iter_mut().try_for_each(|property| property.look(&view))
    }

    /// Looks at a message.
    ///
    /// # Errors
    ///
    /// What it finds; a message that its own kind cannot read, too.
    pub fn says(
        &mut self,
        _now: Duration,
        place: usize,
        to: NodeSet,
        packet: &[u8],
        mac: Option<&MacKey>,
    ) -> Found {
        let (_, message) = parse(packet, mac).map_err(|error| {
            Violation::new("wire", format!("n{} says what cannot be read: {error}", place + 1))
        })?;
        let speaker = Speaker { place, book: &self.book };
        self.properties.iter_mut().try_for_each(|property| property.says(&speaker, to, &message))
    }

    /// Looks at a command.
    ///
    /// # Errors
    ///
    /// What it finds.
    pub fn hands(&mut self, _now: Duration, place: usize, command: &Command) -> Found {
        self.coverage.hands(command);
        let speaker = Speaker { place, book: &self.book };
        self.properties.iter_mut().try_for_each(|property| property.hands(&speaker, command))
    }

    /// Looks at a command that was done.
    ///
    /// # Errors
    ///
    /// What it finds.
    pub fn serves(
        &mut self,
        now: Duration,
        place: usize,
        served: &Served,
        answered: Option<SocketAddr>,
        service: &Kv,
    ) -> Found {
        let seen = Seen { now, place, served, answered, service, book: &self.book };
        self.properties.iter_mut().try_for_each(|property| property.serves(&seen))
    }

    /// A client has submitted a body.
    pub fn submitted(&mut self, now: Duration, body: &[u8]) {
        self.book.submitted(now, body);
    }

    /// The node at `place` has begun a fresh life.
    pub fn begins_anew(&mut self, place: usize) {
        self.book.begins_anew(place);
        for property in &mut self.properties {
            property.begins_anew(place);
        }
    }
}
