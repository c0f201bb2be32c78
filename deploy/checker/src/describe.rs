//! Requests and replies as a report shows them.

use std::fmt::Write as _;

use kv::{Request, Response};

use crate::check::KnownService;
use crate::verdict::Texts;

/// Bytes shown of a key, a value or an unknown body.
const SHOWN: usize = 48;

pub(crate) fn texts(known: KnownService) -> Texts {
    match known {
        KnownService::Kv => Texts { request: kv_request, reply: kv_reply },
        KnownService::Other => Texts { request: hex, reply: hex },
    }
}

fn kv_request(bytes: &[u8]) -> String {
    match Request::parse(bytes) {
        Ok(Request::Get { key }) => format!("get {}", text(key)),
        Ok(Request::Put { key, value }) => format!("put {} {}", text(key), text(value)),
        Ok(Request::Delete { key }) => format!("delete {}", text(key)),
        Ok(Request::CompareAndSwap { key, expected, value }) => {
            format!("swap {} from {} to {}", text(key), optional(expected), text(value))
        }
        Ok(Request::Append { key, suffix }) => format!("append {} {}", text(key), text(suffix)),
        Ok(Request::Increment { key, by }) => format!("increment {} by {by}", text(key)),
        Ok(Request::Scan { from, limit }) => format!("scan from {} limit {limit}", text(from)),
        Err(_) => hex(bytes),
    }
}

fn kv_reply(bytes: &[u8]) -> String {
    match Response::parse(bytes) {
        Ok(Response::Done) => "done".to_owned(),
        Ok(Response::Value(value)) => text(value),
        Ok(Response::Absent) => "absent".to_owned(),
        Ok(Response::Conflict(value)) => format!("conflict with {}", optional(value)),
        Ok(Response::Integer(number)) => number.to_string(),
        Ok(Response::Pairs(pairs)) => {
            let mut shown = format!("{} pairs", pairs.len());
            for (key, value) in pairs.iter().take(4) {
                // Writing to a string cannot fail.
                let _ = write!(shown, ", {} = {}", text(key), text(value));
            }
            shown
        }
        Ok(Response::Failed(failure)) => format!("failed: {failure}"),
        Err(_) => hex(bytes),
    }
}

fn optional(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "absent".to_owned(), text)
}

fn text(bytes: &[u8]) -> String {
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    if bytes.len() > SHOWN {
        return format!("\"{shown}\"... ({} bytes)", bytes.len());
    }
    format!("\"{shown}\"")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_are_readable() {
        let mut bytes = Vec::new();
        Request::Put { key: b"a\n", value: &[b'v'; 50] }.encode(&mut bytes).unwrap();
        let v = "v".repeat(48);
        assert_eq!(kv_request(&bytes), format!("put \"a\\n\" \"{v}\"... (50 bytes)"));
        assert_eq!(kv_request(&[9, 255]), "09ff");
        Response::Conflict(None).encode(&mut bytes);
        assert_eq!(kv_reply(&bytes), "conflict with absent");
    }
}
