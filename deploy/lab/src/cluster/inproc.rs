//! Nodes that are one process, and what differs with them: who lives, how one is killed, where the load runs.

use std::fs::File;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::{Lab, Plan, View};
use crate::inproc::{self, LOG, Order, SOCKET, STEP_NODES};
use crate::process::Identity;
use crate::wire;

impl View {
    /// Numbers of the nodes that live.
    #[must_use]
    pub fn living(&self) -> Vec<u8> {
        let living = self.state.nodes.iter().filter(|(_, process)| process.is_alive());
        let living: Vec<u8> = living.map(|&(node, _)| node).collect();
        if living.is_empty() || !self.state.network.is_one_process() {
            return living;
        }
        // A process that does not answer has nodes of which nothing is known but that.
        inproc::tell(&self.path, &Order::Living).unwrap_or(living)
    }

    /// Sends a signal to a node; whether it lived. A node among others in one process knows one signal only, `KILL`: it is
    /// stepped no more, and its memory is dropped.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it cannot be signalled.
    pub fn kill(&self, node: u8, signal: i32) -> anyhow::Result<bool> {
        let process = self.process(node)?;
        if !self.state.network.is_one_process() {
            return Ok(process.signal(signal)?);
        }
        ensure!(
            signal == libc::SIGKILL,
            "all nodes are one process: a single one can be killed (--signal KILL), and nothing else"
        );
        let lives = self.living().contains(&node);
        if lives {
            inproc::tell(&self.path, &Order::Kill(node))?;
        }
        Ok(lives)
    }
}

impl Lab {
    /// Starts the process of all nodes.
    pub(super) fn start_inproc(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let directory = self.directory.path().to_owned();
        let socket = directory.join(SOCKET);
        wire::check_socket(&socket)?;
        let mut command = Command::new(&plan.lab_program);
        command.arg(STEP_NODES).arg(&directory).stdout(Stdio::piped());
        let log = File::create(directory.join(LOG))?;
        let started = self.spawn_speaking(&mut command, None, log, plan.ends_with_us)?;
        self.view.state.nodes = (1..=plan.node_count()).map(|node| (node, started)).collect();
        self.directory.record(&self.view.state)?;
        self.wait_for_socket(started)
    }

    /// Until the process follows orders, or has ended: the memory of all nodes is taken first.
    fn wait_for_socket(&self, process: Identity) -> anyhow::Result<()> {
        let begin = Instant::now();
        while inproc::tell(&self.view.path, &Order::Living).is_err() {
            let late = begin.elapsed() > super::STARTING;
            let log = || self.view.tail_of_log(1);
            ensure!(process.is_alive(), "the process of the nodes ended:\n{}", log());
            ensure!(!late, "the process of the nodes does not start:\n{}", log());
            thread::sleep(wire::LOOK);
        }
        Ok(())
    }

    /// Begins a load in the process of all nodes; what it prints, which goes on behind its end.
    ///
    /// # Errors
    ///
    /// When the process refuses, or a load began before.
    pub fn start_load_inside(&mut self, words: Vec<String>) -> anyhow::Result<ChildStdout> {
        let said = self.children.iter_mut().find_map(|child| child.stdout.take());
        let said = said.context("the process of the nodes had a load before")?;
        inproc::tell(&self.view.path, &Order::Load(words))?;
        Ok(said)
    }
}
