//! The process of the nodes: its threads, and what it is told.
//!
//! | thread | does |
//! |---|---|
//! | main | looks at the nodes and logs what happened to them |
//! | hc-idle | steps them while there is no load |
//! | lancet's | a load, which steps them meanwhile |
//! | hc-orders | follows orders of the lab |
//! | hc-admin, for each node | its admin address |

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};
use dataplane::dpdk::Eal;
use hovercraft_config::Cluster;
use hovercraft_node::Services;
use hovercraft_node::stepped::{Attendant, LOOK_EVERY, log_to_stderr};
use lancet_rs::cli::{Arguments, Plan};
use lancet_rs::program::{End, load};
use lancet_rs::run::print_json;
use lancet_rs::stop::Stop;
use serde_json::json;

use super::client::connect;
use super::world::{Kill, Made, Shelf, World};
use super::{Answer, Order, PATIENCE, SOCKET};
use crate::wire;

/// What orders are about.
struct Process {
    attendants: Mutex<Vec<(u8, Attendant)>>,
    kills: Mutex<Sender<Kill>>,
    shelf: Shelf,
    /// A load goes on.
    loaded: AtomicBool,
}

/// Steps the nodes of the lab in `directory` until it is ended; without one, looks whether that could be.
///
/// # Errors
///
/// What this machine has not got, or what ended it.
pub fn run(services: &Services, directory: Option<&Path>) -> anyhow::Result<()> {
    let eal = Eal::start(&wire::eal_of_inproc()).context("--wire inproc")?;
    let Some(directory) = directory else { return Ok(()) };
    log_to_stderr();
    let cluster = Cluster::load(&directory.join("cluster.ron"))?;
    let Made { world, attendants, kills } = World::make(&eal, services, &cluster)?;
    let (shelf, back) = Shelf::new();
    let process = Arc::new(Process {
        attendants: Mutex::new(attendants),
        kills: Mutex::new(kills),
        shelf,
        loaded: AtomicBool::new(false),
    });
    let listener = UnixListener::bind(directory.join(SOCKET))?;
    let stepping = Arc::clone(&process);
    let idle = thread::Builder::new().name("hc-idle".to_owned());
    let idle = idle.spawn(move || stepping.shelf.idle(world, &back))?;
    let told = Arc::clone(&process);
    let orders = thread::Builder::new().name("hc-orders".to_owned());
    let orders = orders.spawn(move || follow(&told, &listener))?;
    while !idle.is_finished() && !orders.is_finished() {
        process.attendants().iter_mut().for_each(|(_, attendant)| attendant.look());
        thread::sleep(LOOK_EVERY);
    }
    bail!("a thread broke an invariant and ended: the nodes are stepped no more")
}

fn follow(process: &Arc<Process>, listener: &UnixListener) {
    for stream in listener.incoming().flatten() {
        // Who went away wants no answer.
        let _ = answer(process, &stream);
    }
}

fn answer(process: &Arc<Process>, mut stream: &UnixStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let followed = match serde_json::from_str(&line)? {
        Order::Living => Ok(()),
        Order::Kill(node) => process.kill(node),
        Order::Load(words) => Process::load(process, words),
    };
    let answer: Answer = followed.map(|()| process.living()).map_err(|error| format!("{error:#}"));
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    Ok(stream.write_all(&line)?)
}

impl Process {
    fn attendants(&self) -> MutexGuard<'_, Vec<(u8, Attendant)>> {
        self.attendants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self) -> Vec<u8> {
        self.attendants().iter().map(|&(node, _)| node).collect()
    }

    /// Invariant 2 of the module above.
    fn kill(&self, node: u8) -> anyhow::Result<()> {
        let mut attendants = self.attendants();
        let place = attendants.iter().position(|&(known, _)| known == node);
        let attendant = attendants.remove(place.context("no such node lives")?);
        drop(attendants);
        let (done, killed) = channel();
        let order = Kill { node, done };
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).send(order)?;
        killed.recv_timeout(PATIENCE).context("nobody steps the nodes")?;
        // What it still had to answer, nobody answers now.
        drop(attendant);
        Ok(())
    }

    fn load(process: &Arc<Self>, words: Vec<String>) -> anyhow::Result<()> {
        let arguments = Arguments::of(words.iter().map(Into::into))?;
        let plan = Plan::new(&arguments)?;
        if process.loaded.swap(true, Ordering::AcqRel) {
            bail!("a load goes on already");
        }
        let process = Arc::clone(process);
        thread::Builder::new().name("hc-load".to_owned()).spawn(move || {
            let shelf = &process.shelf;
            let ended = load(&arguments, &plan, words.into_iter(), &Stop::new(), &|opening| {
                connect(shelf, opening)
            });
            if let Err(error) = &ended {
                eprintln!("lancet: {error:#}");
            }
            process.loaded.store(false, Ordering::Release);
            let good = matches!(ended, Ok(End::Good));
            print_json(&json!({ "event": "ended", "good": good }));
        })?;
        Ok(())
    }
}
