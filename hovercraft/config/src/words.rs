//! Words of the file and what they mean.

use crate::cluster::{Durability, Idle, Mode, ReplierPolicy, Threads};
use crate::settings::Name;

/// A choice: its words, their meanings, and the words as an error lists them.
pub(crate) struct Words<T: 'static> {
    pub(crate) words: &'static [(&'static str, T)],
    pub(crate) choices: &'static str,
}

impl<T: Copy + PartialEq> Words<T> {
    /// The word for `value`.
    pub(crate) fn name(&self, value: T) -> Name {
        let word = self.words.iter().find(|&&(_, meaning)| meaning == value);
        word.map_or_else(Name::default, |&(word, _)| word.into())
    }
}

pub(crate) const MODES: Words<Mode> = Words {
    words: &[
        ("unreplicated", Mode::Unreplicated),
        ("raft", Mode::Raft),
        ("hovercraft", Mode::Hovercraft),
    ],
    choices: "unreplicated, raft or hovercraft",
};
pub(crate) const REPLIERS: Words<ReplierPolicy> = Words {
    words: &[
        ("jbsq", ReplierPolicy::Jbsq),
        ("random", ReplierPolicy::Random),
        ("leader", ReplierPolicy::Leader),
    ],
    choices: "jbsq, random or leader",
};
pub(crate) const DURABILITIES: Words<Durability> =
    Words { words: &[("memory", Durability::Memory)], choices: "memory" };
pub(crate) const THREADS: Words<Threads> = Words {
    words: &[("split", Threads::Split), ("inline", Threads::Inline)],
    choices: "split or inline",
};
pub(crate) const IDLES: Words<Idle> = Words {
    words: &[
        ("spin", Idle::Spin),
        ("yield", Idle::Yield),
        ("sleep", Idle::Sleep),
        ("auto", Idle::Auto),
    ],
    choices: "spin, yield, sleep or auto",
};
