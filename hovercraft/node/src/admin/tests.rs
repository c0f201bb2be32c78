use std::io::{Read, Write};
use std::net::Shutdown;

use kv::Kv;

use super::http::{HEAD_MAX, Request};
use super::*;
use crate::ctl::{self, AdminError};
use crate::node::Node;
use crate::plan::Plan;
use crate::testing::{Scratch, read, text};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server without replication, at once ready; its admin address.
pub(super) fn node(fields: &str) -> (Node, SocketAddr) {
    let text = text(1, &format!("mode: unreplicated, idle: sleep, {fields}"));
    let plan = Plan::new(read(&text), None, Some(1)).unwrap();
    let address = plan.member.admin;
    (Node::start(plan, Kv::default()).unwrap(), address)
}

pub(super) fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let answer = ctl::get(address, path, PATIENCE).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(answer).unwrap())
}

/// What comes back for these bytes.
fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that has heard enough may have closed already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_is_taken_apart() {
    let head = "GET /audit?from=7&to=9 HTTP/1.1\r\nHost: x\r\nHovercraft-MAC:  0a \r\n";
    let request = Request::parse(head).unwrap();
    assert_eq!((request.method, request.path), ("GET", "/audit"));
    assert_eq!((request.field("from"), request.field("fro")), (Some("7"), None));
    assert_eq!(request.header("hovercraft-mac"), Some("0a"));
    for bad in ["", "GET", "GET /", "GET x HTTP/1.1", "GET / HTTP/2", "GET /a b HTTP/1.1"] {
        assert!(Request::parse(bad).is_err(), "{bad}");
    }
    assert!(Request::parse("GET / HTTP/1.1\r\nContent-Length: 1").is_err());
}

#[test]
fn every_path_answers_and_others_are_refused() {
    let (node, address) = node("audit: true");
    let status = get(address, "/status").unwrap();
    let status: crate::report::NodeStatus = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (status.id, status.role.as_str(), status.mode.as_str()),
        (1, "alone", "unreplicated")
    );
    assert_eq!((status.threads.as_str(), status.idle.as_str()), ("split", "sleep"));
    assert_eq!(status.incarnation.len(), 16);
    let state = get(address, "/state").unwrap();
    let state: history_checker::state::NodeState = serde_json::from_str(&state).unwrap();
    assert_eq!((state.node, state.applied, state.scan), (1, 0, None));
    assert_eq!(state.state_hash, r2p2::service::state_hash(&Kv::default()));
    let state = get(address, "/state?query=070000ffffffff").unwrap();
    assert!(state.contains("\"request\":\"070000ffffffff\""), "{state}");
    assert_eq!(get(address, "/config"), Ok(node.handle().plan().cluster.to_ron()));
    assert_eq!(get(address, "/livez"), Ok("ok\n".to_owned()));
    assert_eq!(get(address, "/readyz"), Ok("ok\n".to_owned()));
    let mut write = Vec::new();
    kv::Request::Delete { key: b"k" }.encode(&mut write).unwrap();
    let write = format!("/state?query={}", crate::hex::digits(&write));
    for (path, refused) in [
        (&*write, "400: the service does not answer this as a query"),
        ("/state?query=0", "400: query must be hexadecimal digits"),
        ("/audit", "409: this node keeps no audit"),
        ("/transfer", "405: /transfer is asked with POST"),
        ("/", "404: no such path"),
    ] {
        let answer = get(address, path).unwrap_err();
        assert!(answer.starts_with(refused), "{path}: {answer}");
    }
    let post = ctl::post(address, "/status", &[], PATIENCE).unwrap_err();
    assert!(matches!(post, AdminError::Refused { status: 405, .. }), "{post}");
    // Nobody to hand over to; without a key nobody is asked for a MAC.
    let post = ctl::post(address, "/transfer", &[], PATIENCE).unwrap_err();
    assert!(matches!(post, AdminError::Refused { status: 409, .. }), "{post}");
    let post = ctl::post(address, "/transfer?to=2", &[], PATIENCE).unwrap_err();
    assert!(matches!(post, AdminError::Refused { status: 400, .. }), "{post}");
}

#[test]
fn no_bytes_harm_it() {
    let (_node, address) = node("");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(2 * HEAD_MAX));
    for (bytes, status) in [
        (&b"\r\n\r\n"[..], "400"),
        (b"GET /status HTTP/1.1\r\nContent-Length: 9\r\n\r\n", "413"),
        (b"\xff\xfe /status HTTP/1.1\r\n\r\n", "400"),
        (b"GET /state?query=%00 HTTP/1.1\r\n\r\n", "400"),
        (b"GET /audit?from=99999999999999999999999 HTTP/1.1\r\n\r\n", "409"),
        (long.as_bytes(), "431"),
    ] {
        let answer = raw(address, bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:?} to {bytes:?}");
    }
    assert_eq!(raw(address, b"GET /status HT"), "", "half a request");
    assert!(get(address, "/livez").is_ok());
}

#[test]
fn silent_connections_hold_only_their_share() {
    let (_node, address) = node("");
    let silent: Vec<TcpStream> =
        (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(address).unwrap()).collect();
    // The last of them is being served when one more is refused.
    let begin = std::time::Instant::now();
    let refused = loop {
        match get(address, "/livez") {
            Err(answer) if answer.starts_with("503: too many connections") => break true,
            _ if begin.elapsed() > Duration::from_secs(1) => break false,
            _ => {}
        }
    };
    assert!(refused);
    // After the time for a request they are let go.
    while get(address, "/livez").is_err() {
        assert!(begin.elapsed() < PATIENCE);
    }
    drop(silent);
}

#[test]
fn hc13_commands_need_a_fresh_mac_when_there_is_a_key() {
    let scratch = Scratch::new("admin");
    scratch.file("cluster.key", &"07".repeat(32));
    let keyed =
        text(1, "mode: unreplicated, idle: sleep").replacen('(', "(key_file: \"cluster.key\", ", 1);
    let cluster = hovercraft_config::Cluster::load(&scratch.file("cluster.ron", &keyed)).unwrap();
    let plan = Plan::new(cluster, None, Some(1)).unwrap();
    let address = plan.member.admin;
    let _node = Node::start(plan, Kv::default()).unwrap();
    let order = |challenge: &str, mac: &str, path: &str| {
        let headers = [("Hovercraft-Challenge", challenge), ("Hovercraft-Mac", mac)];
        match ctl::post(address, path, &headers, PATIENCE) {
            Err(AdminError::Refused { status, text }) => format!("{status}: {text}"),
            other => panic!("{other:?}"),
        }
    };
    let challenge = || {
        let answer = get(address, "/challenge").unwrap();
        let answer: crate::report::Challenge = serde_json::from_str(&answer).unwrap();
        answer.challenge
    };
    let mac = |challenge: &str, key: u8| {
        let bytes = crate::hex::bytes(challenge).unwrap().try_into().unwrap();
        crate::hex::digits(&command_mac(&MacKey::derive(&[key; 32]), &bytes, "/transfer"))
    };
    assert!(order("", "", "/transfer").starts_with("401: this needs the cluster key"));
    let first = challenge();
    assert!(order(&first, &mac(&first, 8), "/transfer").starts_with("401: the MAC is wrong"));
    assert!(order(&first, &mac(&first, 7), "/transfer?to=1").starts_with("401: the MAC is wrong"));
    // The command is let through: this node, which leads nobody, refuses it in its own words.
    assert!(order(&first, &mac(&first, 7), "/transfer").starts_with("409: "));
    assert!(order(&first, &mac(&first, 7), "/transfer").starts_with("401: the challenge was used"));
    let forged = "00".repeat(16);
    assert!(order(&forged, &mac(&forged, 7), "/transfer").starts_with("401: the challenge"));
}
