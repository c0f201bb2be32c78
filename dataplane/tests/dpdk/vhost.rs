//! Nodes on `net_virtio_user` at a switch of another process, which is killed and comes back; and the other way about.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use dataplane::backend::Queue;
use dataplane::clock::Clock;
use dataplane::dpdk::forward::Switch;
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::{Dpdk, DpdkConfig};

use super::host::{address, group};
use super::support::{eal, pool};

/// What a child process is to do, and where.
const CHILD: &str = "HOVERCRAFT_TEST_VHOST";

/// Ports of the switch.
const PORTS: usize = 3;

/// This test's own folder, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hovercraft-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed at the end of its test.
struct Process(Child);

impl Process {
    /// This test binary as `role`, in `folder`.
    fn start(role: &str, folder: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["vhost::what_a_child_does", "--exact", "--nocapture"])
            .env(CHILD, format!("{role} {}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// As `kill -9`.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _waited_already = self.0.wait();
    }
}

/// Not a test of its own: what the processes that tests start do, until they are killed or their parent ends.
#[test]
fn what_a_child_does() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (role, folder) = order.split_once(' ').unwrap();
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(0);
    });
    match role {
        "switch" => switch(Path::new(folder)),
        _ => echo(Path::new(folder), role.parse().unwrap()),
    }
}

fn switch(folder: &Path) {
    let ports = u32::try_from(PORTS).unwrap();
    let mut switch = Switch::new(pool(Switch::buffers(ports, 1_024, 1_024)));
    for number in 0..PORTS {
        let device = format!("net_vhost{number},iface={}/{number},queues=1", folder.display());
        let device = Device::Added(device);
        switch
            .add(PortConfig { promiscuous: true, tx_queues: 1, ..PortConfig::new(device) })
            .unwrap();
    }
    let clock = Clock::start();
    loop {
        if switch.step(clock.now()) == 0 {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

/// A host that answers whatever comes.
fn echo(folder: &Path, number: u8) {
    let mut queue = node(folder, number);
    loop {
        let mut answers = Vec::new();
        queue.receive(&mut |arrival| answers.push((arrival.from, arrival.bytes.to_vec())));
        for (to, bytes) in answers {
            queue.send(to, b"echo ", &bytes);
        }
        queue.flush();
        queue.wait(Duration::from_millis(5));
    }
}

fn node(folder: &Path, number: u8) -> Dpdk {
    let line = format!("net_virtio_user{number},path={}/{},queues=1", folder.display(), number - 1);
    let config = DpdkConfig {
        groups: vec![group()],
        clock: Clock::start(),
        ..DpdkConfig::new(address(number), 24, Device::Added(line))
    };
    Dpdk::open(eal(), config).unwrap()
}

/// Sends until an answer has come; how long that took.
fn ask(queue: &mut Dpdk, to: std::net::SocketAddr, what: &[u8]) -> Duration {
    let begin = Instant::now();
    let wanted = [b"echo ", what].concat();
    let mut came = false;
    while !came {
        assert!(begin.elapsed() < Duration::from_secs(30), "no answer to {what:?}");
        queue.send(to, what, &[]);
        queue.flush();
        for _ in 0..20 {
            queue.wait(Duration::from_millis(5));
            queue.receive(&mut |arrival| came |= arrival.bytes == wanted);
        }
    }
    begin.elapsed()
}

#[test]
fn p2_nodes_and_switch_survive_each_others_death() {
    let folder = Folder::new("vhost");
    let switch = Process::start("switch", &folder.0);
    let mut queue = node(&folder.0, 1);
    let other = Process::start("2", &folder.0);
    println!("{}", queue.description());
    println!("first answer after {:?}", ask(&mut queue, address(2), b"one"));
    ask(&mut queue, group(), b"group");
    // A node dies; the switch carries on, and the node's next life is heard.
    other.kill();
    let _other = Process::start("2", &folder.0);
    println!("a node's next life answers after {:?}", ask(&mut queue, address(2), b"two"));
    // The switch dies; its next life finds its socket, and both nodes find it.
    switch.kill();
    let _switch = Process::start("switch", &folder.0);
    println!("the switch's next life carries after {:?}", ask(&mut queue, address(2), b"three"));
    let history = queue.port_history();
    assert!(history.losses >= 1 && history.returns == history.losses, "{history:?}");
}
