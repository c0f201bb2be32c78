//! One question to an admin endpoint, with an end to every wait.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use thiserror::Error;

/// The longest answer taken, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AdminError {
    /// Nobody there, or not in time.
    #[error("no answer: {0}")]
    Silent(#[from] io::Error),
    /// Bytes that are no answer.
    #[error("not understood: {0}")]
    Strange(&'static str),
    /// The node said no.
    #[error("{status}: {text}")]
    Refused {
        /// The status code.
        status: u16,
        /// Its words.
        text: String,
    },
    /// A bug here.
    #[error("asking panicked")]
    Panicked,
}

/// Asks for a path.
///
/// # Errors
///
/// [`AdminError`]: no answer within `timeout`, a strange one, or another status than 200.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<Vec<u8>, AdminError> {
    exchange(address, "GET", path, &[], timeout)
}

/// Tells the node to do something.
///
/// # Errors
///
/// As [`get`].
pub fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    timeout: Duration,
) -> Result<Vec<u8>, AdminError> {
    exchange(address, "POST", path, headers, timeout)
}

fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    timeout: Duration,
) -> Result<Vec<u8>, AdminError> {
    let end = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("Connection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = read_all(&mut stream, end)?;
    body_of(&answer)
}

/// Everything until the connection ends.
fn read_all(stream: &mut TcpStream, end: Instant) -> Result<Vec<u8>, AdminError> {
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(len) => answer.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if answer.len() > ANSWER_MAX {
            return Err(AdminError::Strange("the answer is too long"));
        }
    }
}

/// The body of a whole answer.
fn body_of(answer: &[u8]) -> Result<Vec<u8>, AdminError> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or(AdminError::Strange("the answer has no head"))?;
    let head = str::from_utf8(&answer[..end]);
    let head = head.map_err(|_| AdminError::Strange("the answer's head is no text"))?;
    let body = &answer[end + 4..];
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or(AdminError::Strange("the answer has no status"))?;
    let mut headers = headers.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let Some((_, length)) = length
        && length.trim().parse() != Ok(body.len())
    {
        return Err(AdminError::Strange("the answer's end did not come"));
    }
    if status != 200 {
        let text = String::from_utf8_lossy(body).trim().to_owned();
        return Err(AdminError::Refused { status, text });
    }
    Ok(body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_has_its_body_and_half_a_one_has_none() {
        let body = |text: &str| body_of(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), Ok(b"hi".to_vec()));
        assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nhi"), Ok(b"hi".to_vec()));
        let cut = body("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi");
        assert_eq!(cut, Err("not understood: the answer's end did not come".to_owned()));
        assert_eq!(body("HTTP/1.1 409 Conflict\r\n\r\nno\n"), Err("409: no".to_owned()));
        for strange in ["", "nonsense\r\n\r\n", "HTTP/1.1 x\r\n\r\n"] {
            assert!(body(strange).unwrap_err().starts_with("not understood"), "{strange:?}");
        }
    }

    #[test]
    fn who_says_nothing_costs_no_more_than_the_time_given() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let begin = Instant::now();
        let answer = get(address, "/status", Duration::from_millis(50));
        assert!(matches!(answer, Err(AdminError::Silent(_))), "{answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
