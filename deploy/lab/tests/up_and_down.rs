//! Labs of processes that do nothing: what is started, what is left, and what the network does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use hovercraft_lab::cluster::{self, Lab, View};
use hovercraft_lab::network::{self, Network};
use hovercraft_lab::process::{self, Identity, wait_for_end};
use hovercraft_lab::{ffi, state};
use support::Idle;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 71, 1);
const SECOND: Duration = Duration::from_secs(1);

/// The reason why this machine has no namespaces is printed, not hidden.
fn namespaces() -> bool {
    network::namespaces_possible().inspect_err(|reason| eprintln!("NOT RUN: {reason:#}")).is_ok()
}

fn processes(view: &View) -> Vec<Identity> {
    let holder = view.state.namespaces.iter().map(|namespaces| namespaces.holder);
    view.state.nodes.iter().map(|&(_, process)| process).chain(holder).collect()
}

fn up(idle: &Idle) -> Lab {
    Lab::up(&idle.plan, &mut |line| eprintln!("{line}")).unwrap()
}

/// Waits until every node is the program that it ends as: while a process changes programs it has no environment.
fn wait_until_asleep(lab: &Lab) {
    let asleep = |process: &Identity| {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", process.pid));
        let marked = process::find_by_environment(state::MARK, &lab.view.path).unwrap();
        name.unwrap().trim() == "sleep" && marked.contains(process)
    };
    while !processes(&lab.view).iter().all(asleep) {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_lab_on_loopback_leaves_nothing_behind() {
    let idle = Idle::new("loopback", 3, true);
    let lab = up(&idle);
    let (view, started) = (lab.view.clone(), processes(&lab.view));
    assert_eq!(started.len(), 3);
    assert!(started.iter().all(Identity::is_alive));
    assert_eq!(View::of(&idle.plan.name).unwrap().state, view.state);
    assert_eq!(view.cluster.load_key().unwrap().unwrap().1, None);
    let members = &view.group().members;
    assert!(members[2].data.to_string().ends_with(".3:8000"), "{members:?}");
    lab.down().unwrap();
    assert_eq!(wait_for_end(&started, Duration::ZERO), []);
    assert!(!view.path.exists());
    assert!(View::of(&idle.plan.name).is_err());
}

#[test]
fn an_error_or_panic_takes_the_lab_down() {
    let idle = Idle::new("panic", 2, true);
    let plan = idle.plan.clone();
    let started = thread::spawn(move || {
        let lab = Lab::up(&plan, &mut |_| {}).unwrap();
        let started = processes(&lab.view);
        std::panic::panic_any(started);
    });
    let started = *started.join().unwrap_err().downcast::<Vec<Identity>>().unwrap();
    assert_eq!(started.len(), 2);
    assert_eq!(wait_for_end(&started, Duration::ZERO), []);
    // Its logs stay, to tell why.
    cluster::down(&idle.plan.name).unwrap();
}

#[test]
fn a_kept_lab_is_found_by_others_and_not_trodden_on() {
    let mut idle = Idle::new("kept", 1, true);
    idle.plan.ends_with_us = false;
    let view = up(&idle).keep().unwrap();
    let refused = Lab::up(&idle.plan, &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("is up already"), "{refused}");
    assert!(processes(&view)[0].is_alive());
    assert_eq!(cluster::down(&idle.plan.name).unwrap(), 1);
    assert!(!processes(&view)[0].is_alive());
    assert_eq!(cluster::down(&idle.plan.name).unwrap(), 0);
}

#[test]
fn two_commands_do_not_work_on_one_lab() {
    let idle = Idle::new("locked", 1, true);
    let lab = up(&idle);
    let refused = cluster::down(&idle.plan.name).unwrap_err().to_string();
    assert!(refused.contains("another command works on the lab"), "{refused}");
    lab.down().unwrap();
}

#[test]
fn what_a_crash_left_is_taken_away_even_if_it_was_not_recorded() {
    let mut idle = Idle::new("crash", 2, true);
    idle.plan.ends_with_us = false;
    let lab = up(&idle);
    let (left, record) = (processes(&lab.view), lab.view.path.join("state.json"));
    wait_until_asleep(&lab);
    // A command that is killed runs no destructor, and may have recorded less than it did.
    let _ = lab.keep().unwrap();
    std::fs::write(record, "{ half a rec").unwrap();
    assert!(left.iter().all(Identity::is_alive));
    let mut said = Vec::new();
    let lab = Lab::up(&idle.plan, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(wait_for_end(&left, Duration::ZERO), []);
    assert_eq!(said, ["took away 2 processes of an earlier run that did not end well"]);
    lab.down().unwrap();
}

#[test]
fn a_node_that_ends_is_reported_with_its_log() {
    let idle = Idle::new("ends", 1, true);
    let mut lab = up(&idle);
    // The node has written its arguments once it sleeps.
    while !lab.view.tail_of_log(1).contains("--id 1") {
        thread::sleep(Duration::from_millis(10));
    }
    lab.view.process(1).unwrap().signal(libc::SIGKILL).unwrap();
    let error = lab.wait_for_leader(10 * SECOND, &|| false).unwrap_err().to_string();
    assert!(error.starts_with("node 1 ended:"), "{error}");
    assert!(error.contains("--udp -- --config"), "{error}");
    assert!(lab.view.ask(1, "GET", "/status").unwrap_err().to_string().contains("is dead"));
    drop(lab);
    cluster::down(&idle.plan.name).unwrap();
}

#[test]
fn names_do_not_leave_their_directory() {
    assert!(state::look("../x").unwrap_err().to_string().contains("letters, digits"));
    assert!(state::look("").is_err());
}

/// Runs `act` in the namespace of a node.
fn within<T: Send>(lab: &Lab, node: u8, act: impl FnOnce() -> T + Send) -> T {
    let network = lab.view.state.namespaces.as_ref().unwrap().node(node).unwrap();
    let inside = move || {
        ffi::enter_network(network.as_fd()).unwrap();
        act()
    };
    thread::scope(|scope| scope.spawn(inside).join().unwrap())
}

fn member_of_the_group(node: u8) -> UdpSocket {
    let socket = UdpSocket::bind((GROUP, 8_000)).unwrap();
    let own = Ipv4Addr::new(10, 71, 0, node);
    socket.join_multicast_v4(&GROUP, &own).unwrap();
    socket.set_read_timeout(Some(5 * SECOND)).unwrap();
    socket
}

#[test]
fn multicast_of_a_client_reaches_every_node_at_once() {
    if !namespaces() {
        return;
    }
    let idle = Idle::new("multicast", 3, false);
    let lab = up(&idle);
    assert_eq!(lab.view.state.network, Network::Namespaces);
    let sockets: Vec<UdpSocket> =
        (1..=3).map(|node| within(&lab, node, || member_of_the_group(node))).collect();
    let clients = lab.view.state.namespaces.as_ref().unwrap().clients().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            ffi::enter_network(clients.as_fd()).unwrap();
            let socket = UdpSocket::bind("10.71.0.254:0").unwrap();
            socket.send_to(b"to all", (GROUP, 8_000)).unwrap();
        });
    });
    for socket in sockets {
        let mut bytes = [0_u8; 16];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(
            (&bytes[..length], from.ip().to_string().as_str()),
            (&b"to all"[..], "10.71.0.254")
        );
    }
    lab.down().unwrap();
}

#[test]
fn the_host_is_neither_reached_nor_reachable() {
    if !namespaces() {
        return;
    }
    let before = std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    let idle = Idle::new("apart", 1, false);
    let lab = up(&idle);
    let inside: SocketAddr = "10.71.0.1:9000".parse().unwrap();
    let listener = within(&lab, 1, || TcpListener::bind(inside).unwrap());
    // Whoever answers at this address outside, if anybody does, is not the node.
    let _ = std::net::TcpStream::connect_timeout(&inside, SECOND / 4);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let after = std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    assert_eq!(before, after, "the host has other network devices than before");
    let holder = lab.view.state.namespaces.as_ref().unwrap().holder;
    lab.down().unwrap();
    assert!(!holder.is_alive());
}

#[test]
fn a_node_is_asked_from_within_the_network() {
    use std::io::{Read as _, Write as _};
    if !namespaces() {
        return;
    }
    let idle = Idle::new("asked", 2, false);
    let lab = up(&idle);
    let listener = within(&lab, 2, || TcpListener::bind("10.71.0.2:9000").unwrap());
    let status = thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0_u8; 512]).unwrap();
            let body = r#"{"id":2,"role":"follower","term":1,"leader":null,"commit":0,"applied":0,"last":0,"unordered":0}"#;
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        lab.view.status(2)
    });
    assert_eq!(status.unwrap().role, "follower");
    assert!(lab.view.status(1).unwrap_err().to_string().contains("nobody listens"));
    lab.down().unwrap();
}
