//! Choices of the configuration as logs and status print them.

use hovercraft_config::{Idle, Mode, Threads};

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Unreplicated => "unreplicated",
        Mode::Raft => "raft",
        Mode::Hovercraft => "hovercraft",
    }
}

pub(crate) fn threads(threads: Threads) -> &'static str {
    match threads {
        Threads::Split => "split",
        Threads::Inline => "inline",
    }
}

pub(crate) fn idle(idle: Idle) -> &'static str {
    match idle {
        Idle::Spin => "spin",
        Idle::Yield => "yield",
        Idle::Sleep => "sleep",
        Idle::Auto => "auto",
    }
}
