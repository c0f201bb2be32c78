//! What several tests of labs need.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hovercraft_config::Mode;
use hovercraft_lab::cluster::Plan;
use hovercraft_lab::wire::{self, Wire};

/// A node that writes its arguments to its log and waits to be ended.
const NODE: &str = "#!/bin/sh\necho \"$@\"\nexec sleep 600\n";

/// A plan with a name of its own and idle nodes; the program is removed with the value.
pub(crate) struct Idle {
    pub(crate) plan: Plan,
}

impl Idle {
    pub(crate) fn new(test: &str, nodes: u8, loopback: bool) -> Self {
        let name = format!("t{}-{test}", std::process::id());
        let node_program: PathBuf = std::env::temp_dir().join(format!("{name}-node"));
        fs::write(&node_program, NODE).unwrap();
        fs::set_permissions(&node_program, fs::Permissions::from_mode(0o755)).unwrap();
        let plan = Plan {
            name,
            mode: Mode::Hovercraft,
            nodes,
            service: "kv".to_owned(),
            threads: "split".to_owned(),
            idle: "sleep".to_owned(),
            audit: true,
            small_tables: false,
            loopback,
            wire: Some(Wire::Udp),
            node_program,
            switch_program: PathBuf::new(),
            lab_program: env!("CARGO_BIN_EXE_hovercraft-lab").into(),
            ends_with_us: true,
        };
        Self { plan }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.plan.node_program);
    }
}

/// Where the lab of this name keeps its files.
pub(crate) fn directory(name: &str) -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute() && path.is_dir());
    let user = hovercraft_lab::ffi::user();
    let shared = || std::env::temp_dir().join(format!("hovercraft-lab-{user}"));
    runtime.map_or_else(shared, |path| path.join("hovercraft-lab")).join(name)
}

/// Longest gap between acknowledged writes that is still a fail-over and not a stall: ten election timeouts, for the
/// machine may be busy with other things.
pub(crate) const FAILOVER_MAX_MS: f64 = 3_000.0;

/// The shortest after which a leader that was really killed can have a successor: election timeouts are 150 ms at least, from a
/// message that is a heartbeat (40 ms) old at most.
pub(crate) const FAILOVER_MIN_MS: f64 = 100.0;

/// Each cluster wants the machine for itself.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where release builds go, as `deploy/quickstart.sh` has it.
pub(crate) fn program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    target.unwrap_or_else(ours).join("release").join(name)
}

/// A plan for three real nodes; none, with the reason on standard error, where this machine has not got the wire.
pub(crate) fn real(test: &str, wire: Wire) -> Option<Plan> {
    let plan = Plan {
        name: format!("t{}-{test}", std::process::id()),
        mode: Mode::Hovercraft,
        nodes: 3,
        service: "kv".to_owned(),
        threads: "inline".to_owned(),
        idle: "yield".to_owned(),
        audit: true,
        small_tables: false,
        loopback: false,
        wire: Some(wire),
        node_program: program("hovercraft-node"),
        switch_program: program("hovercraft-switch"),
        lab_program: env!("CARGO_BIN_EXE_hovercraft-lab").into(),
        ends_with_us: true,
    };
    match wire::choose(&plan) {
        Ok((network, _)) => {
            let is_it = wire == Wire::Udp || network.is_dpdk();
            assert!(is_it, "{wire:?} was asked for: {}", network.describe());
            Some(plan)
        }
        Err(why) => {
            eprintln!("NOT RUN: {wire:?}: {why:#}");
            None
        }
    }
}
