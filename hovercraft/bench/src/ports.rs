//! DPDK between the machines: each has the two queues that a real node has, the client one, all on ports of one wire.
//!
//! What differs from a card: the wire takes the buffers of sent frames and fills those of received ones, which costs the
//! whole operation two copies of each frame and the leader nothing.
//!
//! Invariants:
//! - P1. Everybody's address is known before the first step: no packet waits for its neighbour.
//! - P2. A node takes turns while bursts are full: what was sent in a step is taken in the next, as in memory.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use dataplane::backend::{ArrivedAt, Queue};
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{self, Plug, PlugConfig};
use dataplane::dpdk::packet::{BURST, Pool};
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig, Eal};
use dataplane::net::MacAddress;
use etherparse::PacketBuilder;
use r2p2::Instant;
use raft_core::ids::{NodeId, NodeSet};

use crate::machine::{Datagram, Inbox, Machine, Wire};
use crate::network::{Network, Passed, Rerun};
use crate::tape::Tape;
use crate::world::{CLIENT, GROUP, Mode, Shape, address};

/// Ordinary memory, no devices but the ports made here.
const EAL: &str = "-l 0 --no-huge -m 512 --no-pci --no-shconf --no-telemetry";
/// Everybody is a neighbour.
const PREFIX: u8 = 8;
/// Packet buffers for all: few are in turn at a time.
const BUFFERS: u32 = 16_000;
/// Bytes of a frame that a buffer takes.
const ROOM: u16 = 2_112;
/// Steps within which all have found each other.
const MEETING: u32 = 1_000;

/// Reruns, at least: a turn during which another process had the processor must not be the fastest of its kind.
const RERUNS_MIN: u32 = 5;

/// All ports.
#[derive(Debug)]
pub(crate) struct Ports {
    nodes: Vec<Node>,
    client: Dpdk,
    /// What the nodes' packets are told apart by, in order.
    addresses: Vec<SocketAddr>,
    /// For whom something was sent in this step, and for whom something is there.
    sent: Sent,
    there: u16,
    /// Last, so that the ports are gone before it.
    wire: cable::Wire,
}

/// A node's queues.
#[derive(Debug)]
struct Node {
    network: Dpdk,
    application: Dpdk,
    plug: Plug,
}

/// What was sent in a step.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// A bit for each node, by its place, and [`TO_CLIENT`].
    to: u16,
    frames: usize,
}

const TO_CLIENT: u16 = 1 << 15;
const TO_ALL: u16 = TO_CLIENT - 1;

/// Carries what one node sends.
struct Links<'a> {
    network: &'a mut Dpdk,
    application: &'a mut Dpdk,
    addresses: &'a [SocketAddr],
    sent: &'a mut Sent,
}

impl Wire for Links<'_> {
    fn to_nodes(&mut self, nodes: NodeSet, packet: &[u8]) {
        let mut to = [CLIENT; NodeId::MAX_NODES as usize];
        let mut count = 0;
        for node in nodes.iter() {
            let place = usize::from(node.number()) - 1;
            to[count] = self.addresses[place];
            self.sent.to |= 1 << place;
            count += 1;
        }
        self.sent.frames += self.network.send_all(&to[..count], packet, &[]);
    }

    fn to_client(&mut self, to: SocketAddr, packet: &[u8]) {
        self.sent.to |= TO_CLIENT;
        self.sent.frames += usize::from(self.network.send(to, packet, &[]));
    }

    fn answer(&mut self, to: SocketAddr, head: &[u8], payload: &[u8]) {
        self.sent.to |= TO_CLIENT;
        self.sent.frames += usize::from(self.application.send(to, head, payload));
    }

    fn network_done(&mut self) {
        self.network.flush();
    }
}

impl Node {
    /// A turn of both halves; returns how many packets came. With an inbox they are noted there.
    #[inline]
    fn turn(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        (addresses, sent): (&[SocketAddr], &mut Sent),
        mut note: Option<&mut Inbox>,
    ) -> usize {
        let came = self.network.receive(&mut |arrival| {
            let group = matches!(arrival.to, ArrivedAt::Group(_));
            if let Some(inbox) = &mut note {
                inbox.push(arrival.from, group, &[arrival.bytes]);
            }
            machine.take(now, Datagram { from: arrival.from, group, bytes: arrival.bytes });
        });
        let (network, application) = (&mut self.network, &mut self.application);
        machine.end_turn(now, &mut Links { network, application, addresses, sent });
        self.application.flush();
        came
    }

    /// [`Self::turn`] under a name of its own, by which callgrind tells the part that counts.
    #[inline(never)]
    fn turn_counted(&mut self, machine: &mut Machine, now: Instant, addresses: &[SocketAddr]) {
        self.turn(machine, now, (addresses, &mut Sent::default()), None);
    }

    /// Puts a turn's frames into the port.
    fn feed(&self, frames: &[Vec<u8>]) {
        for frame in frames {
            assert!(self.plug.put(frame), "a frame of the tape found no room");
        }
    }

    /// Takes away what a turn sent.
    fn forget_sent(&self) {
        while self.plug.take().is_some() {}
    }
}

impl Network for Ports {
    const COUNTED: &str = "*Node::turn_counted*";

    fn open(shape: Shape) -> Result<Self> {
        let eal = eal()?;
        let pool = Pool::new(&eal, BUFFERS, ROOM, None)?;
        let mut wire = cable::Wire::new(pool.clone());
        let groups: &[_] = if shape.mode == Mode::Hovercraft { &[GROUP] } else { &[] };
        let addresses: Vec<_> = (0..usize::from(shape.nodes)).map(address).collect();
        let mut nodes = Vec::new();
        for &own in &addresses {
            let (mut network, plug) = queue(&eal, &mut wire, &pool, own, groups)?;
            let application = network.transmit_queue()?;
            nodes.push(Node { network, application, plug });
        }
        let (client, _) = queue(&eal, &mut wire, &pool, CLIENT, &[])?;
        let mut ports = Self { nodes, client, addresses, sent: Sent::default(), there: 0, wire };
        ports.meet()?;
        Ok(ports)
    }

    fn deliver(&mut self) {
        let moved = self.wire.settle();
        // More than that: somebody's network stack has said something.
        self.there = if moved == self.sent.frames { self.sent.to } else { u16::MAX };
        self.sent = Sent::default();
    }

    fn is_idle(&self) -> bool {
        self.sent.frames == 0
    }

    fn waits_for(&self, place: usize) -> bool {
        self.there & (1 << place) != 0
    }

    fn turn(
        &mut self,
        place: usize,
        machine: &mut Machine,
        now: Instant,
        mut tape: Option<&mut Tape>,
    ) -> Passed {
        let (node, before) = (&mut self.nodes[place], self.sent.frames);
        let mut came = 0;
        loop {
            let mut noted = tape.is_some().then(Inbox::default);
            let sent = &mut self.sent;
            let burst = node.turn(machine, now, (&self.addresses, sent), noted.as_mut());
            came += burst as u64;
            if let (Some(tape), Some(noted)) = (&mut tape, noted) {
                tape.record(now, noted);
            }
            if burst < BURST {
                return Passed { came, left: (self.sent.frames - before) as u64 };
            }
        }
    }

    fn client_takes(&mut self, take: &mut impl FnMut(SocketAddr, &[u8])) {
        if self.there & TO_CLIENT != 0 {
            while self.client.receive(&mut |arrival| take(arrival.from, arrival.bytes)) == BURST {}
        }
    }

    fn client_sends(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) {
        self.sent.frames += usize::from(self.client.send(to, head, tail));
        let place = self.addresses.iter().position(|&address| address == to);
        self.sent.to |= place.map_or(TO_ALL, |place| 1 << place);
    }

    fn client_done(&mut self) {
        self.client.flush();
    }

    /// The sum of the fastest of each turn, less what the clock itself takes: what puts the frames there is not counted.
    fn time(&mut self, place: usize, rerun: Rerun<'_>, rounds: u32) -> Duration {
        let (warm, measured) = (frames(place, rerun.warm), frames(place, rerun.measured));
        let (clock, mut best) = (Clock::start(), vec![Duration::MAX; measured.len()]);
        for _ in 0..rounds.max(RERUNS_MIN) {
            let mut machine = rerun.machine();
            self.again(place, &warm, |node, now, addresses| {
                node.turn(&mut machine, now, (addresses, &mut Sent::default()), None);
            });
            let mut turns = best.iter_mut();
            self.again(place, &measured, |node, now, addresses| {
                let begin = clock.now();
                node.turn(&mut machine, now, (addresses, &mut Sent::default()), None);
                let took = clock.now().saturating_sub(begin);
                if let Some(best) = turns.next() {
                    *best = took.min(*best);
                }
            });
        }
        let of_clock = time_of(clock);
        best.iter().map(|time| time.saturating_sub(of_clock)).sum()
    }

    fn count(&mut self, place: usize, rerun: Rerun<'_>) {
        let (warm, measured) = (frames(place, rerun.warm), frames(place, rerun.measured));
        let mut machine = rerun.machine();
        self.again(place, &warm, |node, now, addresses| {
            node.turn(&mut machine, now, (addresses, &mut Sent::default()), None);
        });
        self.again(place, &measured, |node, now, addresses| {
            node.turn_counted(&mut machine, now, addresses);
        });
    }
}

impl Ports {
    /// All say something to all: addresses are found (P1).
    fn meet(&mut self) -> Result<()> {
        let all: Vec<_> = self.addresses.iter().copied().chain([CLIENT]).collect();
        let mut queues: Vec<_> = self.nodes.iter_mut().map(|node| &mut node.network).collect();
        queues.push(&mut self.client);
        for (queue, &own) in queues.iter_mut().zip(&all) {
            for &to in all.iter().filter(|&&to| to != own) {
                queue.send(to, b"here", &[]);
            }
            queue.flush();
        }
        let mut heard = 0;
        for _ in 0..MEETING {
            self.wire.settle();
            for queue in &mut queues {
                heard += queue.receive(&mut |_| ());
            }
            if heard == all.len() * (all.len() - 1) {
                return Ok(());
            }
        }
        Err(anyhow!("{heard} packets came of those that all send to all: addresses were not found"))
    }

    /// A tape's turns, each with its frames in the port, and what it sends out of the way.
    fn again(
        &mut self,
        place: usize,
        turns: &[(Instant, Vec<Vec<u8>>)],
        mut turn: impl FnMut(&mut Node, Instant, &[SocketAddr]),
    ) {
        let node = &mut self.nodes[place];
        for (now, frames) in turns {
            node.feed(frames);
            turn(node, *now, &self.addresses);
            node.forget_sent();
        }
    }
}

/// EAL starts once in a process.
fn eal() -> Result<Eal> {
    static STARTED: OnceLock<Eal> = OnceLock::new();
    if let Some(eal) = STARTED.get() {
        return Ok(eal.clone());
    }
    let arguments: Vec<String> = EAL.split(' ').map(str::to_owned).collect();
    let eal = Eal::start(&arguments).context("--wire inproc")?;
    Ok(STARTED.get_or_init(|| eal).clone())
}

fn queue(
    eal: &Eal,
    wire: &mut cable::Wire,
    pool: &Pool,
    own: SocketAddr,
    groups: &[SocketAddr],
) -> Result<(Dpdk, Plug)> {
    let plug = wire.plug_in(PlugConfig::default())?;
    let device = Device::Plugged(plug.clone());
    let config = DpdkConfig {
        port: PortConfig { is_watched: false, ..PortConfig::new(device.clone()) },
        pools: Some(Pools { receive: pool.clone(), transmit: pool.clone() }),
        clock: Clock::start(),
        groups: groups.to_vec(),
        mac: Some(mac(own)?),
        ..DpdkConfig::new(own, PREFIX, device)
    };
    Ok((Dpdk::open(eal, config)?, plug))
}

fn mac(own: SocketAddr) -> Result<MacAddress> {
    let [a, b, c, d] = v4(own)?.octets();
    Ok(MacAddress([2, 0, a, b, c, d]))
}

fn v4(address: SocketAddr) -> Result<Ipv4Addr> {
    match address {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(_) => Err(anyhow!("{address}: not IPv4")),
    }
}

/// A tape's datagrams as the frames that they came in.
fn frames(place: usize, tape: &Tape) -> Vec<(Instant, Vec<Vec<u8>>)> {
    let own = address(place);
    let frame = |datagram: Datagram<'_>| {
        let to = if datagram.group { GROUP } else { own };
        frame(datagram.from, to, datagram.bytes)
    };
    let turn = |(now, inbox): (Instant, &Inbox)| {
        let frames: Result<Vec<_>> = inbox.iter().map(frame).collect();
        assert!(frames.is_ok(), "what came in a frame fits into one: {frames:?}");
        (now, frames.unwrap_or_default())
    };
    tape.turns().map(turn).collect()
}

fn frame(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<Vec<u8>> {
    let (from_ip, to_ip) = (v4(from)?, v4(to)?);
    let to_mac = if to_ip.is_multicast() { MacAddress::of_group(to_ip) } else { mac(to)? };
    let builder = PacketBuilder::ethernet2(mac(from)?.0, to_mac.0)
        .ipv4(from_ip.octets(), to_ip.octets(), 64)
        .udp(from.port(), to.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload)?;
    ensure!(frame.len() <= ROOM.into(), "{} bytes", frame.len());
    Ok(frame)
}

/// What two looks at the clock see between them.
fn time_of(clock: Clock) -> Duration {
    let look = || {
        let begin = clock.now();
        clock.now().saturating_sub(begin)
    };
    (0..1_000).map(|_| look()).min().unwrap_or_default()
}
