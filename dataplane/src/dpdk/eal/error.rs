//! Why EAL did not start, and the line that works.

use std::io;

use thiserror::Error;

/// EAL was not started.
#[derive(Debug, Error)]
pub enum EalError {
    /// Processors that this machine has not got.
    #[error(
        "EAL argument {asked}: this machine has no processor {missing} (it has {present}); write {works} instead"
    )]
    Cores {
        /// The argument.
        asked: String,
        /// Processors it needs that are not there.
        missing: String,
        /// Those that are.
        present: String,
        /// The argument that works here, with the same logical cores.
        works: String,
    },
    /// Too few huge pages are free.
    #[error(
        "{free} MB of huge pages are free, and EAL was asked for {asked} MB of them (0: as many as it needs); \
         add `--no-huge -m {needed}` to do without, or reserve some: \
         echo {pages} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    )]
    HugePages {
        /// Megabytes of `-m`, 0 without.
        asked: u64,
        /// Megabytes in free pages.
        free: u64,
        /// Megabytes for the remedy.
        needed: u64,
        /// The same in pages of 2 MB.
        pages: u64,
    },
    /// Huge pages are there, and no file system gives them out.
    #[error(
        "no hugetlbfs is mounted; add `--in-memory` (nothing is left behind by a killed process either), or: \
         mkdir -p /mnt/huge && mount -t hugetlbfs none /mnt/huge"
    )]
    NotMounted,
    /// `--no-huge` with `--in-memory`.
    #[error("EAL arguments --no-huge and --in-memory exclude each other: leave one of them out")]
    BothMemories,
    /// More ordinary memory than there is.
    #[error("EAL argument -m: {asked} MB asked for, {present} MB can be had; lower it")]
    Memory {
        /// Megabytes of `-m`.
        asked: u64,
        /// Megabytes that can be had.
        present: u64,
    },
    /// A second start in one process.
    #[error("EAL was started in this process before, and starts once: share the first one")]
    AlreadyStarted,
    /// An argument with a zero byte in it.
    #[error("an EAL argument has a zero byte in it")]
    ZeroByte,
    /// EAL refused for a reason of its own.
    #[error("EAL did not start: {cause}; it says: {said}; {remedy}")]
    Refused {
        /// `rte_errno`.
        cause: io::Error,
        /// The last lines of its log.
        said: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// What EAL's own words ask for: part of them, and what to do.
const REMEDIES: &[(&str, &str)] = &[
    ("Permission denied", "run as root, or give the process access to hugetlbfs and /dev/vfio"),
    ("is it locked by another process", "give each process a --file-prefix of its own"),
    ("Is another primary process running", "give each process a --file-prefix of its own"),
    ("invalid core list", "name processors that /sys/devices/system/cpu/online lists"),
    ("invalid coremask", "name processors that /sys/devices/system/cpu/online lists"),
    (
        "invalid parameter for --lcores",
        "write it as '2@0,3@1': logical core 2 on processor 0, 3 on 1",
    ),
    ("Cannot get hugepage information", "add --no-huge -m 512, or reserve huge pages"),
    ("Not enough memory available", "lower -m, or free memory"),
    (
        "failed to parse device",
        "name a driver that DPDK has, such as net_af_packet0, and its arguments",
    ),
    ("failed to initialize device", "check the --vdev line, or add the device after the start"),
    ("Cannot init memory", "add --no-huge -m 512, or reserve huge pages"),
    // Behind all that is more exact.
    (
        "Invalid 'command line' arguments",
        "correct the option before `--` that EAL's usage does not list",
    ),
];

/// The remedy for an error that EAL has logged.
pub(super) fn refused(cause: io::Error, log: &str) -> EalError {
    let remedy = REMEDIES.iter().find(|(words, _)| log.contains(words));
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines[lines.len().saturating_sub(LINES)..].join(" / ");
    let remedy = remedy.map_or("check the arguments before `--`", |&(_, remedy)| remedy);
    EalError::Refused { cause, said, remedy }
}

/// Lines of EAL's log in an error, the last ones.
const LINES: usize = 4;
