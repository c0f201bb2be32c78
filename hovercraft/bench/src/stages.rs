//! Which stage of an operation a source file works for.
//!
//! | stage | what it is |
//! |---|---|
//! | receive | taking packets, telling clients' from nodes', the turn itself |
//! | parse | headers, messages, MAC and hash of bodies |
//! | store | reassembly, buffers, the unordered set, bodies of the log |
//! | order | log time, replier, windows at ordering |
//! | append | the log, appends written |
//! | acknowledge | acknowledgements, progress of followers, elections |
//! | commit | commit index, what is decided at apply (HC7) |
//! | apply | hand-over, the service |
//! | reply | answers written, kept and paced |
//! | send | the outbox, copies on their way out |
//!
//! On DPDK, before the first and after the last of them:
//!
//! | stage | what it is |
//! |---|---|
//! | poll | the receive queue, the port's gate, the clock |
//! | net | the network stack, on the way in |
//! | checksum | sums, of what comes and of what leaves |
//! | frame | headers, with the look for the next hop |
//! | buffers | packet buffers: taken, filled, let go |
//! | transmit | one thread's way out |
//! | driver | DPDK itself: libraries, and what they have inlined into our shim |

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use measure::callgrind::DPDK;

use crate::world::Wire;

/// First match counts; paths in the workspace.
const FILES: [(&str, &str); 65] = [
    ("hovercraft/src/lib.rs", "receive"),
    ("hovercraft/bench/src/tape.rs", "send"),
    ("hovercraft/bench/", "receive"),
    ("hovercraft/src/outbox.rs", "send"),
    ("hovercraft/src/replica/client.rs", "receive"),
    ("hovercraft/src/replica/mod.rs", "receive"),
    ("hovercraft/src/replica/nodes.rs", "acknowledge"),
    ("hovercraft/src/replica/ordering.rs", "order"),
    ("hovercraft/src/replica/alone.rs", "order"),
    ("hovercraft/src/replica/commit.rs", "commit"),
    ("hovercraft/src/replica/core_outputs.rs", "append"),
    ("hovercraft/src/replica/", "acknowledge"),
    ("hovercraft/src/replier.rs", "order"),
    ("hovercraft/src/log_time.rs", "order"),
    ("hovercraft/src/limits.rs", "order"),
    ("hovercraft/src/entry.rs", "append"),
    ("hovercraft/src/log_meta.rs", "append"),
    ("hovercraft/src/wire/encode.rs", "append"),
    ("hovercraft/src/wire/entries.rs", "append"),
    ("hovercraft/src/wire/", "parse"),
    ("hovercraft/src/store", "store"),
    ("hovercraft/src/assembly.rs", "store"),
    ("hovercraft/src/forwards.rs", "store"),
    ("hovercraft/src/recovery.rs", "store"),
    ("hovercraft/src/parked.rs", "store"),
    ("hovercraft/src/table", "commit"),
    ("hovercraft/src/audit.rs", "commit"),
    ("hovercraft/src/trace", "apply"),
    ("hovercraft/src/spans.rs", "apply"),
    ("hovercraft/src/application", "apply"),
    ("hovercraft/src/command.rs", "apply"),
    ("hovercraft/src/birth", "acknowledge"),
    ("raft-core/src/commit.rs", "commit"),
    ("raft-core/src/configurations.rs", "commit"),
    ("raft-core/src/replicate.rs", "append"),
    ("raft-core/src/log", "append"),
    ("raft-core/src/entry.rs", "append"),
    ("raft-core/src/ids.rs", "append"),
    ("raft-core/src/output.rs", "append"),
    ("raft-core/src/durability.rs", "append"),
    ("raft-core/src/raft.rs", "append"),
    ("raft-core/", "acknowledge"),
    ("r2p2/src/answer.rs", "reply"),
    ("r2p2/src/pacing.rs", "reply"),
    ("r2p2/src/opening.rs", "reply"),
    ("r2p2/src/fragment.rs", "reply"),
    ("r2p2/src/buffer.rs", "store"),
    ("r2p2/src/reassembly", "store"),
    ("r2p2/src/table.rs", "store"),
    ("r2p2/src/random.rs", "store"),
    ("r2p2/src/service.rs", "apply"),
    ("r2p2/", "parse"),
    ("apps/", "apply"),
    ("dataplane/src/dpdk/queue/transmit.rs", "transmit"),
    ("dataplane/src/dpdk/packet/", "buffers"),
    ("dataplane/src/dpdk/", "poll"),
    ("dataplane/src/capture", "transmit"),
    ("dataplane/src/net/checksum.rs", "checksum"),
    ("dataplane/src/net/addressing.rs", "frame"),
    ("dataplane/src/net/held.rs", "frame"),
    ("dataplane/src/net/table.rs", "frame"),
    ("dataplane/src/net/", "net"),
    ("dataplane/src/", "poll"),
    ("dataplane/dpdk-sys/", "driver"),
    (DPDK, "driver"),
];

/// In the order of an operation.
const STAGES: [&str; 10] = [
    "receive",
    "parse",
    "store",
    "order",
    "append",
    "acknowledge",
    "commit",
    "apply",
    "reply",
    "send",
];

/// What [`STAGES`] are followed by on DPDK.
const PORT_STAGES: [&str; 7] =
    ["poll", "net", "checksum", "frame", "buffers", "transmit", "driver"];

/// The stages of an operation on such a wire.
pub(crate) fn of(wire: Wire) -> impl Iterator<Item = &'static str> {
    let more: &[_] = match wire {
        Wire::Memory => &[],
        Wire::Inproc => &PORT_STAGES,
    };
    STAGES.iter().chain(more).copied()
}

/// Adds the files' instructions up by stage; libc's start-up and the like count as "receive".
///
/// # Errors
///
/// A file that has no stage.
pub(crate) fn split(
    wire: Wire,
    sources: &BTreeMap<String, u64>,
) -> Result<BTreeMap<&'static str, u64>> {
    let mut stages: BTreeMap<&str, u64> = of(wire).map(|stage| (stage, 0)).collect();
    for (file, cost) in sources {
        let found = FILES.iter().find(|(prefix, _)| file.starts_with(prefix));
        let stage = match found {
            Some((_, stage)) => stage,
            None if file.is_empty() => "receive",
            None => bail!("{file} belongs to no stage: add it to hovercraft/bench/src/stages.rs"),
        };
        let Some(sum) = stages.get_mut(stage) else { bail!("{file}: not on this wire") };
        *sum += cost;
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_hot_path_has_a_stage_and_every_stage_a_file() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        for (prefix, stage) in FILES {
            assert!(of(Wire::Inproc).any(|known| known == stage), "{stage}");
            if prefix == DPDK {
                continue;
            }
            let (folder, name) = prefix.rsplit_once('/').unwrap();
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            let mut names = entries.map(|entry| entry.unwrap().file_name());
            let found = names.any(|found| found.to_string_lossy().starts_with(name));
            assert!(found || prefix.contains("trace"), "{prefix}: no such file");
        }
        for stage in of(Wire::Inproc) {
            assert!(FILES.iter().any(|(_, of)| *of == stage), "{stage}");
        }
    }

    #[test]
    fn costs_add_up_and_a_stranger_is_named() {
        let sources = |files: &[(&str, u64)]| {
            files.iter().map(|(file, cost)| ((*file).to_owned(), *cost)).collect()
        };
        let stages = split(
            Wire::Memory,
            &sources(&[("", 1), ("raft-core/src/log.rs", 2), ("raft-core/src/log/x.rs", 3)]),
        );
        let stages = stages.unwrap();
        assert_eq!((stages["receive"], stages["append"]), (1, 5));
        assert!(
            split(Wire::Memory, &sources(&[("lab/x.rs", 1)]))
                .unwrap_err()
                .to_string()
                .contains("lab/x.rs")
        );
    }
}
