//! The command line of `hovercraft-node doctor`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use hovercraft_config::{Cluster, ConfigError};
use thiserror::Error;

use super::root::Root;
use super::{BackEnd, Machine, Subject};
use crate::threads;

/// Whether this machine is ready for a node, and what to do where it is not. Reads only.
#[derive(Clone, Debug, Parser)]
struct DoctorArgs {
    /// The cluster.ron of the node that is to run here: its cores, idle policy, multicast group, buffers
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which member that node is; without it nothing is said of its interface
    #[arg(long, value_name = "N", requires = "config", value_parser = clap::value_parser!(u8).range(1..=15))]
    id: Option<u8>,
    /// Its group, where several have such a member
    #[arg(long, value_name = "NAME", requires = "config")]
    group: Option<String>,
    /// Cores of its threads, network first, as in 2,3: those before `--`, where it is on DPDK; else the file's
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<String>,
    /// Make only the checks for this back end; else all are made, and failures for kernel UDP count
    #[arg(long = "for", value_enum, value_name = "BACK END")]
    back_end: Option<BackEnd>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Read /proc, /sys, /etc and /usr below this directory
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

const BEHIND: &str = "\
Exit codes: 0 nothing fails for the back end asked about (warnings do not count); 1 something does; \
2 wrong command line or configuration.";

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) machine: Machine,
    pub(super) only: Option<BackEnd>,
    pub(super) json: bool,
}

/// Why nothing can be looked at.
#[derive(Debug, Error)]
pub(super) enum ArgsError {
    /// The arguments; also how clap hands over `--help`.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No such group in the file, or no such member in it.
    #[error("{0}: the file has none")]
    NoSuch(String),
    /// Cores that are no list.
    #[error("--cores {0}: must be numbers of cores, such as 2,3")]
    Cores(String),
}

/// Reads what stands behind `doctor`.
///
/// # Errors
///
/// [`ArgsError`]: what is wrong, or the text of `--help`.
pub(super) fn read(
    program: &'static str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Asked, ArgsError> {
    let command = DoctorArgs::command()
        .name("doctor")
        .override_usage(format!("{program} doctor [OPTIONS]"))
        .after_help(BEHIND)
        .no_binary_name(true);
    let args = DoctorArgs::from_arg_matches(&command.try_get_matches_from(args)?)?;
    let subject = subject(&args)?;
    let machine = Machine { root: Root::new(args.root), subject };
    Ok(Asked { machine, only: args.back_end, json: args.json })
}

fn subject(args: &DoctorArgs) -> Result<Subject, ArgsError> {
    let mut subject = Subject::default();
    if let Some(file) = &args.config {
        let cluster = Cluster::load(file)?;
        let named = |name: &String| args.group.as_ref().is_none_or(|wanted| wanted == name);
        let mut groups = cluster.groups.into_iter().filter(|group| named(&group.name));
        let of = |group: &hovercraft_config::Group, id| {
            group.members.iter().find(|member| member.id.number() == id).copied()
        };
        let group = groups.find(|group| args.id.is_none_or(|id| of(group, id).is_some()));
        let asked = |(option, value)| format!("{option} {value}");
        let group = group.ok_or_else(|| {
            let group = args.group.iter().map(|name| ("--group", name.clone()));
            let id = args.id.iter().map(|id| ("--id", id.to_string()));
            ArgsError::NoSuch(group.chain(id).map(asked).collect::<Vec<_>>().join(" "))
        })?;
        subject.member = args.id.and_then(|id| of(&group, id));
        subject.cores.clone_from(&group.node.cores);
        subject.group = Some(group);
    }
    if !args.cores.is_empty() {
        let all = |text: &String| threads::parse_cores(text).filter(|cores| !cores.is_empty());
        let read = args.cores.iter().map(|text| all(text).ok_or(text));
        let read: Result<Vec<_>, _> = read.collect();
        let read = read.map_err(|text| ArgsError::Cores(text.clone()))?;
        subject.cores = read.into_iter().flatten().collect();
    }
    Ok(subject)
}
