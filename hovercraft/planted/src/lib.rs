//! Planted bugs: a test build can be told at run time to break one rule, so that the simulator and the model can be seen to find it.
//!
//! Protocol code asks [`is`] at the place where a rule is kept; a test driver chooses with `plant`. Without the feature `on`, which
//! no program for users has, the question is a constant and leaves no code. One bug is active in a process at a time; the checks do
//! not know which.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "on")]
use core::sync::atomic::{AtomicU8, Ordering};

macro_rules! plants {
    ($($name:ident $text:literal $rules:literal $what:literal,)+) => {
        /// A bug that can be planted. `R` and `H` are the numbers of docs/faults.md, `HC` the rules of docs/design.md.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum Plant {
            $(#[doc = $what] $name,)+
        }

        impl Plant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What tools call it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The sentences that it breaks.
            #[must_use]
            pub const fn rules(self) -> &'static str {
                match self { $(Self::$name => $rules,)+ }
            }

            /// What the code does wrong with it.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }
        }
    };
}

plants! {
    R3 "R3" "HC2a" "a leader commits an entry of an older term by counting",
    R4 "R4" "HC2b" "a follower's commit index follows the leader's word as far as its own log goes",
    R5 "R5" "HC2b" "the commit index follows the leader's last word, down as well",
    R6 "R6" "HC1b" "a follower's match index follows its last acknowledgement, down as well",
    R8 "R8" "HC1b, Raft 5.3" "an append cuts off what follows it, whether it conflicts or not",
    R9 "R9" "Raft 5.2" "a vote of any term counts",
    R25 "R25" "Raft 9.6" "a granted pre-vote counts as a vote",
    R29 "R29" "HC1b" "an acknowledgement of an older term counts",
    R32 "R32" "HC7a, HC7b" "a repetition of an applied write is executed",
    H2 "H2" "HC1a" "an append that waits for a body is acknowledged to its end",
    H6 "H6" "HC8" "a change of role empties the unordered set",
    H7 "H7" "HC7c" "plain requests are told apart by their 16-bit id, whoever sent them",
    H8 "H8" "HC6b, HC6c" "an entry binds whatever body has its id",
    H9 "H9" "HC6c" "a missing body is asked for once, of the leader only",
    H10 "H10" "HC4" "repliers are chosen whatever they have to do, dead ones too",
    H11 "H11" "HC4" "at the start of a term all queues count as empty, and old work done makes them less than empty",
    H12 "H12" "HC3a, HC3b" "a leader answers what it found in its log, too, whoever is its replier",
    H13 "H13" "HC5" "a read is executed when it arrives at its replier, not at its place in the log",
    Hc1bLast "HC1b-last" "HC1b" "an append is acknowledged as far as the log goes, whoever's entries those are",
    Hc1dEvicted "HC1d-evicted" "HC1d" "a body is let go when its entry commits, applied or not",
    Hc2Half "HC2-half" "HC2, Raft 5.3" "half of the voters commit",
    Hc2bVerified "HC2b-verified" "HC2b" "a new term's verified index starts at the end of the log",
    Hc3cLate "HC3c-late" "HC3c" "plain clients are answered however late",
    Hc3dMixed "HC3d-mixed" "HC3d" "a client puts packets of two answers together",
    Hc4Bound "HC4-bound" "HC4" "a full queue gets new replies",
    Hc5Table "HC5-table" "HC5" "a repeated read is answered as if it were executed already, with what was read then",
    Hc6aFloor "HC6a-floor" "HC6a" "a session's floor is taken from the node's own copy of the packet",
    Hc7aOwn "HC7a-own" "HC7a" "what has expired is judged by what a node has heard, not by the entry's stamp",
    Hc7bFloor "HC7b-floor" "HC7b" "a session's floor follows its last entry, down as well",
    Hc7bUnknown "HC7b-unknown" "HC7b" "a request of an unknown session is executed",
    Hc7cWindow "HC7c-window" "HC7c" "the plain window is a thousandth of what is configured",
    Hc7dEarly "HC7d-early" "HC7d" "who repeats what is in the log and not applied is told no",
    Hc7eStamp "HC7e-stamp" "HC7e" "a new leader's stamps come from its own clock",
    Hc8Age "HC8-age" "HC8" "truncation makes a body young again",
    Hc12Parked "HC12-parked" "HC12" "appends are parked without limit",
}

/// Nothing is planted.
#[cfg(feature = "on")]
const NONE: u8 = u8::MAX;

#[cfg(feature = "on")]
static ACTIVE: AtomicU8 = AtomicU8::new(NONE);

/// Whether this bug is active.
#[cfg(feature = "on")]
#[inline]
#[must_use]
pub fn is(plant: Plant) -> bool {
    ACTIVE.load(Ordering::Relaxed) == plant as u8
}

/// Whether this bug is active: never, in this build.
#[cfg(not(feature = "on"))]
#[inline(always)]
#[must_use]
pub const fn is(_: Plant) -> bool {
    false
}

/// Makes one bug active in this process, or none. Before threads that ask are started.
#[cfg(feature = "on")]
pub fn plant(plant: Option<Plant>) {
    ACTIVE.store(plant.map_or(NONE, |plant| plant as u8), Ordering::Relaxed);
}

/// Whether bugs can be planted in this build.
pub const CAN_PLANT: bool = cfg!(feature = "on");
