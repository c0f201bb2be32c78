//! What a lab leaves on disk, so that another command, or one after a crash, can find it and take it away.
//!
//! ```text
//! $XDG_RUNTIME_DIR/hovercraft-lab/NAME/    or /tmp/hovercraft-lab-UID/NAME/
//!   lock           held by the command that works on the lab
//!   state.json     processes and namespaces
//!   cluster.ron cluster.key node-N.log network.log switch.log switch-N.sock …
//! ```
//!
//! Invariants:
//! 1. Only the holder of the lock changes anything.
//! 2. Every process of a lab has [`MARK`] with the lab's directory in its environment, so that even one that was started
//!    and not recorded, because we were killed in between, is found.
//! 3. The directory is its owner's alone: it has the key.
//! 4. What stays behind holds no descriptor of the command that started it, or of that one's caller ([`detach`]).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::ffi;
use crate::network::{Namespaces, Network};
use crate::process::{self, Identity};

/// Environment variable of every process of a lab: the lab's directory.
pub const MARK: &str = "HOVERCRAFT_LAB";

/// How long a command waits for another one to be done with the lab.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// What is running.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct State {
    /// In which boot: process numbers mean nothing in another.
    boot: String,
    /// Whether it was left running on purpose.
    pub kept: bool,
    /// What connects the nodes.
    pub network: Network,
    /// Their namespaces, when they have such.
    pub namespaces: Option<Namespaces>,
    /// The process that joins the nodes, when they are on one.
    #[serde(default)]
    pub switch: Option<Identity>,
    /// The nodes' processes, by number.
    pub nodes: Vec<(u8, Identity)>,
}

impl State {
    /// Nothing yet.
    #[must_use]
    pub fn new(network: Network) -> Self {
        let boot = process::boot();
        Self { boot, kept: false, network, namespaces: None, switch: None, nodes: Vec::new() }
    }

    /// Every process recorded, the nodes before the switch and the holder of their namespaces.
    fn processes(&self) -> Vec<Identity> {
        let holder = self.namespaces.iter().map(|namespaces| namespaces.holder);
        let nodes = self.nodes.iter().map(|&(_, process)| process);
        let mut processes: Vec<Identity> = nodes.chain(self.switch).chain(holder).collect();
        // All nodes may be one.
        processes.dedup();
        processes
    }

    /// Whether any of its processes runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot == process::boot() && self.processes().iter().any(Identity::is_alive)
    }
}

/// A lab's directory, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes and locks the directory of the lab with this name.
    ///
    /// # Errors
    ///
    /// When another command works on the lab for longer than a moment, or the directory is not ours.
    pub fn lock(name: &str) -> anyhow::Result<Self> {
        let path = directory_of(name)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(lock) = try_lock(&path)? {
                return Ok(Self { path, _lock: lock });
            }
            let late = Instant::now() >= deadline;
            ensure!(
                !late,
                "another command works on the lab {name}; wait for it, or choose another --name"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The lab's directory, as [`MARK`] has it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is running, as far as it was recorded.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub fn state(&self) -> anyhow::Result<Option<State>> {
        read_state(&self.path)
    }

    /// Records what is running, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn record(&self, state: &State) -> anyhow::Result<()> {
        let (new, file) = (self.file("state.json.new"), self.file("state.json"));
        fs::write(&new, serde_json::to_vec_pretty(state)?)?;
        fs::rename(new, &file).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Ends every process of the lab and removes its files, but logs if `keep_logs`. Returns how many were ended.
    ///
    /// # Errors
    ///
    /// When a process cannot be ended: then the record stays.
    pub fn clear(&self, patience: Duration, keep_logs: bool) -> anyhow::Result<usize> {
        // A record that cannot be read is no reason to leave processes behind: they are found by their mark.
        let state = self.state().ok().flatten().filter(|state| state.boot == process::boot());
        let mut processes = state.as_ref().map(State::processes).unwrap_or_default();
        for found in process::find_by_environment(MARK, &self.path)? {
            if !processes.contains(&found) {
                processes.push(found);
            }
        }
        processes.retain(Identity::is_alive);
        let left = process::end_all(&processes, patience);
        ensure!(left.is_empty(), "cannot end the processes {left:?}");
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let is_log = Path::new(&name).extension().is_some_and(|extension| extension == "log");
            if name != "lock" && !(keep_logs && is_log) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(processes.len())
    }

    /// Removes the directory of a lab that was cleared.
    ///
    /// # Errors
    ///
    /// When something is left in it.
    pub fn remove(&self) -> anyhow::Result<()> {
        // Whoever waits for the lock finds it gone from its place, and makes a new one.
        fs::remove_file(self.file("lock"))?;
        fs::remove_dir(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

/// The lock, if nobody else has it.
fn try_lock(path: &Path) -> anyhow::Result<Option<File>> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))?;
    own(path)?;
    let file = path.join("lock");
    let lock = match OpenOptions::new().create(true).truncate(false).write(true).open(&file) {
        Ok(lock) => lock,
        // Whoever had it has just removed the directory.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let in_place = fs::metadata(&file).ok().map(|found| found.ino());
    Ok((in_place == Some(lock.metadata()?.ino())).then_some(lock))
}

/// What is running in the lab of this name, without working on it.
///
/// # Errors
///
/// When there is no lab of this name, or it is not ours.
pub fn look(name: &str) -> anyhow::Result<(PathBuf, State)> {
    let path = directory_of(name)?;
    if path.exists() {
        own(&path)?;
    }
    let state = read_state(&path)?.filter(State::is_alive);
    let state = state
        .with_context(|| format!("no lab {name} is up; start one with `hovercraft-lab up`"))?;
    Ok((path, state))
}

/// Takes `command` out of our caller's reach: no input, no signals from the keyboard, and none of the descriptors that
/// the caller left open, so that nobody who waits for their end waits for the lab's. Output is for the caller to set.
pub fn detach(command: &mut Command) {
    command.stdin(Stdio::null()).process_group(0);
    ffi::inherit_nothing(command);
}

fn read_state(path: &Path) -> anyhow::Result<Option<State>> {
    let file = path.join("state.json");
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let state = serde_json::from_slice(&text);
    state.map(Some).with_context(|| format!("{} is damaged; take the lab down", file.display()))
}

fn directory_of(name: &str) -> anyhow::Result<PathBuf> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name = (1..=32).contains(&name.len()) && name.chars().all(letter);
    ensure!(is_name, "--name {name:?}: must be 1 to 32 letters, digits, `-` or `_`");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let base = match runtime.filter(|path| path.is_absolute() && path.is_dir()) {
        Some(runtime) => runtime.join("hovercraft-lab"),
        None => std::env::temp_dir().join(format!("hovercraft-lab-{}", ffi::user())),
    };
    Ok(base.join(name))
}

/// Invariant 3; /tmp is everybody's.
fn own(path: &Path) -> anyhow::Result<()> {
    for path in [path.parent().unwrap_or(path), path] {
        let found = fs::symlink_metadata(path)?;
        let ours = found.is_dir() && found.uid() == ffi::user() && found.mode() & 0o022 == 0;
        ensure!(ours, "{} is not ours alone; remove it, or set XDG_RUNTIME_DIR", path.display());
    }
    Ok(())
}
