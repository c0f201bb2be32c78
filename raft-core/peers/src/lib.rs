//! The work by which consensus cores are compared, and, with feature `peers`, other people's cores doing it.
//!
//! Three nodes in one thread commit commands of 24 bytes in lock step: the leader takes the answers to the batch before,
//! applies what they commit, appends a batch and says so to both followers; each of them appends it, applies what the
//! leader says is committed, and answers. Nobody waits and nothing is lost, messages are values that change hands, storage
//! is memory. So a batch costs two messages to followers and two answers, unless a core wants more. Every node applies
//! every command in order, and what all have applied is compared with what was appended: a wrong sum is a panic.
#![forbid(unsafe_code)]

#[cfg(feature = "peers")]
pub mod omnipaxos;
#[cfg(feature = "peers")]
pub mod raft_rs;

/// What is committed: 24 bytes.
pub type Command = [u64; 3];

/// Members of the cluster; the first leads.
pub const NODES: usize = 3;

/// Entries after which a core that wants to be told lets go of what it no longer needs.
pub const COMPACT_EVERY: u64 = 1_024;

/// What a node has applied, in order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Commands.
    pub count: u64,
    /// A sum that depends on all of them and on their order.
    pub sum: u64,
}

impl Applied {
    /// One more command.
    pub fn apply(&mut self, command: &Command) {
        self.count += 1;
        let [first, second, third] = *command;
        self.sum = self.sum.wrapping_mul(31).wrapping_add(first ^ second ^ third);
    }
}

/// A cluster that does the work.
pub trait Core {
    /// As tables name it.
    const NAME: &'static str;

    /// Three nodes, of which the first has been elected, and that append `batch` commands at a time.
    fn new(batch: usize) -> Self;

    /// A turn of the leader: answers that wait for it, what they commit, the next batch, messages to the followers. Never
    /// inlined, so that its instructions can be told from those of the followers.
    fn lead(&mut self, commands: &[Command]);

    /// A turn of a follower, 1 or 2: messages that wait for it, what they commit, its answers.
    fn follow(&mut self, node: usize);

    /// Has the leader tell the followers of the last commit, when it does not do so by itself.
    fn tell_of_commit(&mut self) {}

    /// What the nodes have applied.
    fn applied(&self) -> [Applied; NODES];
}

/// A cluster at work.
#[derive(Debug)]
pub struct Run<C> {
    core: C,
    commands: Vec<Command>,
    /// What every node has to have applied when all is quiet.
    wanted: Applied,
}

impl<C: Core> Run<C> {
    /// A cluster that has done `rounds` rounds of `batch` commands: its memory is taken, its caches are warm.
    #[must_use]
    pub fn warm(batch: usize, rounds: u64) -> Self {
        let commands = vec![Command::default(); batch];
        let mut run = Self { core: C::new(batch), commands, wanted: Applied::default() };
        run.rounds(rounds);
        run
    }

    /// The work that is measured: `rounds` batches. Never inlined: callgrind counts while this is on the stack.
    #[inline(never)]
    pub fn measured(&mut self, rounds: u64) {
        self.rounds(rounds);
    }

    fn rounds(&mut self, rounds: u64) {
        for _ in 0..rounds {
            for command in &mut self.commands {
                let number = self.wanted.count;
                *command = [number, number << 7, !number];
                self.wanted.apply(command);
            }
            self.core.lead(&self.commands);
            self.core.follow(1);
            self.core.follow(2);
        }
    }

    /// Lets what is under way arrive and compares what the nodes have applied.
    ///
    /// # Panics
    ///
    /// When a node has applied anything but what was appended, in that order.
    pub fn check(mut self) {
        for _ in 0..2 {
            self.core.lead(&[]);
            self.core.tell_of_commit();
            self.core.follow(1);
            self.core.follow(2);
        }
        assert_eq!(self.core.applied(), [self.wanted; NODES], "{} applied something else", C::NAME);
    }
}
