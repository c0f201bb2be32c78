//! A cluster of real processes on this machine.
//!
//! [`Lab::up`] starts one and has the lock on it; what it started ends with it, unless [`Lab::keep`] was called: on an
//! error, a panic or a signal, too (guard). [`View`] looks at a lab that is up, from any command.

mod inproc;
mod switch;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hovercraft_config::{
    Cluster, ClusterKey, Group, GroupSettings, LimitSettings, MemberSettings, Mode, Name,
    ResourceSettings, Settings,
};

use crate::admin::{self, Answer, Status};
use crate::ffi;
use crate::inproc::LOG;
use crate::network::{Namespaces, Network};
use crate::process::Identity;
use crate::state::{self, Directory, MARK, State};
use crate::wire::{self, Wire};

/// How long processes may take to end by themselves.
const PARTING: Duration = Duration::from_secs(2);

/// How long the process of all nodes may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// What a lab is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The lab's name.
    pub name: String,
    /// How the cluster replicates.
    pub mode: Mode,
    /// Nodes, 1 to 15; mode `unreplicated` has one whatever is said here.
    pub nodes: u8,
    /// Service of the nodes.
    pub service: String,
    /// `split` or `inline`.
    pub threads: String,
    /// `spin`, `yield` or `sleep`.
    pub idle: String,
    /// Whether nodes keep what the check of histories asks for.
    pub audit: bool,
    /// Whether minutes of load go round the log and all tables.
    pub small_tables: bool,
    /// Loopback addresses even where namespaces are possible.
    pub loopback: bool,
    /// What packets go over; the best that there is if `None`.
    pub wire: Option<Wire>,
    /// Program of a node.
    pub node_program: PathBuf,
    /// Program of the switch, where the wire has one.
    pub switch_program: PathBuf,
    /// Program that holds namespaces ([`crate::network::HOLD`]): ours.
    pub lab_program: PathBuf,
    /// Whether all ends with the thread that calls [`Lab::up`], even if that is killed.
    pub ends_with_us: bool,
}

/// A lab that this command started.
#[derive(Debug)]
pub struct Lab {
    /// What is running.
    pub view: View,
    directory: Directory,
    children: Vec<Child>,
    keep: bool,
}

/// A lab that is up.
#[derive(Clone, Debug)]
pub struct View {
    /// Its directory: configuration, key, logs.
    pub path: PathBuf,
    /// Its processes.
    pub state: State,
    /// Its cluster.ron, checked.
    pub cluster: Cluster,
}

impl Plan {
    /// Nodes that are really started.
    #[must_use]
    pub fn node_count(&self) -> u8 {
        if self.mode == Mode::Unreplicated { 1 } else { self.nodes }
    }

    /// The mode as cluster.ron has it.
    #[must_use]
    pub const fn mode_word(&self) -> &'static str {
        match self.mode {
            Mode::Unreplicated => "unreplicated",
            Mode::Raft => "raft",
            Mode::Hovercraft => "hovercraft",
        }
    }

    fn settings(&self, network: Network) -> Settings {
        let member = |node: u8| MemberSettings {
            id: node.into(),
            data: network.data(node).to_string(),
            admin: network.admin(node).to_string(),
        };
        let (mut resources, mut limits) = (ResourceSettings::default(), LimitSettings::default());
        if self.small_tables {
            (resources.log_entries, resources.unordered_max) = (32_768, 8_192);
            limits.plain_ids_max = 16_384;
        }
        let group = GroupSettings {
            mode: self.mode_word().into(),
            multicast: (self.mode == Mode::Hovercraft).then(|| network.multicast().to_string()),
            service: Name(self.service.clone()),
            members: (1..=self.node_count()).map(member).collect(),
            threads: Name(self.threads.clone()),
            idle: Name(self.idle.clone()),
            audit: self.audit,
            resources,
            limits,
            ..GroupSettings::default()
        };
        let key_file = Some("cluster.key".to_owned());
        Settings { name: self.name.clone(), key_file, groups: vec![group] }
    }
}

impl Lab {
    /// Takes away what a crash left behind, then starts network and nodes. `say` is told what deserves a line.
    ///
    /// # Errors
    ///
    /// When a lab of this name was left running on purpose, or anything cannot be started; nothing is left then.
    pub fn up(plan: &Plan, say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let inside = plan.wire == Some(Wire::Inproc);
        let program = if inside { &plan.lab_program } else { &plan.node_program };
        ensure!(
            program.is_file(),
            "no program {}; build it with `cargo build --release`",
            program.display()
        );
        let directory = Directory::lock(&plan.name)?;
        if directory.state().ok().flatten().is_some_and(|state| state.kept && state.is_alive()) {
            let name = &plan.name;
            bail!(
                "the lab {name} is up already; take it down with `hovercraft-lab down --name {name}`"
            );
        }
        let ended = directory.clear(Duration::ZERO, false)?;
        if ended > 0 {
            say(&format!("took away {ended} processes of an earlier run that did not end well"));
        }
        let (network, reasons) = wire::choose(plan)?;
        reasons.iter().for_each(|reason| say(reason));
        let settings = plan.settings(network);
        let file = directory.file("cluster.ron");
        fs::write(&file, settings.to_ron())?;
        new_key()?.save_new(&directory.file("cluster.key"))?;
        let cluster = Cluster::load(&file)?;
        let state = State::new(network);
        directory.record(&state)?;
        let view = View { path: directory.path().to_owned(), state, cluster };
        let mut lab = Self { view, directory, children: Vec::new(), keep: false };
        lab.start(plan)?;
        Ok(lab)
    }

    fn start(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let nodes = plan.node_count();
        let network = self.view.state.network;
        if network.has_namespaces() {
            let mark = (MARK, self.directory.path().as_os_str());
            let log = File::create(self.directory.file("network.log"))?;
            let (namespaces, holder) = Namespaces::create(
                &plan.lab_program,
                nodes,
                network,
                mark,
                log,
                plan.ends_with_us,
            )?;
            self.children.push(holder);
            self.view.state.namespaces = Some(namespaces);
            self.directory.record(&self.view.state)?;
        }
        if network == Network::Vhost {
            self.start_switch(&plan.switch_program, plan.ends_with_us)?;
        }
        if network.is_one_process() {
            return self.start_inproc(plan);
        }
        for node in 1..=nodes {
            self.start_node(plan, node)?;
        }
        Ok(())
    }

    fn start_node(&mut self, plan: &Plan, node: u8) -> anyhow::Result<()> {
        let mut command = Command::new(&plan.node_program);
        let network = self.view.state.network;
        command.args(network.back_end(&plan.threads));
        command.args(["--", "--config"]).arg(self.directory.file("cluster.ron"));
        command.args(["--id", &node.to_string()]);
        command.args(network.node_arguments(self.directory.path(), node)?);
        let namespaces = self.view.state.namespaces.as_ref();
        let network = namespaces.map(|namespaces| namespaces.node(node)).transpose()?;
        let log = format!("node-{node}.log");
        let started = self.spawn(&mut command, network, &log, plan.ends_with_us)?;
        self.view.state.nodes.push((node, started));
        self.directory.record(&self.view.state)
    }

    /// Starts a process that belongs to the lab, its output in a log of the lab's directory.
    fn spawn(
        &mut self,
        command: &mut Command,
        network: Option<File>,
        log: &str,
        ends_with_us: bool,
    ) -> anyhow::Result<Identity> {
        let log = File::create(self.directory.file(log))?;
        command.stdout(log.try_clone()?);
        self.spawn_speaking(command, network, log, ends_with_us)
    }

    /// The same, with an output that is the caller's to set: the log has its complaints.
    fn spawn_speaking(
        &mut self,
        command: &mut Command,
        network: Option<File>,
        log: File,
        ends_with_us: bool,
    ) -> anyhow::Result<Identity> {
        command.stderr(log);
        command.env(MARK, self.directory.path());
        state::detach(command);
        ffi::prepare(command, network, ends_with_us);
        let name = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let identity = Identity::of(child.id());
        self.children.push(child);
        identity.with_context(|| format!("{name} ended at once"))
    }

    /// Starts a process of ours beside a node, in its namespace; its output goes to `log` in the lab's directory.
    ///
    /// # Errors
    ///
    /// When the lab's network is gone or the program cannot be started.
    pub fn start_beside(
        &mut self,
        node: u8,
        command: &mut Command,
        log: &str,
    ) -> anyhow::Result<Identity> {
        let namespaces = self.view.state.namespaces.as_ref();
        let network = namespaces.map(|namespaces| namespaces.node(node)).transpose()?;
        self.spawn(command, network, log, true)
    }

    /// A command that runs where clients are, ends with us, and is found by its mark if it does not.
    ///
    /// # Errors
    ///
    /// When the lab's network is gone.
    pub fn client_command(&self, program: &OsStr) -> anyhow::Result<Command> {
        let mut command = self.view.client_command(program, true)?;
        command.env(MARK, self.directory.path());
        state::detach(&mut command);
        Ok(command)
    }

    /// Waits until every node answers and, in a replicated mode, all name the same leader. Its number, then.
    ///
    /// # Errors
    ///
    /// When `patience` is over, a node ended, or `interrupted` says so.
    pub fn wait_for_leader(
        &mut self,
        patience: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<u8>> {
        let deadline = Instant::now() + patience;
        loop {
            ensure!(!interrupted(), "interrupted");
            for (node, process) in &self.view.state.nodes {
                ensure!(process.is_alive(), "node {node} ended:\n{}", self.view.tail_of_log(*node));
            }
            self.view.check_switch()?;
            if let Some(leader) = self.view.agreed_leader() {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                let logs: String =
                    self.view.nodes().map(|node| self.view.tail_of_log(node)).collect();
                bail!("no leader that all nodes name within {patience:?}\n{logs}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Leaves the lab running when this value goes.
    ///
    /// # Errors
    ///
    /// When that cannot be recorded.
    pub fn keep(mut self) -> anyhow::Result<View> {
        self.view.state.kept = true;
        self.directory.record(&self.view.state)?;
        self.keep = true;
        Ok(self.view.clone())
    }

    /// Takes everything away.
    ///
    /// # Errors
    ///
    /// When a process cannot be ended.
    pub fn down(mut self) -> anyhow::Result<()> {
        self.keep = true;
        let cleared = self.directory.clear(PARTING, false);
        self.reap();
        cleared.and_then(|_| self.directory.remove())
    }

    fn reap(&mut self) {
        for child in &mut self.children {
            // Ended or not ours to wait for any more: either way nothing is to be done.
            let _ = child.try_wait();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = self.directory.clear(PARTING, true) {
            eprintln!("{error:#}");
        }
        self.reap();
    }
}

/// Takes down the lab of this name; how many processes that ended.
///
/// # Errors
///
/// When another command works on it or a process cannot be ended.
pub fn down(name: &str) -> anyhow::Result<usize> {
    let directory = Directory::lock(name)?;
    let ended = directory.clear(PARTING, false)?;
    directory.remove()?;
    Ok(ended)
}

impl View {
    /// The lab of this name.
    ///
    /// # Errors
    ///
    /// When it is not up.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let (path, state) = state::look(name)?;
        let cluster = Cluster::load(&path.join("cluster.ron"))?;
        Ok(Self { path, state, cluster })
    }

    /// The only group of a lab.
    ///
    /// # Panics
    ///
    /// Never: a checked cluster has a group.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.cluster.groups[0]
    }

    /// Numbers of all nodes, dead ones too.
    pub fn nodes(&self) -> impl Iterator<Item = u8> {
        self.state.nodes.iter().map(|&(node, _)| node)
    }

    /// The process of a node.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn process(&self, node: u8) -> anyhow::Result<Identity> {
        let found = self.state.nodes.iter().find(|&&(other, _)| other == node);
        found.map(|&(_, process)| process).with_context(|| format!("the lab has no node {node}"))
    }

    /// Asks a node's admin address.
    ///
    /// # Errors
    ///
    /// When the node is dead or does not answer in time.
    pub fn ask(&self, node: u8, method: &str, path: &str) -> anyhow::Result<Answer> {
        self.process(node)?;
        ensure!(self.living().contains(&node), "node {node} is dead");
        let namespaces = self.state.namespaces.as_ref();
        let network = namespaces.map(Namespaces::clients).transpose()?;
        admin::request(network, self.state.network.admin(node), method, path)
    }

    /// What a node says of itself.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn status(&self, node: u8) -> anyhow::Result<Status> {
        let answer = self.ask(node, "GET", "/status")?;
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("node {node}'s status is not understood"))
    }

    /// The leader that every living node names, a leader itself; `Some(None)` for a server without replication.
    #[must_use]
    pub fn agreed_leader(&self) -> Option<Option<u8>> {
        let living = self.living();
        let statuses: Option<Vec<Status>> =
            living.iter().map(|&node| self.status(node).ok()).collect();
        let statuses = statuses?;
        if self.group().mode == Mode::Unreplicated {
            return (!statuses.is_empty()).then_some(None);
        }
        let leader = statuses.iter().find(|status| status.role == "leader")?.id;
        let agreed = statuses.iter().all(|status| status.leader == Some(leader));
        agreed.then_some(Some(leader))
    }

    /// A command that runs where clients are.
    ///
    /// # Errors
    ///
    /// When the lab's network is gone, or is inside one process.
    pub fn client_command(&self, program: &OsStr, ends_with_us: bool) -> anyhow::Result<Command> {
        ensure!(
            !self.state.network.is_one_process(),
            "nodes and client are one process: nobody else reaches the nodes"
        );
        let mut command = Command::new(program);
        let namespaces = self.state.namespaces.as_ref();
        let network = namespaces.map(Namespaces::clients).transpose()?;
        ffi::prepare(&mut command, network, ends_with_us);
        Ok(command)
    }

    /// How to reach it from a shell; `exec` runs in the lab's own directory.
    #[must_use]
    pub fn how_to_talk(&self, name: &str) -> String {
        let name = if name == "default" { String::new() } else { format!(" --name {name}") };
        let us = std::env::current_exe().unwrap_or_else(|_| "hovercraft-lab".into());
        let us = us.display();
        format!(
            "the cluster is up on {}\n\
             talk to it:   {us} exec{name} -- kvctl --config cluster.ron put k v\n\
             look at it:   {us} status{name}\n\
             kill a node:  {us} kill{name} --node leader\n\
             take it down: {us} down{name}",
            self.state.network.describe()
        )
    }

    /// The last lines that a node logged.
    #[must_use]
    pub fn tail_of_log(&self, node: u8) -> String {
        let is_one = self.state.network.is_one_process();
        let log = if is_one { LOG.to_owned() } else { format!("node-{node}.log") };
        tail(&self.path.join(log), 15)
    }
}

/// The last `count` lines of a file, with its name.
fn tail(path: &Path, count: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    format!("{}:\n  {}\n", path.display(), last.join("\n  "))
}

fn new_key() -> anyhow::Result<ClusterKey> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes).context("no random bytes for a key")?;
    Ok(ClusterKey::new(bytes))
}
