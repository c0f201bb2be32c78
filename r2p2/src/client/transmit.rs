//! What goes out, one packet at a time: openings, packets wanted, requests, and the packets of long ones.

use core::net::SocketAddr;

use crate::answer;
use crate::extension::Flags;
use crate::fragment::{Form, low_16};
use crate::header::Policy;
use crate::table::Place;

use super::Client;
use super::config::Mode;
use super::link::{Link, Opening};

/// A packet to send, in two parts to be gathered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// Header bytes.
    pub head: &'a [u8],
    /// What follows them.
    pub tail: &'a [u8],
}

/// Where the tail of the packet is whose head stands in [`Client::head`].
enum Tail {
    Nothing,
    Asked(usize),
    Request(Place, usize),
}

impl Client {
    /// The next packet to send; called until there is none, after every other call.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if let Some((to, tail)) = self.next_short() {
            let tail = match tail {
                Tail::Nothing => &[],
                Tail::Asked(len) => &self.asked[..len],
                Tail::Request(place, len) => &self.requests.get(place).body[..len],
            };
            return Some(Transmit { to, head: &self.head, tail });
        }
        let paced = self.long.poll(self.now)?;
        self.head = paced.head;
        Some(Transmit { to: paced.to, head: &self.head, tail: paced.payload })
    }

    /// How the request at `place` travels now.
    pub(super) fn form(&self, place: Place) -> Form {
        let open = self.requests.get(place);
        let (number, policy) = (open.number, open.policy);
        if self.config.mode == Mode::Plain {
            return Form::PlainRequest { request_id: low_16(number), policy };
        }
        let session = self.link.session().unwrap_or(0);
        let flags = Flags { closes: open.closes, repeats: open.tries > 0, ..Flags::NONE };
        let above_floor = self.numbers.above_floor(number);
        Form::Request { session, number, above_floor, policy, flags }
    }

    fn next_short(&mut self) -> Option<(SocketAddr, Tail)> {
        if let Some(to) = self.send_opening() {
            return Some((to, Tail::Nothing));
        }
        if let Some((to, len)) = self.send_asks() {
            return Some((to, Tail::Asked(len)));
        }
        let (window, ready) = (self.link.window(), self.link.session().is_some());
        while let Some(place) =
            self.requests.to_send(|open| ready && self.numbers.is_within(open.number, window))
        {
            if let Some((to, len)) = self.send_request(place) {
                return Some((to, Tail::Request(place, len)));
            }
        }
        None
    }

    fn send_opening(&mut self) -> Option<SocketAddr> {
        let Link::Opening(opening) = &self.link else { return None };
        if opening.due > self.now {
            return None;
        }
        let repeat_within = self.config.plain_window.saturating_sub(self.config.packet_life);
        let (tries, sent_to, sent_at) = (opening.tries, opening.sent_to, opening.sent_at);
        if opening.first_sent.is_some_and(|at| at + repeat_within < self.now) {
            // HC7c: the nonce may be forgotten by now. A session that it opened is left to expire.
            self.link = Link::Opening(Opening {
                tries,
                ..Opening::new(self.random.next_nonzero(), self.now)
            });
        }
        if tries > 0 {
            self.try_another(sent_to, sent_at);
        }
        let (to, server) = self.destination(Policy::Replicated);
        let pause = self.pause(tries + 1);
        let now = self.now;
        let Link::Opening(opening) = &mut self.link else { return None };
        self.head = opening.form().fragment(0, 0)?.head;
        opening.first_sent = opening.first_sent.or(Some(now));
        opening.tries += 1;
        (opening.sent_to, opening.sent_at, opening.due) = (server, now, now + pause);
        Some(to)
    }

    fn send_asks(&mut self) -> Option<(SocketAddr, usize)> {
        while let Some(ask) = self.reassembly.poll_wanted(self.now, &mut self.asked) {
            let current = self.link.session() == Some(ask.session);
            if current && self.requests.find(ask.number).is_some() {
                self.head = answer::wanted(ask.session, ask.number);
                self.counters.asks += 1;
                return Some((ask.to.socket(), ask.len));
            }
            self.reassembly.forget(&ask.key, &mut self.pool);
        }
        None
    }

    /// Sends a request's first packet, all of them with the extension; gives its head and bytes if it goes at once.
    fn send_request(&mut self, place: Place) -> Option<(SocketAddr, usize)> {
        let form = self.form(place);
        let open = self.requests.get(place);
        let (to, server) = self.destination(open.policy);
        let (long, body, tries) = (open.is_long(&form), open.body.clone(), open.tries);
        let repeat_within = self.config.plain_window.saturating_sub(self.config.packet_life);
        let (now, plain) = (self.now, self.config.mode == Mode::Plain);
        let pause = self.pause(tries + 1);
        let open = self.requests.get_mut(place);
        if tries == 0 {
            self.counters.sent += 1;
            if self.config.mode != Mode::Session {
                open.repeat_until = now + repeat_within; // HC7c
            }
        } else {
            self.counters.repeated += 1;
        }
        open.tries += 1;
        (open.sent_at, open.sent_to) = (now, server);
        open.wants_ack = long && plain;
        self.requests.wait_until(place, now + pause);
        if long && !plain {
            // No room: the time-out tries again.
            let _full = self.long.push(now, to, form, body, 0);
            return None;
        }
        let fragment = form.fragment(0, body.len())?;
        self.head = fragment.head;
        Some((to, fragment.range.len()))
    }

    /// Where a request goes, and which of the servers that is.
    pub(super) fn destination(&self, policy: Policy) -> (SocketAddr, Option<usize>) {
        let server = self.config.servers.get(self.preferred).copied();
        let group = self.config.group.filter(|_| policy.is_replicated() || server.is_none());
        match (group, server) {
            (Some(group), _) => (group, None),
            (None, Some(server)) => (server, Some(self.preferred)),
            (None, None) => unreachable!("checked by ClientConfig: there is a server or a group"),
        }
    }
}
