//! Networks on which the promises are asked.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use dataplane::backend::{ArrivedAt, Instant, Queue};
use dataplane::clock::Clock;
use dataplane::sim::{SimNetwork, SimQueue, Weather};
use dataplane::udp::{Udp, UdpConfig};

/// A network of one back end.
pub(crate) trait Lab {
    /// For messages.
    fn name(&self) -> &'static str;

    /// A new peer, a member of `groups`.
    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer;

    /// A group that nobody else uses.
    fn group(&mut self) -> SocketAddr;

    /// An address of the same network that nobody has.
    fn nobody(&self) -> SocketAddr;

    /// Bytes of the longest packet.
    fn packet_max(&self) -> usize {
        2_048
    }

    /// Why this back end's device does not count what a full receive queue drops, if it does not.
    fn drops_in_silence(&self) -> Option<&'static str> {
        None
    }

    /// Lets packets arrive.
    fn pass_time(&mut self);

    /// Done with these peers.
    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
    }
}

/// How much may wait at a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inbox {
    Large,
    /// Far less than a thousand packets.
    Small,
}

/// One member of a network.
pub(crate) struct Peer {
    pub(crate) own: SocketAddr,
    pub(crate) queue: Box<dyn Queue>,
    /// For another thread.
    pub(crate) transmit: Box<dyn Queue>,
}

/// A packet as it came, kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) from: SocketAddr,
    pub(crate) to: ArrivedAt,
    pub(crate) not_before: Instant,
    pub(crate) bytes: Vec<u8>,
}

/// Reads once, and keeps what came.
pub(crate) fn receive(queue: &mut dyn Queue) -> Vec<Kept> {
    let mut kept = Vec::new();
    let count = queue.receive(&mut |arrival| {
        kept.push(Kept {
            from: arrival.from,
            to: arrival.to,
            not_before: arrival.not_before,
            bytes: arrival.bytes.to_vec(),
        });
    });
    assert_eq!(count, kept.len(), "says how many it handed up");
    kept
}

/// Reads until `count` packets have come, or none comes for two seconds.
pub(crate) fn expect(lab: &mut dyn Lab, peer: &mut Peer, count: usize) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut patience = 200;
    while kept.len() < count && patience > 0 {
        lab.pass_time();
        let came = receive(&mut *peer.queue);
        if came.is_empty() {
            patience -= 1;
            peer.queue.wait(Duration::from_millis(10));
        } else {
            patience = 200;
        }
        kept.extend(came);
    }
    let counters = peer.queue.counters();
    assert_eq!(kept.len(), count, "{} at {}: {counters:?}", lab.name(), peer.own);
    kept
}

/// That nothing comes, after long enough a time.
pub(crate) fn expect_nothing(lab: &mut dyn Lab, peer: &mut Peer) {
    for _ in 0..5 {
        lab.pass_time();
        assert_eq!(receive(&mut *peer.queue), []);
        peer.queue.wait(Duration::from_millis(10));
    }
}

/// A peer on kernel sockets of the calling thread's network.
pub(crate) fn open_udp(own: Ipv4Addr, groups: &[SocketAddr], inbox: Inbox, clock: Clock) -> Peer {
    let mut config = UdpConfig { groups: groups.to_vec(), clock, ..UdpConfig::new(at(own, 0)) };
    if inbox == Inbox::Small {
        config.receive_buffer = 8_192;
    }
    let queue = Udp::open(config).unwrap();
    let transmit = queue.transmit_queue().unwrap();
    Peer { own: queue.own(), queue: Box::new(queue), transmit: Box::new(transmit) }
}

pub(crate) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddrV4::new(address, port).into()
}

/// A port that no process of this network uses now.
pub(crate) fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Kernel UDP, each peer on an address of its own on the loopback interface: processes of one host.
pub(crate) struct Loopback {
    clock: Clock,
    peers: u8,
    groups: u8,
}

impl Loopback {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::start(), peers: 0, groups: 0 }
    }
}

impl Lab for Loopback {
    fn name(&self) -> &'static str {
        "udp on loopback"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        open_udp(Ipv4Addr::new(127, 77, 0, self.peers), groups, inbox, self.clock)
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), free_port())
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(127, 78, 0, 1), free_port())
    }

    fn pass_time(&mut self) {}
}

/// The simulated network.
pub(crate) struct Simulated {
    network: Arc<Mutex<SimNetwork>>,
    peers: u8,
    groups: u8,
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let network = Arc::new(Mutex::new(SimNetwork::new(7, Weather::CALM)));
        Self { network, peers: 0, groups: 0 }
    }
}

impl Lab for Simulated {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        let own = at(Ipv4Addr::new(10, 0, 0, self.peers), 8_000);
        let mut network = self.network.lock().unwrap();
        let endpoint = network.add_endpoint(own, groups);
        if inbox == Inbox::Small {
            network.set_inbox_max(endpoint, 10);
        }
        drop(network);
        let queue = SimQueue::new(&self.network, endpoint);
        let transmit = queue.transmit_queue();
        Peer { own, queue: Box::new(queue), transmit: Box::new(transmit) }
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 0, 1, 1), 8_000)
    }

    fn pass_time(&mut self) {
        let mut network = self.network.lock().unwrap();
        let later = network.now() + Duration::from_millis(1);
        network.advance_to(later);
    }
}
