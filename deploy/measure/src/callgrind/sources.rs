//! Whose source lines the instructions are of.
//!
//! The compiler inlines, so functions say little; but every cost has a line, and its file. Lines of the workspace count for
//! their file. Lines of others (the standard library, crates, libc) count for who needed them: inlined ones for the files
//! of the function in proportion, whole functions for their callers. DPDK's are told apart, as [`DPDK`].

use std::collections::BTreeMap;

use super::DPDK;

/// What is known of one function.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Own code, by number of the file.
    pub(super) files: BTreeMap<u64, u64>,
    /// What it called: function, instructions included.
    pub(super) calls: Vec<(u64, u64)>,
    /// Where it was defined.
    pub(super) home: u64,
}

/// Instructions by file of the workspace. `names` are the files'; what nobody of the workspace asked for is under "".
pub(super) fn by_source(
    functions: &BTreeMap<u64, Share>,
    names: &BTreeMap<u64, String>,
) -> BTreeMap<String, u64> {
    let graph = Graph { names, foreign: foreign_shares(functions, names) };
    let (mut sum, mut told) = (BTreeMap::new(), 0);
    for share in functions.values().filter(|share| is_ours(share, names)) {
        for (file, cost) in graph.shares_of(share) {
            told += cost;
            *sum.entry(file).or_default() += cost;
        }
    }
    let all: u64 = functions.values().flat_map(|share| share.files.values()).sum();
    sum.insert(String::new(), all.saturating_sub(told));
    sum
}

struct Graph<'a> {
    names: &'a BTreeMap<u64, String>,
    /// Of each foreign function: which part of what it includes is foreign code.
    foreign: BTreeMap<u64, f64>,
}

impl Graph<'_> {
    /// A function's own code and the foreign code that it called, by file of ours.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts far below 2^52, and shares of them"
    )]
    fn shares_of(&self, share: &Share) -> Vec<(String, u64)> {
        let ours = |file: &u64| our_file(self.names, *file);
        let mut own: BTreeMap<&str, u64> = BTreeMap::new();
        for (file, cost) in &share.files {
            if let Some(name) = ours(file) {
                *own.entry(name).or_default() += cost;
            }
        }
        let inlined = share.files.iter().filter(|(file, _)| ours(file).is_none());
        let inlined: u64 = inlined.map(|(_, cost)| cost).sum();
        let called = share
            .calls
            .iter()
            .filter_map(|(callee, cost)| self.foreign.get(callee).map(|part| *cost as f64 * part));
        let foreign = inlined as f64 + called.sum::<f64>();
        let all: u64 = own.values().sum();
        if all == 0 {
            let home = our_file(self.names, share.home).unwrap_or_default();
            return vec![(home.to_owned(), foreign as u64)];
        }
        let grown = |cost: u64| cost + (foreign * cost as f64 / all as f64) as u64;
        own.into_iter().map(|(name, cost)| (name.to_owned(), grown(cost))).collect()
    }
}

/// Whether a function has lines of the workspace.
fn is_ours(share: &Share, names: &BTreeMap<u64, String>) -> bool {
    share.files.keys().chain([&share.home]).any(|file| our_file(names, *file).is_some())
}

/// Files of the workspace are named relative to it, or stand in it; those of others are absolute, or under `./`.
fn our_file(names: &BTreeMap<u64, String>, file: u64) -> Option<&str> {
    let name = names.get(&file)?;
    if name == DPDK || name.contains("/include/dpdk/") || name.contains("/dpdk-sys/shim.") {
        return Some(DPDK);
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let root = root.strip_suffix("deploy/measure/../../").unwrap_or(root);
    let relative = name.strip_prefix(root).unwrap_or(name);
    let foreign = relative.starts_with(['/', '.', '?', '<']) || !relative.ends_with(".rs");
    (!foreign).then_some(relative)
}

/// Some passes over the calls: foreign functions call each other a few levels deep.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn foreign_shares(
    functions: &BTreeMap<u64, Share>,
    names: &BTreeMap<u64, String>,
) -> BTreeMap<u64, f64> {
    const PASSES: usize = 16;
    let mut parts: BTreeMap<u64, f64> = functions
        .iter()
        .filter(|(_, share)| !is_ours(share, names))
        .map(|(id, _)| (*id, 1.0))
        .collect();
    for _ in 0..PASSES {
        let mut next = parts.clone();
        for (id, part) in &mut next {
            let share = &functions[id];
            let own: u64 = share.files.values().sum();
            let called: u64 = share.calls.iter().map(|(_, cost)| cost).sum();
            let foreign = share
                .calls
                .iter()
                .filter_map(|(callee, cost)| parts.get(callee).map(|part| *cost as f64 * part));
            let inclusive = (own + called) as f64;
            if inclusive > 0.0 {
                *part = (own as f64 + foreign.sum::<f64>()) / inclusive;
            }
        }
        parts = next;
    }
    parts
}
