//! Conversations with a server, that is with reassembly and pacing, and their exact trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/script.rs"]
mod script;

use std::fmt::Write;
use std::time::Duration;

use r2p2::Instant;
use r2p2::ack::emit_wanted;
use r2p2::answer::{self, AnswerForm};
use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::Policy;
use r2p2::reassembly::{self, Request};
use r2p2::refusal::{Reason, Refusal};
use r2p2::server::{Server, ServerConfig};
use r2p2::{pacing, request_id::RequestId};
use script::{address, bytes, describe, duration, name, text, value};

#[test]
fn scripts_print_what_they_say() {
    script::run_all("server", Conversation::default, Conversation::command);
}

#[derive(Default)]
struct Conversation {
    now: Instant,
    server: Option<Server>,
    /// The last whole request.
    request: Option<Request>,
}

impl Conversation {
    fn command(&mut self, words: &[&str]) -> String {
        let mut printed = String::new();
        let now = self.now;
        match words[0] {
            "server" => self.begin(words),
            "send" => self.send(words, &mut printed),
            "wanted" => {
                let ranges = words[4..].iter().map(|word| {
                    let (first, count) = word.split_once('+').unwrap();
                    let first: u16 = first.parse().unwrap();
                    first..first + count.parse::<u16>().unwrap()
                });
                let mut payload = [0; 100];
                let len = emit_wanted(ranges, &mut payload);
                let (session, number) = (value(words, "session", 0), value(words, "number", 0));
                let datagram = [&*answer::wanted(session, number), &payload[..len]].concat();
                self.server().receive(now, now, address(words[1]), &datagram);
            }
            "answer" => {
                let (to, form) = self.asked();
                let executed = value(words, "executed", 0);
                self.server().answer(now, to, form, executed, &bytes(&words[2..]));
            }
            "refuse" => {
                let (to, form) = self.asked();
                let refusal = Refusal { reason: Reason::Overload, retry_after_us: 500 };
                self.server().refuse(to, form, refusal);
            }
            "wait" => return self.wait(now + duration(words[1])),
            "drops" => {
                for (name, count) in self.server().drops().iter().filter(|(_, count)| *count > 0) {
                    writeln!(printed, "{name} {count}").unwrap();
                }
            }
            other => panic!("unknown command {other}"),
        }
        self.drain(&mut printed);
        printed
    }

    fn begin(&mut self, words: &[&str]) {
        let reassembly = reassembly::Settings {
            messages_max: value(words, "messages_max", 8),
            body_max: value(words, "body_max", 100_000),
            ask_tries: value(words, "ask_tries", 2),
            ..reassembly::Settings::default()
        };
        let pacing = pacing::Settings {
            messages_max: value(words, "sends_max", 8),
            burst: value(words, "burst", 2),
            keep_for: Duration::from_millis(value(words, "keep_ms", 10)),
            ..pacing::Settings::default()
        };
        let config = ServerConfig { reassembly, pacing, ..ServerConfig::default() };
        self.server = Some(Server::new(config, 1));
    }

    /// `send <client> <packet> <id=… | session=… number=…> <body…>`: packet (from 1) of a request with this body.
    fn send(&mut self, words: &[&str], printed: &mut String) {
        let from = address(words[1]);
        let policy =
            if words.contains(&"read") { Policy::ReplicatedRead } else { Policy::Replicated };
        let words: Vec<&str> = words.iter().copied().filter(|&word| word != "read").collect();
        let number = value(&words, "number", 0);
        let (form, body) = if number == 0 {
            let request_id = value(&words, "id", 0);
            (Form::PlainRequest { request_id, policy }, bytes(&words[4..]))
        } else {
            let session = value(&words, "session", 0);
            let flags = Flags::NONE;
            let form = Form::Request { session, number, above_floor: 0, policy, flags };
            (form, bytes(&words[5..]))
        };
        let index = words[2].parse::<u16>().unwrap() - 1;
        let fragment = form.fragment(index, body.len()).unwrap();
        let datagram = [&*fragment.head, &body[fragment.range]].concat();
        let now = self.now;
        if let Some(request) = self.server().receive(now, now, from, &datagram) {
            let at = format!("{:.1}ms", now.as_secs_f64() * 1e3);
            let RequestId { session, number, .. } = request.id;
            let age = now.saturating_sub(request.age_from).as_secs_f64() * 1e3;
            let (client, body) = (name(request.client.socket()), text(&request.body));
            let policy = request.policy;
            writeln!(
                printed,
                "{at} whole: {client} {policy:?} {session}/{number} age={age:.1}ms {body}"
            )
            .unwrap();
            self.request = Some(request);
        }
    }

    fn asked(&self) -> (std::net::SocketAddr, AnswerForm) {
        let request = self.request.as_ref().unwrap();
        (request.client.socket(), AnswerForm::new(&request.id, request.plain))
    }

    fn wait(&mut self, until: Instant) -> String {
        let mut printed = String::new();
        while let Some(next) = self.server().deadline().filter(|&next| next < until) {
            self.now = next.max(self.now + Duration::from_micros(1));
            let now = self.now;
            self.server().tick(now);
            self.drain(&mut printed);
        }
        self.now = until;
        self.server().tick(until);
        self.drain(&mut printed);
        printed
    }

    fn drain(&mut self, printed: &mut String) {
        let at = format!("{:.1}ms", self.now.as_secs_f64() * 1e3);
        let server = self.server.as_mut().unwrap();
        while let Some(packet) = server.poll_transmit() {
            let datagram = [packet.head, packet.tail].concat();
            writeln!(printed, "{at} -> {} {}", name(packet.to), describe(&datagram)).unwrap();
        }
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }
}
