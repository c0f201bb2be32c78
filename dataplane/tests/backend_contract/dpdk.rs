//! DPDK queues: on cables in one process, on `net_virtio_user` at a switch's `net_vhost`, and on `net_af_packet` between
//! namespaces.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use dataplane::backend::{Arrival, BackendCounters, Instant, Queue};
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{Plug, PlugConfig, Wire};
use dataplane::dpdk::forward::Switch;
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::{Device, Port, PortConfig, TxQueue};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig};
use dataplane::net::StackEvent;

use super::dpdk_support::{eal, pool};
use super::labs::{Inbox, Lab, Peer, at};
use super::namespaces::{Namespace, connect};

/// Room for the longest packet of the contract, with the headers of IPv4 and UDP.
const MTU: u16 = 2_048 + 28;

/// Peers that a promise opens at most.
const PEERS_MAX: u8 = 8;

/// Ports of DPDK's ring driver, joined by a wire that copies.
pub(crate) struct Cabled {
    clock: Clock,
    wire: Wire,
    pool: Pool,
    peers: u8,
    groups: u8,
}

impl Cabled {
    pub(crate) fn new() -> Self {
        let pool = pool(30_000);
        let (clock, wire) = (Clock::start(), Wire::new(pool.clone()));
        Self { clock, wire, pool, peers: 0, groups: 0 }
    }
}

fn config(
    peer: u8,
    device: Device,
    groups: &[SocketAddr],
    pool: &Pool,
    clock: Clock,
) -> DpdkConfig {
    // The kernel's packet sockets take no longer packets than these.
    let is_kernels = matches!(&device, Device::Added(line) if line.starts_with("net_af_packet"));
    let mtu = if is_kernels { 1_500 } else { MTU };
    let port = PortConfig { mtu, is_watched: false, ..PortConfig::new(device.clone()) };
    DpdkConfig {
        groups: groups.to_vec(),
        port,
        pools: Some(Pools { receive: pool.clone(), transmit: pool.clone() }),
        clock,
        ..DpdkConfig::new(at(address(peer), 8_000), 24, device)
    }
}

/// Devices of several labs in one process need names of their own.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn address(peer: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, peer)
}

/// As the back end makes it where a device has none.
fn mac(peer: u8) -> [u8; 6] {
    [2, 0, 10, 77, 0, peer]
}

/// A peer's question for another: whom one hears asking one knows. The frame is the lab's: switches learn nothing from it.
fn question(from: u8, to: u8) -> Vec<u8> {
    let arp = [0, 1, 8, 0, 6, 4, 0, 1];
    let (own, theirs) = (address(from).octets(), address(to).octets());
    [&[0xff; 6][..], &mac(100), &[8, 6], &arp, &mac(from), &own, &[0; 6], &theirs].concat()
}

/// Questions of all others that there can be: promises are about packets, not about the first one to a neighbour.
fn questions(own: u8) -> impl Iterator<Item = Vec<u8>> {
    (1..=PEERS_MAX).filter(move |&other| other != own).map(move |other| question(other, own))
}

fn heard(queue: &Dpdk) -> u64 {
    queue.stack_counters().of(StackEvent::ArpRequest)
}

/// Has a peer hear those questions, each put as often as it takes (a wire that was just plugged in may lose some), and
/// nothing else any more.
fn introduce(queue: &mut Dpdk, own: u8, mut put: impl FnMut(&[u8])) {
    for (asked, question) in (1..).zip(questions(own)) {
        for _ in 0..1_000 {
            put(&question);
            queue.wait(Duration::from_millis(1));
            assert_eq!(queue.receive(&mut |_| unreachable!("questions are no packets")), 0);
            if heard(queue) >= asked {
                break;
            }
        }
        assert!(heard(queue) >= asked, "peer {own} hears nothing");
    }
    for _ in 0..100 {
        queue.wait(Duration::ZERO);
        queue.receive(&mut |_| unreachable!("nobody has sent a packet"));
    }
}

impl Lab for Cabled {
    fn name(&self) -> &'static str {
        "dpdk on cables"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        assert!(self.peers <= PEERS_MAX);
        let inbox = if inbox == Inbox::Small { 63 } else { 2_047 };
        let plug = self.wire.plug_in(PlugConfig { inbox, ..PlugConfig::default() }).unwrap();
        let device = Device::Plugged(plug.clone());
        let config = config(self.peers, device, groups, &self.pool, self.clock);
        let mut queue = Dpdk::open(eal(), config).unwrap();
        introduce(&mut queue, self.peers, |question| assert!(plug.put(question)));
        while plug.take().is_some() {}
        let transmit = queue.transmit_queue().unwrap();
        Peer { own: queue.own(), queue: Box::new(queue), transmit: Box::new(transmit) }
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 77, 0, 200), 8_000)
    }

    fn pass_time(&mut self) {
        self.wire.settle();
        std::thread::sleep(Duration::from_micros(10));
    }

    /// All buffers are at home again (T3).
    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
        self.peers = 0;
        self.wire.settle();
        assert_eq!(self.pool.available(), self.pool.count());
    }
}

/// A peer's queue that the lab can let work while the test does something else: on a device with one transmit queue the
/// other thread's frames leave when the network thread looks.
struct Shared(Arc<Mutex<Dpdk>>);

/// The queues that the lab lets work.
#[derive(Default)]
struct Working(Vec<Weak<Mutex<Dpdk>>>);

impl Working {
    fn share(&mut self, mut queue: Dpdk) -> Peer {
        let (own, transmit) = (queue.own(), queue.transmit_queue().unwrap());
        assert!(queue.description().contains("pass through the network thread"));
        let queue = Arc::new(Mutex::new(queue));
        self.0.push(Arc::downgrade(&queue));
        Peer { own, queue: Box::new(Shared(queue)), transmit: Box::new(transmit) }
    }

    fn work(&self) {
        for queue in self.0.iter().filter_map(Weak::upgrade) {
            queue.lock().unwrap().wait(Duration::ZERO);
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Dpdk> {
        self.0.lock().unwrap()
    }
}

impl Queue for Shared {
    fn now(&self) -> Instant {
        self.queue().now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        self.queue().receive(take)
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        self.queue().send(to, head, tail)
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        self.queue().send_all(to, head, tail)
    }

    fn flush(&mut self) {
        self.queue().flush();
    }

    fn wait(&mut self, for_at_most: Duration) {
        self.queue().wait(for_at_most);
    }

    fn counters(&self) -> BackendCounters {
        self.queue().counters()
    }
}

/// DPDK's driver for the kernel's packet sockets, each peer on a veth of a namespace of its own, all on one bridge.
pub(crate) struct Bridged {
    clock: Clock,
    pool: Pool,
    hosts: Vec<Namespace>,
    /// Asks questions from the bridge's side.
    asker: (TxQueue, Port),
    /// Kept for its bridge.
    _outer: Namespace,
    working: Working,
    peers: u8,
    groups: u8,
}

impl Bridged {
    pub(crate) fn new() -> io::Result<Self> {
        let outer = Namespace::without_ipv6()?;
        outer.ip("link add bridge type bridge mcast_snooping 0")?;
        outer.ip("link set bridge up")?;
        let hosts: Vec<_> =
            (1..=PEERS_MAX).map(|number| join(&outer, number)).collect::<io::Result<_>>()?;
        outer.ip("link add asker type veth peer name port")?;
        outer.ip("link set asker up")?;
        outer.ip("link set port master bridge up")?;
        let pool = pool(20_000);
        let device = Device::Added(format!("net_af_packet{},iface=asker", unique()));
        let asker = PortConfig { is_watched: false, ..PortConfig::new(device) };
        let opened = outer.inside(|| Port::open(asker, vec![pool.clone()]));
        let (port, _, mut queues) = opened.map_err(io::Error::other)?;
        let (clock, asker) = (Clock::start(), (queues.remove(0), port));
        Ok(Self {
            clock,
            pool,
            hosts,
            asker,
            _outer: outer,
            working: Working::default(),
            peers: 0,
            groups: 0,
        })
    }
}

impl Bridged {
    /// The host that peer `place + 1` is on.
    pub(crate) fn host(&self, place: usize) -> &Namespace {
        &self.hosts[place]
    }
}

fn join(outer: &Namespace, number: u8) -> io::Result<Namespace> {
    let host = Namespace::without_ipv6()?;
    connect(outer, &host, number)?;
    host.ip(&format!("link set net address 02:00:0a:4d:00:{number:02x} up"))?;
    Ok(host)
}

impl Lab for Bridged {
    fn name(&self) -> &'static str {
        "dpdk on af_packet"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        let number = self.peers;
        let frames = if inbox == Inbox::Small { 64 } else { 2_048 };
        let line = format!("net_af_packet{},iface=net,framecnt={frames}", unique());
        let config = config(number, Device::Added(line), groups, &self.pool, self.clock);
        let host = &self.hosts[usize::from(number) - 1];
        let mut queue = host.inside(|| Dpdk::open(eal(), config).unwrap());
        let (pool, asker) = (&self.pool, &mut self.asker.0);
        introduce(&mut queue, number, |question| {
            let mut packet = pool.take().unwrap();
            assert!(packet.append(question));
            let _not_yet_up = asker.transmit_one(packet);
        });
        self.working.share(queue)
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 77, 0, 200), 8_000)
    }

    /// The driver takes no longer frames, whatever the interface does.
    fn packet_max(&self) -> usize {
        1_472
    }

    fn drops_in_silence(&self) -> Option<&'static str> {
        Some("DPDK 22.11's net_af_packet does not ask the kernel what its packet socket dropped")
    }

    fn pass_time(&mut self) {
        self.working.work();
        std::thread::sleep(Duration::from_micros(200));
    }

    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
        self.working.0.clear();
        self.peers = 0;
        assert_eq!(self.pool.available(), self.pool.count());
        let _alive = &self.asker.1;
    }
}

/// `net_virtio_user` in each peer, `net_vhost` in a switch, as nodes that are processes of their own have it.
pub(crate) struct Switched {
    clock: Clock,
    pool: Pool,
    switch: Switch,
    /// Asks questions from a port of the switch.
    asker: Plug,
    folder: PathBuf,
    working: Working,
    peers: u8,
    groups: u8,
}

impl Switched {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("hovercraft-switch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pool = pool(40_000);
        let mut switch = Switch::new(pool.clone());
        let port = |device| PortConfig {
            mtu: MTU,
            tx_queues: 1,
            promiscuous: true,
            is_watched: false,
            ..PortConfig::new(device)
        };
        let asker = Wire::new(pool.clone()).plug_in(PlugConfig::default()).unwrap();
        switch.add(port(Device::Plugged(asker.clone()))).unwrap();
        for number in 1..=PEERS_MAX {
            let line = format!("net_vhost{number},iface={}/{number},queues=1", folder.display());
            switch.add(port(Device::Added(line))).unwrap();
        }
        let (clock, working) = (Clock::start(), Working::default());
        Self { clock, pool, switch, asker, folder, working, peers: 0, groups: 0 }
    }

    fn settle(&mut self) {
        while self.switch.step(self.clock.now()) > 0 {}
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

impl Lab for Switched {
    fn name(&self) -> &'static str {
        "dpdk on vhost"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        let number = self.peers;
        let size = if inbox == Inbox::Small { 64 } else { 2_048 };
        let path = self.folder.join(number.to_string());
        let mac = mac(number).map(|byte| format!("{byte:02x}")).join(":");
        let queues = format!("queues=1,queue_size={size},mac={mac}");
        let line = format!("net_virtio_user{number},path={},{queues}", path.display());
        let config = config(number, Device::Added(line), groups, &self.pool, self.clock);
        let mut queue = Dpdk::open(eal(), config).unwrap();
        let (asker, switch, now) = (&self.asker, &mut self.switch, self.clock.now());
        introduce(&mut queue, number, |question| {
            assert!(asker.put(question));
            while switch.step(now) > 0 {}
        });
        while self.asker.take().is_some() {}
        self.working.share(queue)
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 77, 0, 200), 8_000)
    }

    fn drops_in_silence(&self) -> Option<&'static str> {
        Some("what a full queue of net_virtio_user refuses, the switch counts")
    }

    fn pass_time(&mut self) {
        self.settle();
        self.working.work();
        self.settle();
        while self.asker.take().is_some() {}
    }

    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
        self.working.0.clear();
        self.peers = 0;
        self.settle();
        while self.asker.take().is_some() {}
        assert_eq!(self.pool.available(), self.pool.count());
    }
}
