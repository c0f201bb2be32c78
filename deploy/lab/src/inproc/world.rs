//! The nodes and what carries their packets: a value that is stepped by whoever has it.
//!
//! Invariants:
//! - W1. There is one [`World`]; who steps it owns it. A load borrows it from the thread that idles ([`Shelf`]), and it comes
//!   back when the load ends, whatever that ends by.
//! - W2. Every receiver has a copy of its own of a frame (`dataplane::dpdk::cable`): no two nodes share a packet's memory.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{PlugConfig, Wire};
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::Device;
use dataplane::dpdk::{Dpdk, DpdkConfig, Eal};
use hovercraft_config::{Cluster, Idle};
use hovercraft_node::stepped::{AnyQueue, Attendant, Stepped, dpdk_config};
use hovercraft_node::{Plan, Services};

/// Frames that wait at a port, and packets of the wire's pool for each port.
const INBOX: u32 = 2_047;

/// Bytes of a frame that a buffer of the wire takes.
const ROOM: u16 = 2_112;

/// What a round that found nothing to do sleeps, where it is to sleep.
const SLEEP: Duration = Duration::from_micros(50);

/// A node's end; where to say that it has come.
pub(super) struct Kill {
    pub(super) node: u8,
    pub(super) done: Sender<()>,
}

/// The nodes that live, by number, and their wire.
pub(super) struct World {
    nodes: Vec<(u8, Stepped)>,
    kills: Receiver<Kill>,
    idle: Idle,
    /// Of the network's addresses.
    prefix: u8,
    eal: Eal,
    /// Last, so that the ports are gone before it.
    wire: Wire,
}

/// What makes a world, beside it.
pub(super) struct Made {
    pub(super) world: World,
    pub(super) attendants: Vec<(u8, Attendant)>,
    pub(super) kills: Sender<Kill>,
}

impl World {
    /// The nodes of the only group, none of them stepped yet.
    pub(super) fn make(eal: &Eal, services: &Services, cluster: &Cluster) -> anyhow::Result<Made> {
        let group = &cluster.groups[0];
        let ports = u32::try_from(group.members.len() + 1)?;
        let mut wire = Wire::new(Pool::new(eal, ports * (INBOX + 1), ROOM, None)?);
        let (mut nodes, mut attendants) = (Vec::new(), Vec::new());
        // Of all nodes: one process has one clock.
        let clock = Clock::start();
        for member in &group.members {
            let id = member.id.number();
            let plan = Plan::new(cluster.clone(), None, Some(id))?;
            let queues = queues(eal, &mut wire, &plan, clock)
                .with_context(|| format!("node {id} has no port"))?;
            let (node, attendant) = services.step(plan, queues)?;
            nodes.push((id, node));
            attendants.push((id, attendant));
        }
        let (kill, kills) = channel();
        let (idle, prefix) = (group.node.idle, group.node.dpdk.prefix);
        let world = Self { nodes, kills, idle, prefix, eal: eal.clone(), wire };
        Ok(Made { world, attendants, kills: kill })
    }

    /// A port for the client, which sends from `own`.
    pub(super) fn client(&mut self, own: SocketAddr, clock: Clock) -> anyhow::Result<Dpdk> {
        let plug = self.wire.plug_in(PlugConfig { tx_queues: 1, ..PlugConfig::default() })?;
        let config =
            DpdkConfig { clock, ..DpdkConfig::new(own, self.prefix, Device::Plugged(plug)) };
        open(&self.eal, config)
    }

    /// A round: a turn of each node, then what they and the client sent is there. Whether anybody found something to do.
    pub(super) fn step(&mut self) -> bool {
        while let Ok(Kill { node, done }) = self.kills.try_recv() {
            self.nodes.retain(|(id, _)| *id != node);
            // Its port goes off the wire.
            self.wire.settle();
            // Whoever asked may have gone.
            let _ = done.send(());
        }
        let mut busy = false;
        for (_, node) in &mut self.nodes {
            busy |= node.turn();
        }
        busy | (self.wire.settle() > 0)
    }

    /// After a round that found nothing to do.
    pub(super) fn pause(&self) {
        match self.idle {
            Idle::Spin => core::hint::spin_loop(),
            Idle::Yield | Idle::Auto => thread::yield_now(),
            Idle::Sleep => thread::sleep(SLEEP),
        }
    }
}

/// A node's port, with a transmit queue for each half.
fn queues(eal: &Eal, wire: &mut Wire, plan: &Plan, clock: Clock) -> anyhow::Result<[AnyQueue; 2]> {
    let plug = wire.plug_in(PlugConfig { inbox: INBOX, ..PlugConfig::default() })?;
    let mut network = open(eal, dpdk_config(plan, Device::Plugged(plug), clock))?;
    let application = network.transmit_queue()?;
    Ok([Box::new(network), Box::new(application)])
}

fn open(eal: &Eal, mut config: DpdkConfig) -> anyhow::Result<Dpdk> {
    // A plug does not go away by itself.
    config.port.is_watched = false;
    Ok(Dpdk::open(eal, config)?)
}

/// Where the world is between two that step it (W1).
pub(super) struct Shelf {
    wanted: AtomicBool,
    lend: Sender<World>,
    lent: Mutex<Receiver<World>>,
    give_back: Sender<World>,
}

/// A world that goes back when this is dropped.
pub(super) struct Borrowed {
    /// Taken when it goes back.
    world: Option<World>,
    home: Sender<World>,
}

impl Shelf {
    /// And where the idling thread gets it back.
    pub(super) fn new() -> (Self, Receiver<World>) {
        let ((lend, lent), (give_back, back)) = (channel(), channel());
        (Self { wanted: AtomicBool::new(false), lend, lent: Mutex::new(lent), give_back }, back)
    }

    /// Steps the world, and lends it to whoever wants it; never returns, unless whoever had it broke an invariant.
    pub(super) fn idle(&self, mut world: World, back: &Receiver<World>) {
        loop {
            if self.wanted.swap(false, Ordering::AcqRel) {
                let given = self.lend.send(world).is_ok();
                let Some(came) = back.recv().ok().filter(|_| given) else { return };
                world = came;
            }
            if !world.step() {
                world.pause();
            }
        }
    }

    /// Waits for the world to come to rest, and takes it.
    pub(super) fn borrow(&self) -> anyhow::Result<Borrowed> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.store(true, Ordering::Release);
        let world = lent.recv().context("nobody steps the nodes any more")?;
        Ok(Borrowed { world: Some(world), home: self.give_back.clone() })
    }
}

impl core::ops::Deref for Borrowed {
    type Target = World;

    fn deref(&self) -> &World {
        self.world.as_ref().unwrap_or_else(|| unreachable!("taken when dropped"))
    }
}

impl core::ops::DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut World {
        self.world.as_mut().unwrap_or_else(|| unreachable!("taken when dropped"))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if thread::panicking() {
            // A turn broke an invariant: nothing that it left is to be stepped again.
            std::process::abort();
        }
        if let Some(world) = self.world.take() {
            // Nobody waits for it: the process ends.
            let _ = self.home.send(world);
        }
    }
}
