//! Files of the kernel and the system below one directory (D1): `/`, or a machine that a test made up.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

use crate::threads;

/// Bytes of a file that are read, at most: no file of the kernel that is of interest is longer.
const READ_MAX: u64 = 1 << 20;

/// The directory. All paths are relative to it.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// What a file says, without white space around; `None` when it cannot be read. Bytes that are no text are replaced.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.0.join(path)).ok()?.take(READ_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that says one number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A file that says a list of cores.
    pub(super) fn cores(&self, path: &str) -> Option<BTreeSet<usize>> {
        threads::parse_cores(&self.text(path)?)
    }

    /// Whether there is something.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// Names in a directory, in order; none when there is no such directory.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(path)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: BTreeSet<String> = names.collect();
        names.into_iter().collect()
    }

    /// The last part of what a link points to.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.0.join(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// A line of the form `NAME value` or `NAME: value` in a file: the value.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let line = text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix(name)?;
            rest.starts_with([':', ' ', '\t']).then(|| rest.trim_start_matches([':', ' ', '\t']))
        })?;
        Some(line.trim().to_owned())
    }
}
