//! The command line of a node: `hovercraft-node [--udp | --dpdk EAL…] -- --config cluster.ron [--id 1] …`.
//!
//! What stands before `--` belongs to the back end, as users of DPDK know it of the EAL's arguments; what stands behind
//! it to the node. Without `--` everything is the node's, on kernel UDP.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use hovercraft_config::Size;
use thiserror::Error;

/// What the node is asked to do.
#[derive(Clone, Debug, Parser, PartialEq)]
#[command(version, about = "One node of a replicated service", max_term_width = 100)]
pub(crate) struct NodeArgs {
    /// The cluster.ron
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Which member this is; without it, the one whose data address is this machine's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=15))]
    pub(crate) id: Option<u8>,
    /// The group, where several have such a member
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Print the effective configuration, or what is wrong with it, and exit
    #[arg(long)]
    pub(crate) check_config: bool,
    /// What to log: a level, or targets with levels
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// Log a JSON object per line
    #[arg(long)]
    pub(crate) log_json: bool,
    /// On DPDK: the Ethernet port, by its number or its device's name
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub(crate) port: String,
    /// On DPDK: write the frames that go in and out to this file (pcapng)
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// The file's size at most
    #[arg(long, value_name = "SIZE", default_value = "256MiB", requires = "pcap")]
    pub(crate) pcap_max: Size,
}

/// How packets move. Each back end has arguments of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum BackEnd {
    /// Kernel UDP.
    Udp,
    /// DPDK, with the EAL's arguments.
    Dpdk(Vec<String>),
}

/// Why a command line cannot be followed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The node's own arguments; also how clap hands over `--help` and `--version`.
    #[error(transparent)]
    Node(#[from] clap::Error),
    /// A back end that this build does not have.
    #[error(
        "--dpdk: this program was built without DPDK: build it with `--features dpdk` (on Debian first \
         `apt-get install dpdk libdpdk-dev libclang-dev clang`), or use --udp"
    )]
    NoDpdk,
    /// The switch without DPDK.
    #[error(
        "a switch joins ports of DPDK: write hovercraft-switch --dpdk EAL… -- --port PORT --port PORT"
    )]
    SwitchOnUdp,
    /// A switch with one port.
    #[error("a switch joins two ports at least: give --port for each of them")]
    OnePort,
    /// An argument for one back end with another.
    #[error("{0}: only with --dpdk; on kernel UDP {1}")]
    DpdkOnly(&'static str, &'static str),
    /// Something else before `--`.
    #[error("{0}: no back end is called so; there are --udp and --dpdk")]
    NoSuchBackEnd(String),
    /// The UDP back end takes no arguments.
    #[error("{0}: the back end --udp takes no arguments; the node's own stand behind `--`")]
    UdpArgument(String),
    /// A back end's argument without `--`.
    #[error("{0}: arguments of the back end stand before `--`: write {1} {0} -- --config FILE")]
    NoSeparator(String, String),
}

const BEHIND: &str = "\
Arguments before `--` choose the back end: --udp (kernel UDP, the default), or --dpdk with the arguments of DPDK's EAL,
such as -l 2-3: the first core is the network thread's, the second the application's.

`doctor` as the first word looks whether this machine is ready for a node (`doctor --help`).

Exit codes: 0 ended by a signal, or nothing wrong with the configuration; 1 could not start or go on; \
2 wrong command line or configuration.
SIGTERM and SIGINT: a leader hands over first, within a second; a second signal ends the node at once.";

/// Reads a command line, without the program's name in front. `program` is for the help.
///
/// # Errors
///
/// [`CliError`]: what was wrong, or the text of `--help` or `--version`.
pub(crate) fn parse(
    program: &'static str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<(BackEnd, NodeArgs), CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let (first, own) = split(program, &args)?;
    let back_end = back_end(first)?;
    let command = NodeArgs::command()
        .name(program)
        .override_usage(format!("{program} [--udp | --dpdk EAL…] -- --config <FILE> [OPTIONS]"))
        .after_help(BEHIND)
        .no_binary_name(true);
    let args = NodeArgs::from_arg_matches(&command.try_get_matches_from(own)?)?;
    if back_end == BackEnd::Udp && args.pcap.is_some() {
        return Err(CliError::DpdkOnly("--pcap", "use `tcpdump -i any udp`"));
    }
    Ok((back_end, args))
}

/// What stands before `--`, and behind it.
pub(crate) fn split<'a>(
    program: &str,
    args: &'a [OsString],
) -> Result<(&'a [OsString], &'a [OsString]), CliError> {
    let separator = args.iter().position(|arg| arg == "--");
    let (first, own) = match separator {
        Some(place) => (&args[..place], &args[place + 1..]),
        None => (&[][..], args),
    };
    match own.iter().find(|arg| *arg == "--udp" || *arg == "--dpdk") {
        Some(stray) => {
            let stray = stray.to_string_lossy().into_owned();
            Err(CliError::NoSeparator(stray, program.to_owned()))
        }
        None => Ok((first, own)),
    }
}

/// What the words before `--` mean.
pub(crate) fn back_end(args: &[OsString]) -> Result<BackEnd, CliError> {
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match words.as_slice() {
        [] => Ok(BackEnd::Udp),
        [name] if name == "--udp" => Ok(BackEnd::Udp),
        [name, argument, ..] if name == "--udp" => Err(CliError::UdpArgument(argument.clone())),
        [name, ..] if name == "--dpdk" && !cfg!(feature = "dpdk") => Err(CliError::NoDpdk),
        [name, eal @ ..] if name == "--dpdk" => Ok(BackEnd::Dpdk(eal.to_vec())),
        [name, ..] => Err(CliError::NoSuchBackEnd(name.clone())),
    }
}

#[cfg(test)]
mod tests;
