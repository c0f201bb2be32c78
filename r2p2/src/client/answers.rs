//! What comes back: answers, refusals, and ACKs.

use core::net::SocketAddr;
use core::time::Duration;

use crate::Instant;
use crate::ack::{ACK_PAYLOAD, Wanted};
use crate::drops::DropReason;
use crate::extension::Extension;
use crate::fragment::low_16;
use crate::header::MessageKind;
use crate::opening::OpeningReply;
use crate::packet::Packet;
use crate::reassembly::{Arrived, Progress, Response};
use crate::refusal::{PLAIN_DROP, Reason, Refusal};
use crate::table::Place;

use super::Client;
use super::config::{Event, Mode};
use super::link::{Link, Session};

impl Client {
    /// Takes a datagram that came from `from`. Whatever it holds is harmless (HC13).
    pub fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.set_now(now);
        let taken = match Packet::parse(datagram) {
            Ok(packet) => match packet.header.kind {
                MessageKind::Response => self.on_response(from, &packet),
                MessageKind::Ack => self.on_ack(from, &packet),
                MessageKind::Drop => self.on_refusal(&packet),
                _ => Err(DropReason::Unexpected),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(reason) = taken {
            self.drops.count(reason);
        }
    }

    fn on_response(&mut self, from: SocketAddr, packet: &Packet<'_>) -> Result<(), DropReason> {
        if let Some(extension) = packet.extension
            && self.is_opening(extension.number)
        {
            return self.on_opened(&extension, packet.payload);
        }
        let place = self.addressed(packet)?;
        let now = self.now;
        let arrived = Arrived { now, not_before: now, from: from.into() };
        match self.reassembly.response(arrived, packet, &mut self.pool) {
            Progress::Whole(response) => self.on_answer(from, place, response),
            Progress::Partial => self.requests.get_mut(place).heard_at = Some(now),
            // Counted there.
            Progress::Duplicate | Progress::Dropped(_) => {}
        }
        Ok(())
    }

    fn on_opened(&mut self, extension: &Extension, payload: &[u8]) -> Result<(), DropReason> {
        let reply = OpeningReply::parse(payload)?;
        if extension.session == 0 || reply.window == 0 {
            return Err(DropReason::Number);
        }
        let session = Session::new(extension.session, reply, self.now);
        self.counters.sessions += 1;
        self.tell(Event::SessionOpened {
            session: session.session,
            window: reply.window,
            expiry: session.expiry,
        });
        self.link = Link::Open(session);
        self.close_if_done();
        Ok(())
    }

    fn on_answer(&mut self, from: SocketAddr, place: Place, response: Response) {
        let now = self.now;
        if let Link::Open(session) = &mut self.link {
            session.used_at = now;
        }
        self.heard_from(from, place);
        // The event has a clone: the buffer is used again once that is gone.
        let body = response.body.clone();
        self.pool.give_back(response.body);
        let executed = response.executed;
        self.end(place, |tag, number| Event::Answered { tag, number, executed, body, from });
    }

    fn on_ack(&mut self, from: SocketAddr, packet: &Packet<'_>) -> Result<(), DropReason> {
        let Some(extension) = packet.extension else {
            return self.on_plain_ack(from, packet);
        };
        if !extension.flags.wanted {
            return Err(DropReason::Unexpected);
        }
        let wanted = Wanted::parse(packet.payload)?;
        self.addressed(packet)?;
        let (session, number) = (extension.session, extension.number);
        if !self.long.wanted(self.now, from, session, number, wanted) {
            return Err(DropReason::NotHeld);
        }
        self.counters.asked_for_packets += 1;
        Ok(())
    }

    /// The rest of a long request goes to the source of its first ACK (wire.md 1.4); another ACK changes nothing.
    fn on_plain_ack(&mut self, from: SocketAddr, packet: &Packet<'_>) -> Result<(), DropReason> {
        if packet.payload != ACK_PAYLOAD {
            return Err(DropReason::Payload);
        }
        let place = self.addressed(packet)?;
        if !self.requests.get(place).wants_ack {
            return Err(DropReason::Duplicate);
        }
        let form = self.form(place);
        let open = self.requests.get_mut(place);
        let pushed = self.long.push(self.now, from, form, open.body.clone(), 1);
        open.wants_ack = pushed.is_err();
        Ok(())
    }

    fn on_refusal(&mut self, packet: &Packet<'_>) -> Result<(), DropReason> {
        let refusal = match packet.extension {
            Some(_) => Refusal::parse(packet.payload)?,
            None if packet.payload == PLAIN_DROP => Refusal::new(Reason::Overload),
            None => return Err(DropReason::Payload),
        };
        let (number, request_id) = (packet.extension.map(|e| e.number), packet.header.request_id);
        if let Link::Opening(opening) = &self.link
            && number.map_or(low_16(opening.nonce) == request_id, |number| number == opening.nonce)
        {
            self.opening_refused(refusal);
            return Ok(());
        }
        let place = match packet.extension {
            // A switch may refuse with a plain one: by port and id (wire.md 6).
            None if self.config.mode != Mode::Plain => {
                self.link.session().ok_or(DropReason::NotOpen)?;
                let number = self.numbers.by_request_id(request_id);
                number.and_then(|number| self.requests.find(number)).ok_or(DropReason::NotOpen)?
            }
            _ => self.addressed(packet)?,
        };
        self.refuse(place, refusal)
    }

    fn refuse(&mut self, place: Place, refusal: Refusal) -> Result<(), DropReason> {
        let open = self.requests.get(place);
        if open.tries == 0 {
            return Err(DropReason::NotOpen);
        }
        match refusal.reason {
            Reason::Overload | Reason::NoLeader => self.back_off(place, refusal),
            // A repetition met the answer under way: that one is whole, or will be asked for.
            Reason::NotKept if self.is_heard(place) => return Err(DropReason::SecondAnswer),
            Reason::UnknownSession if self.config.mode == Mode::Session && !open.closes => {
                self.lose_session(place);
            }
            // Also of a closing: a session that nobody knows is closed.
            reason => self.end(place, |tag, number| Event::Refused { tag, number, reason }),
        }
        Ok(())
    }

    /// Nothing is known of the request (HC10): it keeps its id and is repeated later.
    fn back_off(&mut self, place: Place, refusal: Refusal) {
        self.counters.backed_off += 1;
        let open = self.requests.get_mut(place);
        open.refusals = open.refusals.saturating_add(1);
        let (refusals, sent_to, sent_at) = (open.refusals, open.sent_to, open.sent_at);
        if refusal.reason == Reason::NoLeader {
            self.try_another(sent_to, sent_at);
        }
        self.stop_sending(place);
        let pause = self.pause_after(refusal, refusals);
        self.requests.wait_until(place, self.now + pause);
    }

    fn opening_refused(&mut self, refusal: Refusal) {
        self.counters.backed_off += 1;
        let Link::Opening(opening) = &self.link else { return };
        let (tries, sent_to, sent_at) = (opening.tries, opening.sent_to, opening.sent_at);
        if refusal.reason == Reason::NoLeader {
            self.try_another(sent_to, sent_at);
        }
        let pause = self.pause_after(refusal, tries);
        if let Link::Opening(opening) = &mut self.link {
            opening.due = self.now + pause.min(self.config.give_up_after);
        }
    }

    /// Time to the next try after this many refusals: what the refusal says and more each time, or as after silence.
    fn pause_after(&mut self, refusal: Refusal, refusals: u32) -> Duration {
        let Some(hint) = refusal.retry_after() else { return self.pause(refusals) };
        let doubled = 1u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(u32::MAX);
        let longer = hint.saturating_mul(doubled).min(self.config.retry_max);
        self.random.at_least(longer.max(hint))
    }

    /// What was sent and has no answer has an unknown outcome: it is never sent under another session.
    fn lose_session(&mut self, refused: Place) {
        let session = self.link.session().unwrap_or(0);
        let reason = Reason::UnknownSession;
        self.end_only(refused, |tag, number| Event::Refused { tag, number, reason });
        let mut list = 0;
        while let Some(place) = self.requests.any(&mut list) {
            let sent = self.requests.get(place).tries > 0;
            self.end_only(place, |tag, number| match sent {
                true => Event::Unknown { tag, number },
                false => Event::NotSent { tag, number },
            });
        }
        self.tell(Event::SessionLost { session });
        if self.closing {
            self.closed();
        } else {
            self.open_session();
        }
    }

    fn is_opening(&self, nonce: u64) -> bool {
        matches!(&self.link, Link::Opening(opening) if opening.nonce == nonce)
    }

    /// The open request that a packet speaks of.
    fn addressed(&self, packet: &Packet<'_>) -> Result<Place, DropReason> {
        let (session, number) = match packet.extension {
            None => (None, u64::from(packet.header.request_id)),
            Some(extension) => (Some(extension.session), extension.number),
        };
        let expected = (self.config.mode != Mode::Plain).then_some(self.link.session());
        if session.map(Some) != expected {
            return Err(DropReason::NotOpen);
        }
        self.requests.find(number).ok_or_else(|| {
            let given = match session {
                None => self.numbers.by_request_id(packet.header.request_id).is_some(),
                Some(_) => self.numbers.was_given(number),
            };
            let answer = packet.header.kind == MessageKind::Response && given;
            if answer { DropReason::SecondAnswer } else { DropReason::NotOpen }
        })
    }
}
