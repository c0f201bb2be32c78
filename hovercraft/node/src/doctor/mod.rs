//! `hovercraft-node doctor`: whether this machine is ready for a node, and what to do where it is not.
//!
//! | file | looks at |
//! |---|---|
//! | `memory.rs` | hugepages, their mount, transparent hugepages, memory that may be locked |
//! | `devices.rs` | DPDK's libraries, VFIO and IOMMU, network devices with driver and NUMA node |
//! | `cores.rs` | cores of the node, their isolation, governor, siblings; the idle policy |
//! | `network.rs` | interface, multicast, MTU, socket buffers |
//! | `host.rs` | clock, capabilities, virtualisation |
//!
//! Invariants:
//! - D1. It only reads, and only files below one root: a test makes up a machine. The commands it names are for people.
//! - D2. What is missing or garbage is said and never a panic; a check that cannot be made is `not applicable`, never `ok`.
//! - D3. A failure stops a node of the back end that it concerns, or makes it useless there. All else is a warning.

mod args;
mod cores;
mod devices;
mod host;
mod memory;
mod network;
mod report;
mod root;
#[cfg(test)]
mod tests;

use core::fmt;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;
use hovercraft_config::{Group, Member};
use serde::Serialize;

use self::args::Asked;
use self::root::Root;
use crate::services::{WRONG, shown};

/// Exit code when something fails for the back end asked about.
const FAILED: u8 = 1;

/// Whom a check concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Concerns {
    /// Nodes on any back end.
    All,
    /// Nodes on kernel UDP.
    Udp,
    /// Nodes on DPDK.
    Dpdk,
}

/// The back end that a node shall have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum BackEnd {
    /// Kernel UDP.
    Udp,
    /// DPDK.
    Dpdk,
}

/// How a check went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum State {
    /// As it should be.
    #[serde(rename = "ok")]
    Ok,
    /// A node runs, and not as well as it could.
    #[serde(rename = "warn")]
    Warn,
    /// A node does not run, or is of no use.
    #[serde(rename = "fail")]
    Fail,
    /// There is nothing to look at, or it cannot be read.
    #[serde(rename = "not applicable")]
    NotApplicable,
}

/// What a check found, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Verdict {
    state: State,
    found: String,
    advice: Option<String>,
}

/// A check's verdict with its name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Finding {
    name: &'static str,
    concerns: Concerns,
    state: State,
    found: String,
    advice: Option<String>,
}

/// The node that is to run here, as far as the operator said.
#[derive(Clone, Debug, Default)]
struct Subject {
    group: Option<Group>,
    member: Option<Member>,
    /// Cores of its threads, network first.
    cores: Vec<usize>,
}

/// What checks look at.
#[derive(Debug)]
struct Machine {
    root: Root,
    subject: Subject,
}

struct Check {
    name: &'static str,
    concerns: Concerns,
    look: fn(&Machine) -> Verdict,
}

const fn check(name: &'static str, concerns: Concerns, look: fn(&Machine) -> Verdict) -> Check {
    Check { name, concerns, look }
}

/// In the order in which an operator sets a machine up.
const CHECKS: [Check; 23] = [
    check("virtualisation", Concerns::All, host::virtualisation),
    check("clock", Concerns::All, host::clock),
    check("capabilities", Concerns::Dpdk, host::capabilities),
    check("DPDK", Concerns::Dpdk, devices::libraries),
    check("hugepages", Concerns::Dpdk, memory::hugepages),
    check("hugetlbfs", Concerns::Dpdk, memory::mount),
    check("locked memory", Concerns::Dpdk, memory::locked),
    check("transparent hugepages", Concerns::All, memory::transparent),
    check("VFIO", Concerns::Dpdk, devices::vfio),
    check("devices", Concerns::Dpdk, devices::bound),
    check("NUMA", Concerns::Dpdk, devices::numa),
    check("cores", Concerns::All, cores::exist),
    check("isolation", Concerns::All, cores::isolation),
    check("siblings", Concerns::All, cores::siblings),
    check("governor", Concerns::All, cores::governor),
    check("idle policy", Concerns::All, cores::idle),
    check("interface", Concerns::Udp, network::interface),
    check("multicast", Concerns::Udp, network::multicast),
    check("multicast route", Concerns::Udp, network::route),
    check("memberships", Concerns::Udp, network::memberships),
    check("reverse path", Concerns::Udp, network::reverse_path),
    check("MTU", Concerns::All, network::mtu),
    check("socket buffers", Concerns::Udp, network::buffers),
];

impl Verdict {
    fn ok(found: impl Into<String>) -> Self {
        Self { state: State::Ok, found: found.into(), advice: None }
    }

    fn warn(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Fail, found: found.into(), advice: Some(advice.into()) }
    }

    fn not_applicable(why: impl Into<String>) -> Self {
        Self { state: State::NotApplicable, found: why.into(), advice: None }
    }

    /// D2: a file that says nothing sensible.
    fn unreadable(file: &str) -> Self {
        Self::not_applicable(format!("/{file} is not there or says nothing sensible"))
    }
}

impl Concerns {
    fn is_about(self, back_end: BackEnd) -> bool {
        match self {
            Self::All => true,
            Self::Udp => back_end == BackEnd::Udp,
            Self::Dpdk => back_end == BackEnd::Dpdk,
        }
    }
}

impl fmt::Display for BackEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Udp { "udp" } else { "dpdk" })
    }
}

/// Makes every check; `only` leaves out what does not concern a back end.
fn examine(machine: &Machine, only: Option<BackEnd>) -> Vec<Finding> {
    let wanted = CHECKS.iter().filter(|check| only.is_none_or(|one| check.concerns.is_about(one)));
    let find = |&Check { name, concerns, look }: &Check| {
        let Verdict { state, found, advice } = look(machine);
        Finding { name, concerns, state, found, advice }
    };
    wanted.map(find).collect()
}

/// Does what the command line behind `doctor` says.
pub(crate) fn main(program: &'static str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Asked { machine, only, json } = match args::read(program, args) {
        Ok(asked) => asked,
        Err(args::ArgsError::Arguments(error)) => return shown(&error),
        Err(error) => {
            eprintln!("{program} doctor: {error}");
            return ExitCode::from(WRONG);
        }
    };
    // The back end that a node has when nothing is said.
    let back_end = only.unwrap_or(BackEnd::Udp);
    let findings = examine(&machine, only);
    let text = if json {
        report::json(&findings, back_end)
    } else {
        report::text(program, &findings, back_end)
    };
    // Whoever reads this may have read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let fails = report::failures(&findings, back_end) > 0;
    if fails { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

/// Cores as people write them.
fn list(cores: &BTreeSet<usize>) -> String {
    let numbers: Vec<String> = cores.iter().map(usize::to_string).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") }
}
