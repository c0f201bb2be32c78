//! Conversations with a client and their exact trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use r2p2::Instant;
use r2p2::ack::emit_wanted;
use r2p2::answer::{self, AnswerForm};
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::fragment::Form;
use r2p2::header::Policy;
use r2p2::opening::OpeningReply;
use r2p2::packet::Packet;
use r2p2::refusal::{Reason, Refusal};
use script::{address, bytes, describe, duration, name, text, value};

#[test]
fn scripts_print_what_they_say() {
    script::run_all("client", Conversation::default, Conversation::command);
}

/// A client, and what the script remembers of it.
#[derive(Default)]
struct Conversation {
    now: Instant,
    client: Option<Client>,
    mode: Option<Mode>,
    session: u64,
    nonce: u64,
    /// Number of the closing request.
    closing: u64,
    /// Numbers of requests by tag.
    numbers: BTreeMap<u64, u64>,
}

impl Conversation {
    fn command(&mut self, words: &[&str]) -> String {
        let mut printed = String::new();
        match words[0] {
            "client" => self.begin(words),
            "submit" => {
                let tag = words[2].parse().unwrap();
                let (body, now) = (bytes(&words[3..]), self.now);
                match self.client().submit(now, policy(words[1]), &body, tag) {
                    Ok(number) => drop(self.numbers.insert(tag, number)),
                    Err(error) => writeln!(printed, "not taken: {error}").unwrap(),
                }
            }
            "wait" => return self.wait(self.now + duration(words[1])),
            "close" => self.client.as_mut().unwrap().close(self.now),
            "drops" => {
                for (name, count) in self.client().drops().iter().filter(|(_, count)| *count > 0) {
                    writeln!(printed, "{name} {count}").unwrap();
                }
            }
            "counters" => writeln!(printed, "{:?}", self.client().counters()).unwrap(),
            _ => self.packet(words),
        }
        self.drain(&mut printed);
        printed
    }

    fn begin(&mut self, words: &[&str]) {
        let mode = match words[1] {
            "plain" => Mode::Plain,
            "sessionless" => Mode::Sessionless,
            "session" => Mode::Session,
            other => panic!("unknown mode {other}"),
        };
        let servers = (1..=value(words, "servers", 1u8)).map(|n| address(&format!("s{n}")));
        let defaults = ClientConfig::new(mode, servers.collect());
        let config = ClientConfig {
            group: words.contains(&"group").then(|| address("group")),
            open_max: value(words, "open_max", defaults.open_max),
            tries_max: value(words, "tries_max", defaults.tries_max),
            give_up_after: Duration::from_millis(value(words, "give_up_ms", 10_000)),
            ..defaults
        };
        self.mode = Some(mode);
        self.client = Some(Client::new(config, 1, self.now).unwrap());
    }

    /// A packet comes: `<what> <from> <tag> ...`.
    fn packet(&mut self, words: &[&str]) {
        let from = address(words[1]);
        let number = match words.get(2) {
            Some(&"opening") => self.nonce,
            Some(&"closing") => self.closing,
            Some(&tag) => {
                tag.parse().ok().and_then(|tag| self.numbers.get(&tag)).copied().unwrap_or(0)
            }
            None => 0,
        };
        let session = value(words, "session", self.session);
        let form = match self.mode.unwrap() {
            Mode::Plain => AnswerForm::Plain { request_id: low_16(number) },
            _ if words[2] == "opening" => AnswerForm::Extended { session: 0, number },
            _ => AnswerForm::Extended { session, number },
        };
        let datagram = match words[0] {
            "opened" => {
                self.session = value(words, "session", 7);
                let reply =
                    OpeningReply { window: value(words, "window", 4_096), expiry_ms: 60_000 };
                answer::opened(self.session, self.nonce, 3, reply).to_vec()
            }
            "answer" => part(form, words, 0, &bytes(&words[4..])),
            "part" => part(form, words, words[4].parse::<u16>().unwrap() - 1, &bytes(&words[5..])),
            "refuse" => {
                let retry_after_us = value(words, "retry_us", 0);
                form.refusal(Refusal { reason: reason(words[3]), retry_after_us }).to_vec()
            }
            "drop" => AnswerForm::Plain { request_id: low_16(number) }
                .refusal(Refusal::new(Reason::Overload))
                .to_vec(),
            "ack" => answer::ack(low_16(number)).to_vec(),
            "wanted" => {
                let ranges = words[3..].iter().map(|word| {
                    let (first, count) = word.split_once('+').unwrap();
                    let first: u16 = first.parse().unwrap();
                    first..first + count.parse::<u16>().unwrap()
                });
                let mut payload = [0; 100];
                let len = emit_wanted(ranges, &mut payload);
                [&*answer::wanted(session, number), &payload[..len]].concat()
            }
            other => panic!("unknown command {other}"),
        };
        let now = self.now;
        self.client().receive(now, from, &datagram);
    }

    /// Time passes, from deadline to deadline.
    fn wait(&mut self, until: Instant) -> String {
        let mut printed = String::new();
        while let Some(next) = self.client().deadline().filter(|&next| next < until) {
            self.now = next.max(self.now + Duration::from_micros(1));
            let now = self.now;
            self.client().tick(now);
            self.drain(&mut printed);
        }
        self.now = until;
        self.client().tick(until);
        self.drain(&mut printed);
        printed
    }

    fn drain(&mut self, printed: &mut String) {
        let at = format!("{:.1}ms", self.now.as_secs_f64() * 1e3);
        let client = self.client.as_mut().unwrap();
        while let Some(packet) = client.poll_transmit() {
            let datagram = [packet.head, packet.tail].concat();
            let parsed = Packet::parse(&datagram).unwrap();
            match parsed.extension {
                Some(extension) if extension.flags.opens => self.nonce = extension.number,
                Some(extension) if extension.flags.closes => self.closing = extension.number,
                _ => {}
            }
            writeln!(printed, "{at} -> {} {}", name(packet.to), describe(&datagram)).unwrap();
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::Answered { tag, executed, body, from, .. } => writeln!(
                    printed,
                    "{at} answered {tag} executed={executed} by {} {}",
                    name(from),
                    text(&body)
                ),
                Event::Refused { tag, reason, .. } => {
                    writeln!(printed, "{at} refused {tag} {reason:?}")
                }
                Event::Unknown { tag, .. } => writeln!(printed, "{at} unknown {tag}"),
                Event::NotSent { tag, .. } => writeln!(printed, "{at} not sent {tag}"),
                other => writeln!(printed, "{at} {other:?}"),
            }
            .unwrap();
        }
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().unwrap()
    }
}

/// Packet `index` of the answer that the words describe.
fn part(form: AnswerForm, words: &[&str], index: u16, body: &[u8]) -> Vec<u8> {
    let form: Form = form.response(value(words, "executed", 0));
    let fragment = form.fragment(index, body.len()).unwrap();
    [&*fragment.head, &body[fragment.range]].concat()
}

fn policy(word: &str) -> Policy {
    match word {
        "write" => Policy::Replicated,
        "read" => Policy::ReplicatedRead,
        "fixed" => Policy::Fixed,
        "any" => Policy::Unrestricted,
        other => panic!("unknown policy {other}"),
    }
}

fn reason(word: &str) -> Reason {
    match word {
        "overload" => Reason::Overload,
        "unknown-session" => Reason::UnknownSession,
        "above-window" => Reason::AboveWindow,
        "changes-state" => Reason::ChangesState,
        "too-large" => Reason::TooLarge,
        "no-leader" => Reason::NoLeader,
        "not-kept" => Reason::NotKept,
        "failed" => Reason::Failed,
        other => panic!("unknown reason {other}"),
    }
}

fn low_16(number: u64) -> u16 {
    u16::try_from(number & 0xFFFF).unwrap()
}
