//! The command line.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, Parser, Subcommand, ValueEnum};
use hovercraft_config::Mode;

use crate::wire::Wire;

/// Clusters of real nodes on this machine.
#[derive(Debug, Parser)]
#[command(name = "hovercraft-lab", version)]
pub struct Cli {
    /// Name of the lab; several can be up at once.
    #[arg(long, global = true, default_value = "default")]
    pub name: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster and leave it running.
    Up(Cluster),
    /// Ask every node how it is.
    Status {
        /// As JSON, one node per line.
        #[arg(long)]
        json: bool,
    },
    /// Send a signal to a node, or to the switch of `--wire vhost`.
    Kill {
        /// Its number, `leader`, or `switch`.
        #[arg(long)]
        node: Target,
        /// The signal, by name or number.
        #[arg(long, default_value = "KILL", value_parser = signal)]
        signal: i32,
    },
    /// Start the switch of a lab on `--wire vhost` again, after it was killed.
    StartSwitch,
    /// Take a lab down, one that crashed too.
    Down,
    /// Run a command where clients are, in the lab's own folder: `exec -- kvctl --config cluster.ron get k`.
    Exec {
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Start a cluster, drive it with load, kill its leader, check the history, take it down.
    Run(Run),
    /// Measure clusters end to end, each beside an echo of packets of the same sizes.
    Bench(Bench),
    /// Echo datagrams; used by `bench`.
    #[command(name = "echo-datagrams", hide = true)]
    Echo {
        /// Where.
        own: SocketAddrV4,
        /// Bytes of each answer.
        reply: usize,
    },
    /// Load on the echo; used by `bench`.
    #[command(name = "load-echo", hide = true)]
    LoadEcho {
        /// Where the echo is.
        to: SocketAddrV4,
        /// Packets on their way at a time.
        open: usize,
        /// Bytes of each.
        request: usize,
        /// Milliseconds before the measurement.
        warm: u64,
        /// Milliseconds of it.
        length: u64,
    },
    /// Step nodes and client of a lab in this process, or look whether that could be; used by `run --wire inproc`.
    #[command(name = crate::inproc::STEP_NODES, hide = true)]
    StepNodes {
        /// The lab's directory.
        directory: Option<PathBuf>,
    },
    /// Hold network namespaces open until ended; used by `up` and `run`.
    #[command(name = "hold-namespaces", hide = true)]
    Hold {
        /// How many.
        count: usize,
    },
}

/// What cluster to start.
#[derive(Args, Clone, Debug)]
pub struct Cluster {
    /// How it replicates; `unreplicated` has one node.
    #[arg(long, value_enum, default_value = "hovercraft")]
    pub mode: ModeName,
    /// Nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=15))]
    pub nodes: u8,
    /// Service of the nodes.
    #[arg(long, default_value = "kv")]
    pub service: String,
    /// Network and application on two threads of a node, or on one; by default on one where nodes poll and cores are few.
    #[arg(long, value_enum)]
    pub threads: Option<ThreadsName>,
    /// What an empty poll of a node does; by default what suits the cores of this machine.
    #[arg(long, value_enum)]
    pub idle: Option<IdleName>,
    /// What packets go over; by default DPDK where it is possible, else kernel UDP.
    #[arg(long, value_enum)]
    pub wire: Option<WireName>,
    /// Loopback addresses even where network namespaces are possible.
    #[arg(long, conflicts_with = "wire")]
    pub loopback: bool,
    /// A log and tables so small that minutes of load go round all of them: then memory that grows is lost.
    #[arg(long)]
    pub small_tables: bool,
    /// Program of a node, for a service of your own; by default `hovercraft-node` beside this program.
    #[arg(long)]
    pub node_program: Option<PathBuf>,
}

/// A run under load.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// What cluster to start.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Requests per second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,
    /// Length of the load.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(3..=3_600))]
    pub seconds: u32,
    /// Leave the cluster running and say how to talk to it.
    #[arg(long)]
    pub keep: bool,
    /// Write the result as JSON, too.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Load generator; by default `lancet` beside this program.
    #[arg(long)]
    pub load_program: Option<PathBuf>,
}

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// Requests open at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub open: Vec<u32>,
    /// How clusters replicate.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [ModeName::Unreplicated, ModeName::Raft, ModeName::Hovercraft])]
    pub modes: Vec<ModeName>,
    /// Across network namespaces (which need root), or on loopback addresses.
    #[arg(long = "where", value_enum, value_delimiter = ',', default_values_t = [WhereName::Namespaces, WhereName::Loopback])]
    pub places: Vec<WhereName>,
    /// Rounds of each cell, of which the medians are shown; each round measures the floor as well.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Length of a round.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub seconds: f64,
    /// Bytes of a request, as the service sees it.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(24..=1_400))]
    pub request: u32,
    /// Bytes of a reply, as the service gives it.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(8..=1_400))]
    pub reply: u32,
    /// Nodes of a replicated cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=15))]
    pub nodes: u8,
    /// Network and application on two threads of a node, or on one.
    #[arg(long, value_enum, default_value = "split")]
    pub threads: ThreadsName,
    /// What an empty poll of a node does; by default what suits the cores of this machine.
    #[arg(long, value_enum)]
    pub idle: Option<IdleName>,
    /// Write the rows as JSON, too.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Program of a node; by default `hovercraft-node` beside this program.
    #[arg(long)]
    pub node_program: Option<PathBuf>,
    /// Load generator; by default `lancet` beside this program.
    #[arg(long)]
    pub load_program: Option<PathBuf>,
}

/// Networks as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum WhereName {
    /// A network namespace for each node.
    Namespaces,
    /// Loopback addresses.
    Loopback,
}

/// Wires as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum WireName {
    /// The kernel's UDP.
    Udp,
    /// DPDK on a veth for each node; clients on kernel UDP.
    #[value(name = "af_packet")]
    AfPacket,
    /// DPDK on a switch that is a process (virtio-user to vhost), with an uplink to clients on kernel UDP.
    Vhost,
    /// DPDK in one process that steps nodes and client in turn, on a wire that copies; with `run` only. A killed node is one
    /// that is no longer stepped.
    Inproc,
}

/// Modes as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ModeName {
    /// One server.
    Unreplicated,
    /// Leader sends bodies and answers.
    Raft,
    /// Clients' multicast brings bodies, leader sends metadata.
    Hovercraft,
}

/// Thread forms as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ThreadsName {
    /// Two threads.
    Split,
    /// One.
    Inline,
}

/// Idle policies as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum IdleName {
    /// Poll again.
    Spin,
    /// Let others run.
    Yield,
    /// Wait for a packet.
    Sleep,
}

/// Which node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// This one.
    Node(u8),
    /// Whoever leads.
    Leader,
    /// What joins the nodes.
    Switch,
}

impl std::str::FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "leader" => Ok(Self::Leader),
            "switch" => Ok(Self::Switch),
            number => number
                .parse()
                .map(Self::Node)
                .map_err(|_| "must be a node's number or `leader` or `switch`"),
        }
    }
}

impl Cluster {
    /// That it can be left running.
    ///
    /// # Errors
    ///
    /// On a wire that only its own process reaches.
    pub fn check_up(&self) -> anyhow::Result<()> {
        ensure!(
            self.wire != Some(WireName::Inproc),
            "--wire inproc: nodes and client are one process, and nobody else reaches the nodes; choose another wire, or `run`"
        );
        Ok(())
    }
}

impl Run {
    /// That nothing is asked for which one process with everything in it has not got.
    ///
    /// # Errors
    ///
    /// What that is.
    pub fn check(&self) -> anyhow::Result<()> {
        let cluster = &self.cluster;
        if cluster.wire != Some(WireName::Inproc) {
            return Ok(());
        }
        let not_there = [
            (self.keep, "--keep", "its client is one with the nodes and ends with the run"),
            (self.load_program.is_some(), "--load-program", "the load is part of the process"),
            (cluster.node_program.is_some(), "--node-program", "the nodes are this program"),
            (
                cluster.threads == Some(ThreadsName::Split),
                "--threads split",
                "one thread steps all nodes",
            ),
        ];
        for (asked, option, why) in not_there {
            ensure!(!asked, "{option}: not with --wire inproc: {why}");
        }
        Ok(())
    }
}

impl From<WireName> for Wire {
    fn from(name: WireName) -> Self {
        match name {
            WireName::Udp => Self::Udp,
            WireName::AfPacket => Self::AfPacket,
            WireName::Vhost => Self::Vhost,
            WireName::Inproc => Self::Inproc,
        }
    }
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Unreplicated => Self::Unreplicated,
            ModeName::Raft => Self::Raft,
            ModeName::Hovercraft => Self::Hovercraft,
        }
    }
}

impl ThreadsName {
    /// As cluster.ron has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Inline => "inline",
        }
    }
}

impl IdleName {
    /// As cluster.ron has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Yield => "yield",
            Self::Sleep => "sleep",
        }
    }
}

impl WhereName {
    /// As typed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Loopback => "loopback",
        }
    }
}

/// A length of a round: long enough to count, short enough for rounds to alternate.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number".to_owned())?;
    if (0.1..=60.0).contains(&seconds) { Ok(seconds) } else { Err("must be 0.1 to 60".to_owned()) }
}

/// Signals that a test of faults wants, by name; all by number.
fn signal(text: &str) -> Result<i32, String> {
    let name = text.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "KILL" => Ok(libc::SIGKILL),
        "TERM" => Ok(libc::SIGTERM),
        "INT" => Ok(libc::SIGINT),
        "STOP" => Ok(libc::SIGSTOP),
        "CONT" => Ok(libc::SIGCONT),
        number => match number.parse() {
            Ok(number @ 1..=64) => Ok(number),
            _ => Err("must be KILL, TERM, INT, STOP, CONT or a number from 1 to 64".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_has_the_options_of_the_quickstart() {
        let line = "lab run --mode raft --nodes 5 --service synthetic --rate 9000 --seconds 30 --keep --json o.json";
        let Command::Run(run) = parse(line).unwrap().command else { panic!("no run") };
        assert_eq!((run.cluster.mode, run.cluster.nodes), (ModeName::Raft, 5));
        assert_eq!((run.cluster.service.as_str(), run.rate, run.seconds), ("synthetic", 9_000, 30));
        assert!(run.keep && run.json == Some("o.json".into()));
    }

    #[test]
    fn a_bench_measures_all_unless_told_otherwise() {
        let Command::Bench(all) = parse("lab bench").unwrap().command else { panic!("no bench") };
        assert_eq!(
            (all.open.as_slice(), all.modes.len(), all.places.len()),
            (&[1, 16, 64, 256][..], 3, 2)
        );
        assert_eq!((all.request, all.reply, all.nodes), (24, 8, 3));
        let line = "lab bench --open 1,8 --modes raft --where loopback --rounds 2 --seconds 0.5 --json o.json";
        let Command::Bench(bench) = parse(line).unwrap().command else { panic!("no bench") };
        assert_eq!((bench.open, bench.modes), (vec![1, 8], vec![ModeName::Raft]));
        assert_eq!(
            (bench.places, bench.rounds, bench.seconds),
            (vec![WhereName::Loopback], 2, 0.5)
        );
        assert!(parse("lab bench --seconds 0").unwrap_err().contains("must be 0.1 to 60"));
    }

    #[test]
    fn bounds_are_named() {
        let text = parse("lab run --seconds 2").unwrap_err();
        assert!(text.contains("2 is not in 3..=3600"), "{text}");
        let text = parse("lab up --mode raftt").unwrap_err();
        assert!(text.contains("[possible values: unreplicated, raft, hovercraft]"), "{text}");
    }

    #[test]
    fn a_node_is_a_number_or_the_leader() {
        let target = |line: &str| match parse(line).map(|cli| cli.command) {
            Ok(Command::Kill { node, signal }) => Ok((node, signal)),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error),
        };
        assert_eq!(target("lab kill --node leader"), Ok((Target::Leader, libc::SIGKILL)));
        assert_eq!(target("lab kill --node switch"), Ok((Target::Switch, libc::SIGKILL)));
        let wanted = Ok((Target::Node(3), libc::SIGSTOP));
        assert_eq!(target("lab kill --node 3 --signal sigstop --name x"), wanted);
        assert_eq!(target("lab kill --node 3 --signal 19"), wanted);
        assert!(target("lab kill --node x").unwrap_err().contains("a node's number or `leader`"));
        assert!(target("lab kill --node 1 --signal 0").unwrap_err().contains("from 1 to 64"));
    }
}
