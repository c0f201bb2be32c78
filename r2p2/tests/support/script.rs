//! Scripts: stanzas of commands, `----`, and what they print. `REWRITE=1` writes what is printed; the diff is the review.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use r2p2::header::{MessageKind, Place};
use r2p2::packet::Packet;

/// Runs every script of a folder under `tests/scripts`; `start` makes what takes the commands of one script.
pub(crate) fn run_all<T>(folder: &str, start: fn() -> T, command: fn(&mut T, &[&str]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(folder);
    let mut scripts = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let wanted = fs::read_to_string(&path).unwrap();
        let printed = run(&wanted, start(), command);
        scripts += 1;
        if std::env::var_os("REWRITE").is_some() {
            fs::write(&path, printed).unwrap();
        } else {
            assert_eq!(printed, wanted, "in {}", path.display());
        }
    }
    assert!(scripts > 0, "no scripts in {}", folder.display());
}

fn run<T>(script: &str, mut taker: T, command: fn(&mut T, &[&str]) -> String) -> String {
    let stanzas = script.trim_end().split("\n\n").map(|stanza| {
        let commands = stanza.split("\n----").next().unwrap();
        let lines = commands.lines().filter(|line| !line.starts_with('#'));
        let printed: String = lines
            .map(|line| command(&mut taker, &line.split_whitespace().collect::<Vec<_>>()))
            .collect();
        format!("{commands}\n----\n{printed}")
    });
    stanzas.collect::<Vec<_>>().join("\n")
}

/// The value of `key=value` among the words, or what it is without.
pub(crate) fn value<T: std::str::FromStr>(words: &[&str], key: &str, without: T) -> T {
    let prefix = format!("{key}=");
    let found = words.iter().find_map(|word| word.strip_prefix(&prefix));
    match found {
        None => without,
        Some(text) => text.parse().unwrap_or_else(|_| panic!("{key}={text}")),
    }
}

/// `30ms` or `200us`.
pub(crate) fn duration(text: &str) -> Duration {
    let number = |suffix: &str| text.strip_suffix(suffix).map(|number| number.parse().unwrap());
    let ms = number("ms").map(Duration::from_millis);
    ms.or_else(|| number("us").map(Duration::from_micros)).unwrap_or_else(|| panic!("{text}"))
}

/// Words as bytes: `x*100` is a run, anything else itself.
pub(crate) fn bytes(words: &[&str]) -> Vec<u8> {
    let run = |word: &str| match word.split_once('*') {
        Some((letter, times)) => letter.repeat(times.parse().unwrap()).into_bytes(),
        None => word.as_bytes().to_vec(),
    };
    words.iter().flat_map(|word| run(word)).collect()
}

/// What [`bytes`] would read, in quotes when it is short.
pub(crate) fn text(bytes: &[u8]) -> String {
    if bytes.len() <= 16 && bytes.iter().all(u8::is_ascii_graphic) {
        return format!("\"{}\"", String::from_utf8_lossy(bytes));
    }
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| match run[0].is_ascii_graphic() {
        true => format!("{}*{}", char::from(run[0]), run.len()),
        false => format!("{:02x}*{}", run[0], run.len()),
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// An address by the last byte of its IP: servers are 10.0.0.n, clients 10.0.1.n.
pub(crate) fn address(name: &str) -> SocketAddr {
    let number = || name[1..].parse::<u8>().unwrap();
    match name.as_bytes()[0] {
        b'g' => SocketAddr::from(([239, 0, 0, 1], 8_000)),
        b's' => SocketAddr::from(([10, 0, 0, number()], 8_000)),
        b'c' => SocketAddr::from(([10, 0, 1, number()], 3_000)),
        _ => panic!("unknown address {name}"),
    }
}

/// The name of an address.
pub(crate) fn name(address: SocketAddr) -> String {
    match address.ip().to_string().split('.').collect::<Vec<_>>()[..] {
        ["239", ..] => "group".to_owned(),
        ["10", "0", "0", number] => format!("s{number}"),
        ["10", "0", "1", number] => format!("c{number}"),
        _ => address.to_string(),
    }
}

/// A packet in words.
pub(crate) fn describe(datagram: &[u8]) -> String {
    let packet = Packet::parse(datagram).unwrap();
    let header = &packet.header;
    let kind = format!("{:?}", header.kind).to_uppercase();
    let place = match (header.place, packet.extension) {
        (Place::First { packets }, _) => format!("1/{packets}"),
        (Place::Later { index, .. }, Some(extension)) => {
            format!("{}/{}", index + 1, extension.packets)
        }
        (Place::Later { index, last }, None) => {
            format!("{}{}", index + 1, if last { "/last" } else { "" })
        }
    };
    let policy = match header.kind {
        MessageKind::Request => format!(" {:?}", header.policy),
        _ => String::new(),
    };
    let mut id = format!("id={}", header.request_id);
    if let Some(extension) = packet.extension {
        id = format!("session={:x} number={:x}", extension.session, extension.number);
        if header.kind == MessageKind::Request && extension.session != 0 {
            id += &format!(" floor={:x}", extension.floor());
        }
        if header.kind == MessageKind::Response {
            id += &format!(" executed={}", extension.executed);
        }
        let flags = extension.flags;
        let names = [
            (flags.opens, " opens"),
            (flags.closes, " closes"),
            (flags.wanted, " wanted"),
            (flags.repeats, " repeats"),
        ];
        id.extend(names.into_iter().filter(|(set, _)| *set).map(|(_, name)| name));
    }
    format!("{kind}{policy} {id} {place} {}", text(packet.payload))
}
