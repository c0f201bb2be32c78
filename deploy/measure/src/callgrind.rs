//! Runs a program under valgrind's callgrind and reads what it counted.
//!
//! Two ways to leave out what a program does before and after the work: run it twice, with two lengths, and subtract
//! ([`Counts::minus`]); or count only while one function is on the stack (`toggle`), which must not be inlined.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, io};

use thiserror::Error;

mod parse;
mod sources;

/// Instructions executed in user space by one run, all threads together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Instructions counted in all.
    pub total: u64,
    /// By function, as callgrind names it: demangled, with its path, without hash. Functions that were inlined are part of
    /// their callers; deeper levels of a recursion stand by themselves, with `'2` at the end of their name.
    pub functions: BTreeMap<String, Function>,
    /// By source file of the workspace, wherever its lines were inlined. Code of others (the standard library, libc) counts for
    /// who needed it; what is left stands under the empty name.
    pub sources: BTreeMap<String, u64>,
}

/// One function's share of [`Counts`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Function {
    /// Times it was called while counting.
    pub calls: u64,
    /// Instructions of its own code.
    pub own: u64,
    /// Instructions of its own code and of all that it called. Too high for members of an indirect recursion.
    pub inclusive: u64,
}

/// The name in [`Counts::sources`] of DPDK's own code: its libraries, and what its headers have inlined into C.
pub const DPDK: &str = "DPDK";

/// Why there are no counts.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no callgrind on this machine.
    #[error("valgrind is missing, which counts instructions; on Debian: apt-get install valgrind")]
    Missing,
    /// It could not be started, or its output not be read.
    #[error("running {} under callgrind: {error}", .program.display())]
    Io {
        /// What was to be run.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The program failed under it.
    #[error("{} under callgrind: {status}: {stderr}", .program.display())]
    Failed {
        /// What was run.
        program: PathBuf,
        /// How it ended.
        status: process::ExitStatus,
        /// What it wrote, standard output and error.
        stderr: String,
    },
    /// Its output is not what it is known to write, or nothing was counted: no function named `toggle` was called.
    #[error("callgrind's counts of {}: {what}", .program.display())]
    Unreadable {
        /// What was run.
        program: PathBuf,
        /// The line at fault, or what is missing.
        what: String,
    },
}

impl Counts {
    /// What is left when the counts of a shorter run are taken away; functions that did nothing more are left out.
    ///
    /// # Panics
    ///
    /// When the other run was the longer one.
    #[must_use]
    pub fn minus(&self, shorter: &Self) -> Self {
        assert!(self.total >= shorter.total, "{} is more than {}", shorter.total, self.total);
        let mut functions = self.functions.clone();
        for (name, less) in &shorter.functions {
            if let Some(function) = functions.get_mut(name) {
                function.calls = function.calls.saturating_sub(less.calls);
                function.own = function.own.saturating_sub(less.own);
                function.inclusive = function.inclusive.saturating_sub(less.inclusive);
            }
        }
        functions.retain(|_, function| *function != Function::default());
        let mut sources = self.sources.clone();
        for (name, less) in &shorter.sources {
            if let Some(source) = sources.get_mut(name) {
                *source = source.saturating_sub(*less);
            }
        }
        Self { total: self.total - shorter.total, functions, sources }
    }

    /// The function whose name, generic arguments left out, is `path` or ends with it after a `::`; the sum when there are
    /// several (copies of a generic one), zeroes when there is none.
    #[must_use]
    pub fn function(&self, path: &str) -> Function {
        let mut sum = Function::default();
        for (name, function) in &self.functions {
            let name = parse::without_generics(name);
            if name.strip_suffix(path).is_some_and(|rest| rest.is_empty() || rest.ends_with("::")) {
                sum.calls += function.calls;
                sum.own += function.own;
                sum.inclusive += function.inclusive;
            }
        }
        sum
    }
}

/// Whether this machine has callgrind.
#[must_use]
pub fn available() -> bool {
    let version = Command::new("valgrind").args(["--tool=callgrind", "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

/// Why nothing can be counted here, to be told beside figures that lack it; `None` where it can.
#[must_use]
pub fn missing() -> Option<String> {
    (!available()).then(|| Error::Missing.to_string())
}

/// Runs `program` with `args` under callgrind, some fifty times slower than by itself, in the environment of the caller.
/// With `toggle`, a pattern of function names in callgrind's spelling (`*` stands for anything), only what happens
/// while such a function is on the stack is counted.
///
/// # Errors
///
/// [`enum@Error`]; a program that fails is one, too.
pub fn instructions(program: &Path, args: &[&str], toggle: Option<&str>) -> Result<Counts, Error> {
    if !available() {
        return Err(Error::Missing);
    }
    let counts = CountsFile::new();
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", counts.0.display()));
    if let Some(function) = toggle {
        command.arg(format!("--toggle-collect={function}"));
    }
    let io = |error| Error::Io { program: program.into(), error };
    let output = command.arg(program).args(args).output().map_err(io)?;
    if !output.status.success() {
        let stderr = said(&output);
        return Err(Error::Failed { program: program.into(), status: output.status, stderr });
    }
    let text = fs::read_to_string(&counts.0).map_err(io)?;
    let unreadable = |what| Error::Unreadable { program: program.into(), what };
    let counts = parse::counts(&text).map_err(unreadable)?;
    if counts.total == 0 {
        let what = format!("nothing was counted: no function {} was called", toggle.unwrap_or("*"));
        return Err(unreadable(what));
    }
    Ok(counts)
}

fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    both.join("\n").trim().to_owned()
}

/// Where callgrind writes; gone when dropped.
struct CountsFile(PathBuf);

impl CountsFile {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("callgrind-{}-{number}.out", process::id())))
    }
}

impl Drop for CountsFile {
    fn drop(&mut self) {
        // It is not there when callgrind did not start.
        _ = fs::remove_file(&self.0);
    }
}
