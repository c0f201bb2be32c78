//! Requests as clients send them.

use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::Policy;

use super::names::Names;
use super::settings::value;

/// The packets of a request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) client: String,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// `c1 [plain] write|read|close NUMBER BODY`, `c1 open NONCE`, or `c1 query NUMBER BODY`, with options: `floor=`, `session=c2|0|none`,
/// `packets=1,3` (only these leave), `opens`,
/// `closes` (these flags are set).
pub(crate) fn request(words: &[&str], names: &Names) -> Asked {
    let client = words[0].to_owned();
    let plain = words[1] == "plain";
    let rest = if plain { &words[2..] } else { &words[1..] };
    let (kind, number) = (rest[0], rest[1].parse::<u64>().unwrap());
    let policy = match kind {
        "read" => Policy::ReplicatedRead,
        "query" => Policy::Unrestricted,
        "write" | "open" | "close" => Policy::Replicated,
        other => panic!("unknown kind of request {other}"),
    };
    let body = if matches!(kind, "open" | "close") { Vec::new() } else { bytes(rest[2]) };
    let form = if plain {
        Form::PlainRequest { request_id: u16::try_from(number).unwrap(), policy }
    } else {
        let flags = Flags {
            opens: kind == "open" || words.contains(&"opens"),
            closes: kind == "close" || words.contains(&"closes"),
            ..Flags::default()
        };
        let above = number - value(words, "floor", 1).min(number);
        let session = if kind == "open" { 0 } else { session(words, &client, names) };
        let above_floor = if session == 0 { 0 } else { u16::try_from(above).unwrap() };
        Form::Request { session, number, above_floor, policy, flags }
    };
    let mut packets: Vec<_> = form
        .fragments(body.len())
        .unwrap()
        .map(|fragment| [&fragment.head, &body[fragment.range]].concat())
        .collect();
    let only = value(words, "packets", String::new());
    if !only.is_empty() {
        let only: Vec<usize> = only.split(',').map(|place| place.parse().unwrap()).collect();
        packets = only.into_iter().map(|place| packets[place - 1].clone()).collect();
    }
    Asked { client, packets }
}

fn session(words: &[&str], client: &str, names: &Names) -> u64 {
    match value(words, "session", client.to_owned()).as_str() {
        "none" => 0,
        "unknown" => 0xDEAD,
        client => names.session_of(client).unwrap_or_else(|| panic!("{client} has no session")),
    }
}

/// `x*2000` is a run, runs are joined by commas, anything else is itself.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let run = |part: &str| match part.split_once('*') {
        Some((letter, times)) => letter.repeat(times.parse().unwrap()).into_bytes(),
        None => part.as_bytes().to_vec(),
    };
    if text.contains('*') { text.split(',').flat_map(run).collect() } else { text.into() }
}
