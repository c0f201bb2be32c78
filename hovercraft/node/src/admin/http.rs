//! As much of HTTP/1.1 as the admin endpoint needs: a request without a body, an answer, the connection closed.

use core::time::Duration;
use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// What answers requests.
pub(crate) trait Respond: Send + Sync + 'static {
    /// Answers one.
    ///
    /// # Errors
    ///
    /// When the answer cannot be written.
    fn answer(&self, request: &Request<'_>, out: &mut impl Write) -> io::Result<()>;
}

/// The longest head of a request, in bytes.
pub(super) const HEAD_MAX: usize = 8 << 10;

/// How long a request may take to arrive, and each piece of an answer to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As it stands in the request line.
    pub(crate) target: &'a str,
    /// Before the question mark.
    pub(crate) path: &'a str,
    /// Behind it.
    query: &'a str,
    headers: &'a str,
}

/// An answer whose body is known.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) content: Content,
    pub(crate) body: Vec<u8>,
}

/// Status codes in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    ContentTooLarge,
    HeadTooLarge,
    ServiceUnavailable,
}

/// Kinds of bodies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    Text,
    Json,
    JsonLines,
    OpenMetrics,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Unauthorized => "401 Unauthorized",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::Conflict => "409 Conflict",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Answer {
    /// A sentence.
    pub(crate) fn text(status: Status, text: &str) -> Self {
        Self { status, content: Content::Text, body: format!("{text}\n").into_bytes() }
    }
}

impl<'a> Request<'a> {
    /// Reads a head, without the empty line that ends it.
    pub(super) fn parse(head: &'a str) -> Result<Self, Answer> {
        let bad = |text| Err(Answer::text(Status::BadRequest, text));
        let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return bad("the first line must be a method, a path and a version");
        };
        if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
            return bad("this is HTTP/1.1, with paths");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Self { method, target, path, query, headers };
        let body = request.header("content-length").is_some_and(|length| length != "0");
        if body || request.header("transfer-encoding").is_some() {
            return Err(Answer::text(Status::ContentTooLarge, "no request here has a body"));
        }
        Ok(request)
    }

    /// A field of the query.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Whether the query names this field, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.query.split('&').any(|field| field.split('=').next() == Some(name))
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.split("\r\n").filter_map(|line| line.split_once(':'));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// Reads one request and answers it. A peer that went away is no concern of ours.
pub(super) fn answer(mut stream: TcpStream, routes: &impl Respond) {
    let _ = exchange(&mut stream, routes);
}

/// Tells a connection too many to come later.
pub(super) fn refuse(mut stream: TcpStream) {
    let answer = Answer::text(Status::ServiceUnavailable, "too many connections; try again");
    let _ = stream.set_write_timeout(Some(Duration::from_millis(10)));
    let _ = write(&mut stream, &answer);
}

fn exchange(stream: &mut TcpStream, routes: &impl Respond) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let refused = match read_head(stream, &mut head)? {
        Ok(()) => match str::from_utf8(&head).map(Request::parse) {
            Ok(Ok(request)) => {
                let mut out = BufWriter::with_capacity(64 << 10, &mut *stream);
                routes.answer(&request, &mut out)?;
                return out.flush();
            }
            Ok(Err(refused)) => refused,
            Err(_) => Answer::text(Status::BadRequest, "the head is no text"),
        },
        Err(refused) => refused,
    };
    write(stream, &refused)
}

/// Reads up to the empty line, which is left out; the inner error is for the peer.
fn read_head(stream: &mut TcpStream, head: &mut Vec<u8>) -> io::Result<Result<(), Answer>> {
    let end = Instant::now() + PATIENCE;
    let mut piece = [0; 1_024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = "the request did not come in time";
            return Ok(Err(Answer::text(Status::RequestTimeout, text)));
        }
        stream.set_read_timeout(Some(left))?;
        let len = match stream.read(&mut piece) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let searched = head.len().saturating_sub(3);
        head.extend_from_slice(&piece[..len]);
        let found = head[searched..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(place) = found {
            head.truncate(searched + place);
            return Ok(Ok(()));
        }
        if head.len() > HEAD_MAX {
            return Ok(Err(Answer::text(Status::HeadTooLarge, "the head is longer than 8 KiB")));
        }
    }
}

/// Writes a whole answer.
pub(crate) fn write(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let length = answer.body.len().to_string();
    write_head(out, answer.status, answer.content, &[("Content-Length", &length)])?;
    out.write_all(&answer.body)?;
    out.flush()
}

/// Writes the head of an answer; the body follows, and ends with the connection unless a header says its length.
pub(super) fn write_head(
    out: &mut impl Write,
    status: Status,
    content: Content,
    headers: &[(&str, &str)],
) -> io::Result<()> {
    write!(out, "HTTP/1.1 {}\r\nContent-Type: {}\r\n", status.line(), content.name())?;
    for (name, value) in headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    out.write_all(b"Connection: close\r\n\r\n")
}
