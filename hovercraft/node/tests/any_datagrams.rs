//! A packet can do no harm (HC13), to real processes: datagrams at random, and mutated from valid ones of clients and of
//! the nodes themselves, to every UDP port of a serving cluster with a key; bytes at random to the admin ports.
//!
//! All of it is counted and dropped, the cluster serves on, and its nodes agree afterwards. `FUZZ_RUNS=n` sends as many
//! as it says. The same is done to replicas in virtual time, seed by seed, in `hovercraft/tests/any_bytes.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use hovercraft_client::{Client, Options};
use hovercraft_node::Node;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Files, PATIENCE, TIMING, increment};

/// Datagrams of one burst; then the sender looks whether the nodes keep up.
const BURST: u64 = 256;

fn datagrams() -> u64 {
    std::env::var("FUZZ_RUNS").map_or(1_000_000, |runs| runs.parse().unwrap())
}

/// What the living nodes send to a dead one: appends, votes wanted, questions, all with good MACs.
fn overhear(dead: SocketAddr, client: &mut Client) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind(dead).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (mut packets, mut buffer) = (Vec::new(), [0; 2_048]);
    let begin = Instant::now();
    while packets.len() < 500 {
        assert!(begin.elapsed() < PATIENCE, "nobody speaks to a member that has died");
        increment(client, b"n", 5);
        while let Ok(len) = socket.recv(&mut buffer) {
            packets.push(buffer[..len].to_vec());
            if packets.len() % 50 == 0 {
                break;
            }
        }
    }
    packets
}

/// What clients send: packets of requests, plain and with a session, as a server sees them.
fn client_packets(files: &Files) -> Vec<Vec<u8>> {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let text = format!(
        "(groups: [(mode: unreplicated, members: [(id: 1, data: \"{}\", admin: \"127.0.0.1:1\")])])",
        server.local_addr().unwrap()
    );
    let cluster = hovercraft_config::Cluster::from_str_at(&files.config, &text).unwrap();
    let mut packets = Vec::new();
    for plain in [false, true] {
        let mut client =
            Client::connect(&cluster, &Options { plain, ..Options::default() }).unwrap();
        for len in [8, 900, 20_000] {
            let mut request = Vec::new();
            let put = kv::Request::Put { key: b"k", value: &vec![b'v'; len] };
            put.encode(&mut request).unwrap();
            client.submit(hovercraft_client::Kind::Write, &request, 0).unwrap();
            client.turn();
        }
        let mut buffer = [0; 2_048];
        while packets.len() < 30
            && let Ok(len) = server.recv(&mut buffer)
        {
            packets.push(buffer[..len].to_vec());
        }
    }
    assert!(packets.len() >= 4, "{}", packets.len());
    packets
}

fn datagram(random: &mut StdRng, valid: &[Vec<u8>], bytes: &mut Vec<u8>) {
    bytes.clear();
    if random.random_ratio(1, 4) {
        let max = if random.random_ratio(1, 8) { 1_600 } else { 120 };
        let len = random.random_range(0..max);
        bytes.extend((0..len).map(|_| random.random::<u8>()));
        if let Some(first) = bytes.first_mut() {
            *first = 0xCC;
        }
        return;
    }
    bytes.extend_from_slice(&valid[random.random_range(0..valid.len())]);
    for _ in 0..random.random_range(0..4) {
        // Heads are short and decide; what follows gets its share.
        let reach = if random.random_ratio(3, 4) { bytes.len().min(130) } else { bytes.len() };
        let at = random.random_range(0..reach.max(1));
        match random.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), random.random()),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
}

/// Packets that reached or missed the node: what the kernel dropped is counted too.
fn counted(files: &Files, id: u8) -> u64 {
    let counters = files.status(id).unwrap().counters;
    assert_eq!(counters.replica["packets"], counters.backend["received"], "each was looked at");
    counters.backend["received"] + counters.backend["dropped_receive"]
}

/// Sends all of them; the number sent to each node.
fn attack(files: &Files, ids: &[u8], valid: &[Vec<u8>]) -> u64 {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 1), 0)).unwrap();
    let group = &files.cluster.groups[0];
    let mut targets: Vec<SocketAddr> =
        group.members.iter().filter(|m| ids.contains(&m.id.number())).map(|m| m.data).collect();
    targets.extend(group.multicast);
    let mut random = StdRng::seed_from_u64(7);
    let mut bytes = Vec::new();
    let (mut sent, before) = (0, counted(files, ids[0]));
    for number in 1..=datagrams() {
        datagram(&mut random, valid, &mut bytes);
        let to = targets[random.random_range(0..targets.len())];
        // A group member and its own address each count as one; a full send buffer as none.
        let arrived = socket.send_to(&bytes, to).is_ok();
        sent += u64::from(arrived && (to == targets[0] || to.ip().is_multicast()));
        if number % (64 * BURST) == 0 {
            // A burst at a time: what the kernel has to drop tests the kernel.
            let begin = Instant::now();
            while counted(files, ids[0]) < before + sent && begin.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    sent
}

fn admin_noise(files: &Files, id: u8) {
    let mut random = StdRng::seed_from_u64(id.into());
    for _ in 0..200 {
        let mut stream = TcpStream::connect(files.admin(id)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = b"GET /status HTTP/1.1\r\n\r\n".to_vec();
        for _ in 0..random.random_range(1..20) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        // It may have heard enough before all is said.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn hc13_no_datagram_harms_a_serving_cluster_with_a_key() {
    let files = Files::new(3, &format!("idle: sleep, threads: inline, {TIMING}"));
    let mut nodes: Vec<Node> = (1..=3).map(|id| files.start(id)).collect();
    let mut client = files.client();
    increment(&mut client, b"n", 100);
    let leader = files.leader(&[1, 2, 3]);
    let dead = leader % 3 + 1;
    let living: Vec<u8> = [1, 2, 3].into_iter().filter(|&id| id != dead).collect();
    drop(nodes.remove(usize::from(dead) - 1));

    let mut valid =
        overhear(files.cluster.groups[0].members[usize::from(dead) - 1].data, &mut client);
    valid.extend(client_packets(&files));
    let before = counted(&files, living[0]);
    let sent = attack(&files, &living, &valid);
    living.iter().for_each(|&id| admin_noise(&files, id));

    let counted = counted(&files, living[0]);
    assert!(counted >= before + sent, "{sent} were sent and {} counted", counted - before);
    for &id in &living {
        let replica = files.status(id).unwrap().counters.replica;
        let refused = ["bad_packets", "bad_mac"].map(|name| replica[name]);
        assert!(refused.iter().all(|&count| count > datagrams() / 100), "{refused:?}");
    }
    assert!(nodes.iter().all(Node::is_whole));
    files.leader(&living);
    increment(&mut client, b"n", 100);
    files.equal_states(&living);
}
