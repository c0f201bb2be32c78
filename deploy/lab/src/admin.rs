//! Asking a node: HTTP/1.1 over kernel TCP on its admin address, one request per connection.
//!
//! Every step has a time limit, so that a stopped node costs a moment and not the command.

use core::net::SocketAddr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::ffi;

/// Longest wait for a connection, and for each piece of an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest answer taken: an audit of ten million entries.
const ANSWER_MAX: u64 = 4 << 30;

/// What a node says of itself at `/status`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// Its number.
    pub id: u8,
    /// `leader`, `follower`, `candidate` or `silent`.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<u8>,
    /// Highest committed index that it knows.
    pub commit: u64,
    /// Highest index that its application has executed.
    pub applied: u64,
    /// Last index of its log.
    pub last: u64,
    /// Requests received and not yet in its log.
    pub unordered: u64,
    /// Everything else that it said.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// A whole answer with status 200.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    head: String,
    /// What was asked for.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// Sends one request and returns the answer. With `network`, from within that namespace.
///
/// # Errors
///
/// When nobody answers in time, or with another status than 200.
pub fn request(
    network: Option<File>,
    address: SocketAddr,
    method: &str,
    path: &str,
) -> anyhow::Result<Answer> {
    let Some(network) = network else { return exchange(address, method, path) };
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            ffi::enter_network(network.as_fd()).context("cannot enter the lab's network")?;
            exchange(address, method, path)
        });
        asked.join().map_err(|_| anyhow!("the admin client panicked"))?
    })
}

fn exchange(address: SocketAddr, method: &str, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("nobody listens at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_MAX).read_to_end(&mut answer);
    read.with_context(|| format!("{address} does not answer {method} {path}"))?;
    parse(answer).with_context(|| format!("{address} on {method} {path}"))
}

/// Head and body of a whole answer.
fn parse(mut bytes: Vec<u8>) -> anyhow::Result<Answer> {
    let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.context("the answer has no head")?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).context("the answer's head is no text")?;
    let answer = Answer { head, body };
    if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().context("the answer's length is no number")?;
        ensure!(answer.body.len() == length, "{} of {length} bytes came", answer.body.len());
    }
    let is_chunked = answer.header("transfer-encoding").is_some();
    ensure!(!is_chunked, "the answer is chunked, which no node does");
    let status = answer.head.split(' ').nth(1).unwrap_or("");
    if status != "200" {
        bail!("answered {status}: {}", String::from_utf8_lossy(&answer.body).trim());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    fn served(answer: &'static [u8]) -> anyhow::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0_u8; 512];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /status HTTP/1.1\r\n"));
                stream.write_all(answer).unwrap();
            });
            request(None, address, "GET", "/status")
        })
    }

    #[test]
    fn a_whole_answer_has_its_body() {
        let answer =
            served(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nAudit-Last:  7 \r\n\r\nhi").unwrap();
        assert_eq!((answer.body.as_slice(), answer.header("audit-last")), (&b"hi"[..], Some("7")));
        let answer = served(b"HTTP/1.1 200 OK\r\n\r\nto the end").unwrap();
        assert_eq!((answer.body.as_slice(), answer.header("ok")), (&b"to the end"[..], None));
    }

    #[test]
    fn half_an_answer_is_none() {
        let cut = served(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi").unwrap_err();
        assert!(format!("{cut:#}").ends_with("2 of 3 bytes came"), "{cut:#}");
        let refused = served(b"HTTP/1.1 404 Not Found\r\n\r\nno such path\n").unwrap_err();
        assert!(format!("{refused:#}").ends_with("answered 404: no such path"), "{refused:#}");
        assert!(served(b"nonsense").is_err());
    }

    #[test]
    fn a_status_keeps_what_is_not_known_here() {
        let text = r#"{"id":1,"incarnation":"1f","mode":"raft","role":"leader","term":3,"leader":1,
            "commit":7,"applied":6,"last":8,"unordered":0,"queue":[{"id":2,"depth":1}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!((status.id, status.role.as_str(), status.leader), (1, "leader", Some(1)));
        assert_eq!(status.more["mode"], "raft");
    }
}
