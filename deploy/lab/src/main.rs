//! `hovercraft-lab`: see `hovercraft-lab --help`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use hovercraft_lab::cli::{self, Cli, Command, IdleName, Target, ThreadsName, WhereName, WireName};
use hovercraft_lab::cluster::{self, Lab, Plan, View};
use hovercraft_lab::wire::{self, Wire};
use hovercraft_lab::{bench, ffi, floor, inproc, network, run};
#[cfg(feature = "dpdk")]
use hovercraft_node::Services;

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hovercraft-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let name = cli.name;
    match cli.command {
        Command::Up(options) => up(&name, &options)?,
        Command::Status { json } => status(&View::of(&name)?, json)?,
        Command::Kill { node, signal } => kill(&View::of(&name)?, node, signal)?,
        Command::StartSwitch => {
            Lab::of(&name)?.start_switch(&beside_us(SWITCH)?, false)?;
            println!("the switch runs again");
        }
        Command::Down => match cluster::down(&name)? {
            0 => println!("the lab {name} was not up"),
            ended => println!("the lab {name} is down: {ended} processes ended"),
        },
        Command::Exec { command } => return exec(&View::of(&name)?, &command),
        Command::Run(options) => return run(&name, &options),
        Command::Bench(options) => bench(&name, &options)?,
        Command::Echo { own, reply } => floor::echo(own, reply)?,
        Command::LoadEcho { to, open, request, warm, length } => {
            let [warm, length] = [warm, length].map(Duration::from_millis);
            floor::print(&floor::load(floor::Load { to, open, request, warm, length })?)?;
        }
        Command::StepNodes { directory } => step_nodes(directory.as_deref())?,
        Command::Hold { count } => network::hold(count)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "dpdk")]
fn step_nodes(directory: Option<&Path>) -> anyhow::Result<()> {
    inproc::run(&Services::new().with_ours(), directory)
}

#[cfg(not(feature = "dpdk"))]
fn step_nodes(_directory: Option<&Path>) -> anyhow::Result<()> {
    inproc::not_built()
}

/// What joins nodes with `--wire vhost`.
const SWITCH: &str = "hovercraft-switch";

/// The program of this name beside our own.
fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn plan(
    name: &str,
    options: &cli::Cluster,
    audit: bool,
    ends_with_us: bool,
) -> anyhow::Result<Plan> {
    let node_program = match &options.node_program {
        Some(program) => program.clone(),
        None => beside_us("hovercraft-node")?,
    };
    let mut plan = Plan {
        name: name.to_owned(),
        mode: options.mode.into(),
        nodes: options.nodes,
        service: options.service.clone(),
        threads: String::new(),
        idle: String::new(),
        audit,
        small_tables: options.small_tables,
        loopback: options.loopback,
        wire: options.wire.map(Wire::from),
        node_program,
        switch_program: beside_us(SWITCH)?,
        lab_program: std::env::current_exe()?,
        ends_with_us,
    };
    let network = wire::choose(&plan)?.0;
    let polls = network.is_dpdk();
    let nodes = usize::from(options.nodes);
    // A thread that polls without pause wants a core; a core that several share is better slept on, or given away by
    // threads that have no other way to look at their device.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rich = cores > 2 * nodes;
    let one = network.is_one_process() || polls && !rich;
    let threads = if one { ThreadsName::Inline } else { ThreadsName::Split };
    let idle = if polls || rich { IdleName::Yield } else { IdleName::Sleep };
    plan.threads = options.threads.unwrap_or(threads).word().to_owned();
    plan.idle = options.idle.unwrap_or(idle).word().to_owned();
    Ok(plan)
}

fn up(name: &str, options: &cli::Cluster) -> anyhow::Result<()> {
    ffi::catch_signals()?;
    options.check_up()?;
    let plan = plan(name, options, false, false)?;
    let mut lab = Lab::up(&plan, &mut |line| eprintln!("{line}"))?;
    lab.wait_for_leader(run::ELECTION, &|| ffi::caught().is_some())?;
    let view = lab.keep()?;
    println!("{}", view.how_to_talk(name));
    Ok(())
}

fn run(name: &str, options: &cli::Run) -> anyhow::Result<ExitCode> {
    ffi::catch_signals()?;
    options.check()?;
    let load_program = match &options.load_program {
        Some(program) => program.clone(),
        None => beside_us("lancet")?,
    };
    let plan = run::Plan {
        cluster: plan(name, &options.cluster, true, !options.keep)?,
        load_program,
        rate: options.rate,
        length: Duration::from_secs(options.seconds.into()),
        keep: options.keep,
        json: options.json.clone(),
    };
    let holds = run::run(&plan, &|| ffi::caught().is_some());
    // As shells count it: 128 and the signal.
    if let (Err(error), Some(signal)) = (&holds, ffi::caught()) {
        eprintln!("{error:#}");
        return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
    }
    Ok(if holds? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bench(name: &str, options: &cli::Bench) -> anyhow::Result<()> {
    ffi::catch_signals()?;
    let mut places = options.places.clone();
    if places.contains(&WhereName::Namespaces)
        && let Err(reason) = network::namespaces_possible()
    {
        eprintln!("{reason:#}: loopback only");
        places.retain(|&place| place == WhereName::Loopback);
        ensure!(!places.is_empty(), "nothing is left to measure");
    }
    let mut clusters = Vec::new();
    for place in places {
        for &mode in &options.modes {
            let cluster = cli::Cluster {
                mode,
                nodes: options.nodes,
                service: "synthetic".to_owned(),
                threads: Some(options.threads),
                idle: options.idle,
                small_tables: false,
                wire: (place == WhereName::Namespaces).then_some(WireName::Udp),
                loopback: place == WhereName::Loopback,
                node_program: options.node_program.clone(),
            };
            clusters.push((place.word(), plan(name, &cluster, false, true)?));
        }
    }
    let plan = bench::Plan {
        clusters,
        load_program: match &options.load_program {
            Some(program) => program.clone(),
            None => beside_us("lancet")?,
        },
        open: options.open.clone(),
        rounds: options.rounds,
        length: Duration::from_secs_f64(options.seconds),
        request: options.request,
        reply: options.reply,
    };
    let rows = bench::run(&plan, &mut |line| eprintln!("{line}"), &|| ffi::caught().is_some())?;
    if let Some(file) = &options.json {
        bench::write_json(&rows, file)?;
    }
    print!("{}", bench::table(&rows));
    Ok(())
}

fn status(view: &View, json: bool) -> anyhow::Result<()> {
    if !json {
        println!("node  role       term  leader  commit      applied     last        unordered");
    }
    for node in view.nodes() {
        match view.status(node) {
            Ok(status) if json => println!("{}", serde_json::to_string(&status)?),
            Ok(status) => println!(
                "{node:<5} {:<10} {:<5} {:<7} {:<11} {:<11} {:<11} {}",
                status.role,
                status.term,
                status.leader.map_or_else(|| "-".to_owned(), |leader| leader.to_string()),
                status.commit,
                status.applied,
                status.last,
                status.unordered
            ),
            Err(error) if json => {
                println!("{}", serde_json::json!({ "id": node, "error": format!("{error:#}") }));
            }
            Err(error) => println!("{node:<5} {error:#}"),
        }
    }
    Ok(())
}

fn kill(view: &View, target: Target, signal: i32) -> anyhow::Result<()> {
    let (was_alive, name) = match target {
        Target::Switch => (view.switch()?.signal(signal)?, "the switch".to_owned()),
        Target::Node(node) => (view.kill(node, signal)?, format!("node {node}")),
        Target::Leader => {
            let leader = view.agreed_leader().flatten();
            let leader = leader
                .context("the living nodes name no common leader; see `hovercraft-lab status`")?;
            (view.kill(leader, signal)?, format!("node {leader}"))
        }
    };
    ensure!(was_alive, "{name} is dead already");
    println!("sent signal {signal} to {name}");
    Ok(())
}

fn exec(view: &View, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    // Our own programs are found without a path.
    let ours = program.to_str().map(beside_us).transpose()?.filter(|program| program.is_file());
    let program = ours.map_or_else(|| program.clone(), PathBuf::into_os_string);
    let mut command = view.client_command(&program, false)?;
    // So that `cluster.ron` is the lab's.
    let status = command.current_dir(&view.path).args(arguments).status();
    let status = status.with_context(|| format!("cannot run {}", program.to_string_lossy()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
