//! The switch as a process: its ports, its thread, its end.

use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam::channel;
use dataplane::clock::Clock;
use dataplane::dpdk::forward::Switch;
use dataplane::dpdk::packet::{Pool, PoolError};
use dataplane::dpdk::port::{PortConfig, PortError};
use dataplane::dpdk::{DpdkError, Eal, EalError, choose_port};
use hovercraft_config::Idle;
use thiserror::Error;
use tracing::{info, warn};

use super::cli::SwitchArgs;
use super::report::{Publishers, Reports, boards};
use crate::admin::Admin;
use crate::dpdk::core;
use crate::ffi::EndSignals;
use crate::threads::{self, Started};
use crate::words;

/// Time between two looks at links and thread.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a device may take to be added.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the thread may take to start.
const START_MAX: Duration = Duration::from_secs(5);

/// What a turn that sleeps sleeps.
const SLEEP: Duration = Duration::from_micros(20);

/// Bytes of a frame beside its IPv4 packet: Ethernet, two tags, check sequence, and what drivers round up.
const FRAME_BESIDE: u16 = 64;

/// Drivers want buffers of this size at least.
const ROOM_MIN: u16 = 2_048;

/// Why a switch does not run.
#[derive(Debug, Error)]
pub(super) enum SwitchError {
    /// The EAL's arguments, or what this machine has for them.
    #[error("--dpdk: {0}")]
    Eal(#[from] EalError),
    /// A port that is not there.
    #[error("--port: {0}")]
    Choice(#[from] DpdkError),
    /// A port that cannot be opened.
    #[error("--port: {0}")]
    Port(#[from] PortError),
    /// Too little memory.
    #[error("--dpdk: {0}")]
    Pool(#[from] PoolError),
    /// A socket of a living process (W2).
    #[error(
        "--port: at {0} a living process listens already, such as another switch; end that first"
    )]
    Taken(String),
    /// The admin address.
    #[error("--admin {0}: cannot listen there: {1}; is another process there?")]
    Admin(SocketAddr, io::Error),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The core of the EAL's.
    #[error("--dpdk: cannot use core {0}: {1}")]
    Core(usize, io::Error),
    /// The thread has panicked.
    #[error("the switch's thread broke an invariant and ended")]
    Broken,
}

/// Runs until a signal ends it.
pub(super) fn run(eal: &[String], args: &SwitchArgs) -> Result<(), SwitchError> {
    // Before any thread is started, so that all of them have the signals blocked.
    let signals = EndSignals::block()?;
    if let Some(path) = args.ports.iter().find_map(|port| living_socket(port)) {
        return Err(SwitchError::Taken(path.to_owned()));
    }
    let listener = args.admin.map(|address| {
        TcpListener::bind(address).map_err(|cause| SwitchError::Admin(address, cause))
    });
    let listener = listener.transpose()?;
    let eal = Eal::start(eal)?;
    let switch = open(&eal, args)?;
    let names = switch.ports().map(|port| (port.name().to_owned(), port.watch())).collect();
    let clock = Clock::start();
    let (publishers, reports) = boards(clock, names);
    let admin = listener.map(|listener| Admin::serve(listener, reports.clone())).transpose()?;
    let core = eal.lcores().first().and_then(core);
    let idle = threads::idle(args.idle(), core, &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let thread = start(Forwarding { switch, publishers, clock, idle }, core, &stop)?;
    info!(eal = eal.version(), ports = ?args.ports, core, idle = words::idle(idle), "switch runs");
    let whole = supervise(&thread, &reports, &signals);
    stop.store(true, Ordering::Release);
    let joined = thread.join();
    if let Some(admin) = admin {
        admin.stop();
    }
    if !whole || joined.is_err() {
        return Err(SwitchError::Broken);
    }
    info!("ended");
    Ok(())
}

/// The path of a `net_vhost` device at which somebody listens.
fn living_socket(port: &str) -> Option<&str> {
    let mut arguments = port.strip_prefix("net_vhost")?.split(',');
    let path = arguments.find_map(|argument| argument.strip_prefix("iface="))?;
    UnixStream::connect(path).is_ok().then_some(path)
}

fn open(eal: &Eal, args: &SwitchArgs) -> Result<Switch, SwitchError> {
    let mut configs = Vec::new();
    for port in &args.ports {
        let device = choose_port(eal, port)?;
        let mtu = args.mtu;
        let config = PortConfig::new(device);
        let wanted =
            PortConfig { mtu, promiscuous: true, tx_queues: 1, patience: PATIENCE, ..config };
        configs.push(wanted);
    }
    let descriptors = |config: &PortConfig| (config.rx_descriptors, config.tx_descriptors);
    let (receive, transmit) = configs.first().map_or((0, 0), descriptors);
    let count = u32::try_from(configs.len()).unwrap_or(u32::MAX);
    let room = args.mtu.saturating_add(FRAME_BESIDE).max(ROOM_MIN);
    let pool = Pool::new(eal, Switch::buffers(count, receive, transmit), room, None)?;
    let mut switch = Switch::new(pool);
    for config in configs {
        switch.add(config)?;
    }
    Ok(switch)
}

/// What the thread has.
struct Forwarding {
    switch: Switch,
    publishers: Publishers,
    clock: Clock,
    idle: Idle,
}

impl Forwarding {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let now = self.clock.now();
            let busy = self.switch.step(now) > 0;
            self.publishers.turn(now, busy, self.switch.learned(), self.switch.counters());
            if !busy {
                match self.idle {
                    Idle::Spin => core::hint::spin_loop(),
                    Idle::Yield | Idle::Auto => thread::yield_now(),
                    Idle::Sleep => thread::sleep(SLEEP),
                }
            }
        }
    }
}

fn start(
    forwarding: Forwarding,
    core: Option<usize>,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>, SwitchError> {
    let (started, ready) = channel::bounded(1);
    let wanted = Started { thread: "hc-switch", core, idle: forwarding.idle };
    let stop = Arc::clone(stop);
    let thread = threads::spawn(wanted, started, move || forwarding.run(&stop))?;
    match ready.recv_timeout(START_MAX) {
        Ok(Ok(_)) => Ok(thread),
        Ok(Err((core, cause))) => Err(SwitchError::Core(core, cause)),
        Err(_) => Err(SwitchError::Thread(io::ErrorKind::TimedOut.into())),
    }
}

/// Until a signal comes; false when the thread has ended before. Logs who comes and goes.
fn supervise(thread: &JoinHandle<()>, reports: &Reports, signals: &EndSignals) -> bool {
    let mut last: Vec<bool> = reports.links().map(|_| false).collect();
    while !signals.wait(LOOK_EVERY) {
        if thread.is_finished() {
            return false;
        }
        for (was, (port, is)) in last.iter_mut().zip(reports.links()) {
            match (*was, is) {
                (false, true) => info!(port, "somebody is there"),
                (true, false) => warn!(port, "nobody is there any more"),
                _ => {}
            }
            *was = is;
        }
    }
    info!("asked to end");
    true
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn w2_only_a_socket_where_somebody_listens_is_taken() {
        let path = std::env::temp_dir().join(format!("hc-switch-{}", std::process::id()));
        let port = format!("net_vhost1,iface={},queues=1", path.display());
        assert_eq!(living_socket(&port), None, "no socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(living_socket(&port), path.to_str());
        assert_eq!(living_socket("0"), None);
        assert_eq!(living_socket(&port.replace("vhost", "af_packet")), None);
        drop(listener);
        assert_eq!(living_socket(&port), None, "left behind by one that ended");
        std::fs::remove_file(path).unwrap();
    }
}
