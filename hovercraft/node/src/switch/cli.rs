//! The command line of the switch: `hovercraft-switch --dpdk EAL… -- --port PORT --port PORT …`.

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::{CommandFactory, FromArgMatches, Parser};
use hovercraft_config::Idle;

use crate::cli::{BackEnd, CliError, back_end, split};

/// What the switch is asked to do.
#[derive(Clone, Debug, Parser, PartialEq)]
#[command(version, about = "A learning switch between ports of DPDK", max_term_width = 100)]
pub(crate) struct SwitchArgs {
    /// A port: the number or name of one that the EAL found, or the arguments of a device to add, such as
    /// `net_vhost1,iface=/run/switch/1.sock`; given for each port
    #[arg(long = "port", value_name = "PORT", required = true)]
    pub(crate) ports: Vec<String>,
    /// Answer GET /metrics and /livez here
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// What an empty turn does: poll again, let others run, or sleep 20 microseconds; auto polls on a core of its own
    #[arg(long, value_name = "POLICY", default_value = "auto", value_parser = ["spin", "yield", "sleep", "auto"])]
    idle: String,
    /// Longest IPv4 packet, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1_500, value_parser = clap::value_parser!(u16).range(68..=9_600))]
    pub(crate) mtu: u16,
    /// What to log: a level, or targets with levels
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// Log a JSON object per line
    #[arg(long)]
    pub(crate) log_json: bool,
}

const PROGRAM: &str = "hovercraft-switch";

const BEHIND: &str = "\
Arguments before `--` are those of DPDK's EAL; the first core is the switch's. Frames to one address go to the port where
it was heard last, others to all ports. A socket that a switch left behind when it was killed is taken over; one at which
somebody listens is refused.

Exit codes: 0 ended by SIGTERM or SIGINT; 1 could not start or go on; 2 wrong command line.";

impl SwitchArgs {
    /// What an empty turn does.
    #[cfg_attr(
        not(feature = "dpdk"),
        expect(dead_code, reason = "without DPDK the switch is only refused")
    )]
    pub(crate) fn idle(&self) -> Idle {
        match self.idle.as_str() {
            "spin" => Idle::Spin,
            "yield" => Idle::Yield,
            "sleep" => Idle::Sleep,
            _ => Idle::Auto,
        }
    }
}

/// Reads a command line, without the program's name in front: the EAL's arguments, and the switch's.
///
/// # Errors
///
/// [`CliError`]: what was wrong, or the text of `--help` or `--version`.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
) -> Result<(Vec<String>, SwitchArgs), CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let (first, own) = split(PROGRAM, &args)?;
    let back_end = back_end(first)?;
    let command = SwitchArgs::command()
        .name(PROGRAM)
        .override_usage(format!("{PROGRAM} --dpdk EAL… -- --port <PORT> --port <PORT> [OPTIONS]"))
        .after_help(BEHIND)
        .no_binary_name(true);
    let args = SwitchArgs::from_arg_matches(&command.try_get_matches_from(own)?)?;
    match back_end {
        _ if !cfg!(feature = "dpdk") => Err(CliError::NoDpdk),
        BackEnd::Udp => Err(CliError::SwitchOnUdp),
        BackEnd::Dpdk(_) if args.ports.len() < 2 => Err(CliError::OnePort),
        BackEnd::Dpdk(eal) => Ok((eal, args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Vec<String>, SwitchArgs), String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        SwitchArgs::command().debug_assert();
    }

    #[test]
    #[cfg(feature = "dpdk")]
    fn ports_stand_behind_and_the_eal_before() {
        let line = "--dpdk -l 0 --no-huge -- --port net_vhost1,iface=/run/1 --port 0 --idle sleep";
        let (eal, args) = parsed(line).unwrap();
        assert_eq!(eal, ["-l", "0", "--no-huge"]);
        assert_eq!(args.ports, ["net_vhost1,iface=/run/1", "0"]);
        assert_eq!((args.idle(), args.mtu, args.admin), (Idle::Sleep, 1_500, None));
        let wrong = |line: &str| parsed(line).unwrap_err();
        assert!(wrong("--dpdk -- --port 0").contains("two ports"));
        assert!(wrong("-- --port 0 --port 1").contains("--dpdk"));
        assert!(wrong("--port 0 --dpdk -l 0").contains("before `--`"));
        assert!(wrong("--dpdk -- --port 0 --port 1 --idle slep").contains("slep"));
    }

    #[test]
    #[cfg(not(feature = "dpdk"))]
    fn without_dpdk_it_explains_itself() {
        for line in ["--dpdk -l 0 -- --port 0 --port 1", "--udp -- --port 0 --port 1"] {
            assert!(parsed(line).unwrap_err().contains("built without DPDK"), "{line}");
        }
    }
}
