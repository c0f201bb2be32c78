//! The algorithms of ours in which threads share memory without a lock, each in a small scene that loom plays in every order of
//! steps, and with every value that the memory model lets a load see.
//!
//! The very files are included from the crates where they stand. They take their atomics from `crate::sync`, which is `core`'s there
//! and loom's here; so nothing is compiled twice for them, and no flag is needed:
//!
//! ```sh
//! cargo xtask loom        # or: cargo test -p hovercraft-loom
//! ```
//!
//! | algorithm | file | promise |
//! |---|---|---|
//! | neighbours' slots (a seqlock) | `dataplane/src/net/table.rs` | A1: never half of two |
//! | neighbours asked for | the same | a question is seen, now or at the next look |
//! | trace ring (a seqlock of 64 bytes) | `hovercraft/src/trace.rs` | T1: never half of two |
//! | hand-over: what the application half has done | `hovercraft/node/src/link.rs` | who sees commands taken sees what became of them |
//! | mailboxes | the same | a question is never left lying |
//! | waking a sleeper | `dataplane/src/udp/waker/state.rs` | W1: no wake is lost |
//!
//! Not here: the ring of commands and the channels are other people's (`rtrb`, `crossbeam`); boards and histograms are single numbers,
//! of which nothing is promised together; the gate of a DPDK port rests on sequential consistency, which loom takes for less and
//! would refute wrongly; the recycling of buffers is `Arc`'s. These run under the thread sanitizer (`deploy/sanitize.sh`).
#![forbid(unsafe_code)]

pub mod scenes;
mod spans;
mod sync;

#[allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "scenes use a part, and nobody else any"
)]
mod net;
#[allow(dead_code, unreachable_pub, reason = "scenes use a part, and nobody else any")]
mod node;
#[allow(dead_code, unreachable_pub, reason = "scenes use a part, and nobody else any")]
#[path = "../../src/trace.rs"]
mod trace;
mod waker;
