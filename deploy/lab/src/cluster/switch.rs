//! The switch of a lab whose nodes are on it: started, watched, started again.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{Lab, View, tail};
use crate::admin::{self, Answer};
use crate::network::{Namespaces, Network};
use crate::process::Identity;
use crate::state::{Directory, State};

impl View {
    /// The process of the switch, dead or alive.
    ///
    /// # Errors
    ///
    /// When the lab has none.
    pub fn switch(&self) -> anyhow::Result<Identity> {
        self.state.switch.context("this lab has no switch: it was not started with --wire vhost")
    }

    /// That the switch lives, if the lab has one.
    ///
    /// # Errors
    ///
    /// When it has ended, with its last words.
    pub fn check_switch(&self) -> anyhow::Result<()> {
        let is_there = self.state.switch.is_none_or(|switch| switch.is_alive());
        ensure!(is_there, "the switch ended:\n{}", tail(&self.path.join("switch.log"), 15));
        Ok(())
    }

    /// Asks the switch's admin address.
    ///
    /// # Errors
    ///
    /// When it is dead or does not answer in time.
    pub fn ask_switch(&self, path: &str) -> anyhow::Result<Answer> {
        ensure!(self.switch()?.is_alive(), "the switch is dead");
        let namespaces = self.state.namespaces.as_ref();
        let network = namespaces.map(Namespaces::clients).transpose()?;
        admin::request(network, self.state.network.switch_admin(), "GET", path)
    }
}

impl Lab {
    /// A lab that another command left up, to change what runs in it. It stays up.
    ///
    /// # Errors
    ///
    /// When it is not up, or another command works on it.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let view = View::of(name)?;
        let directory = Directory::lock(name)?;
        Ok(Self { view, directory, children: Vec::new(), keep: true })
    }

    /// Starts the switch, if the lab's network has one: the first time, or after it has ended.
    ///
    /// # Errors
    ///
    /// When it runs already or cannot be started.
    pub fn start_switch(&mut self, program: &Path, ends_with_us: bool) -> anyhow::Result<()> {
        let State { network, switch, .. } = self.view.state;
        ensure!(network == Network::Vhost, "this lab has no switch: it is not on --wire vhost");
        ensure!(switch.is_none_or(|switch| !switch.is_alive()), "the switch runs");
        let namespaces = self.view.state.namespaces.as_ref();
        let namespace: File = namespaces.context("the lab has no namespaces")?.outer()?;
        let mut command = Command::new(program);
        let nodes = self.view.cluster.groups[0].members.iter().map(|member| member.id.number());
        let idle = self.view.group().node.idle;
        command.args(network.switch_arguments(&self.view.path, nodes, idle)?);
        let started = self.spawn(&mut command, Some(namespace), "switch.log", ends_with_us)?;
        self.view.state.switch = Some(started);
        self.directory.record(&self.view.state)
    }
}
