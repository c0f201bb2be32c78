//! What goes into and comes out of a reassembly.

use core::time::Duration;

use crate::Instant;
use crate::buffer::Body;
use crate::drops::DropReason;
use crate::extension::Flags;
use crate::fragment::{EXTENDED_PAYLOAD, EXTENDED_RESPONSE_PAYLOAD, PLAIN_PAYLOAD};
use crate::header::{MessageKind, Policy};
use crate::packet::Packet;
use crate::request_id::{ClientAddress, RequestId};
use crate::table::{Key, Mix};
use planted::Plant;

/// Bounds of a [`super::Reassembly`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Partial messages held at a time.
    pub messages_max: usize,
    /// Bytes of buffers that partial messages may hold.
    pub bytes_max: usize,
    /// Longest message, in bytes.
    pub body_max: usize,
    /// Life of a partial plain message (`reassembly_ttl`).
    pub plain_ttl: Duration,
    /// Life of a partial message with the extension, without a new packet (unordered expiry).
    pub extended_ttl: Duration,
    /// Standstill after which the sender may be asked for packets.
    pub ask_after: Duration,
    /// How often, until a packet comes.
    pub ask_tries: u8,
}

/// Whence and when a packet came.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// The time.
    pub now: Instant,
    /// When the packet was surely not yet waiting here (HC8).
    pub not_before: Instant,
    /// Its source.
    pub from: ClientAddress,
}

/// What became of a packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress<T> {
    /// The message is whole.
    Whole(T),
    /// More packets are needed. The lone first packet of a plain request wants an ACK now.
    Partial,
    /// It was held already, more are needed. A plain request's first packet wants an ACK again.
    Duplicate,
    /// It had no effect, and was counted.
    Dropped(DropReason),
}

/// A whole request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What tells it apart; of an opening request (0, nonce) at its address.
    pub id: RequestId,
    /// Who sent it.
    pub client: ClientAddress,
    /// Plain R2P2, without the extension.
    pub plain: bool,
    /// Who may serve it.
    pub policy: Policy,
    /// Opening, closing, repeated.
    pub flags: Flags,
    /// Number minus floor.
    pub above_floor: u16,
    /// Its bytes.
    pub body: Body,
    /// `not_before` of its first packet (HC8, age).
    pub age_from: Instant,
}

/// A whole answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// Plain R2P2, without the extension.
    pub plain: bool,
    /// The session, 0 without one.
    pub session: u64,
    /// Number of the request; of a plain one its 16-bit id.
    pub number: u64,
    /// Log index of the execution; 0 = outside the log, or plain.
    pub executed: u64,
    /// Who answered.
    pub from: ClientAddress,
    /// Its bytes.
    pub body: Body,
}

/// Tells partial messages apart (M1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MessageKey {
    pub(super) kind: MessageKind,
    pub(super) plain: bool,
    pub(super) from: ClientAddress,
    pub(super) session: u64,
    pub(super) number: u64,
    /// Packets of an answer with the extension; else 0.
    packets: u16,
    pub(super) executed: u64,
}

/// Packets wanted of a message's sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ask {
    /// The message.
    pub key: MessageKey,
    /// Whom to ask.
    pub to: ClientAddress,
    /// The request's session.
    pub session: u64,
    /// The request's number.
    pub number: u64,
    /// Bytes written into the payload.
    pub len: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            messages_max: 1_024,
            bytes_max: 64 << 20,
            body_max: 262_144,
            plain_ttl: Duration::from_millis(5),
            extended_ttl: Duration::from_millis(400),
            ask_after: Duration::from_millis(3),
            ask_tries: 16,
        }
    }
}

impl MessageKey {
    /// The key of a packet from `from`.
    #[must_use]
    pub fn of(packet: &Packet<'_>, from: ClientAddress) -> Self {
        let kind = packet.header.kind;
        match packet.extension {
            None => Self {
                kind,
                plain: true,
                from,
                session: 0,
                number: packet.header.request_id.into(),
                packets: 0,
                executed: 0,
            },
            Some(extension) if planted::is(Plant::Hc3dMixed) && kind == MessageKind::Response => {
                Self {
                    kind,
                    plain: false,
                    from: ClientAddress::default(),
                    session: extension.session,
                    number: extension.number,
                    packets: 0,
                    executed: 0,
                }
            }
            Some(extension) => Self {
                kind,
                plain: false,
                from,
                session: extension.session,
                number: extension.number,
                packets: if kind == MessageKind::Response { extension.packets } else { 0 },
                executed: extension.executed,
            },
        }
    }

    /// The key of a request.
    #[must_use]
    pub fn request(client: ClientAddress, session: u64, number: u64, plain: bool) -> Self {
        let kind = MessageKind::Request;
        Self { kind, plain, from: client, session, number, packets: 0, executed: 0 }
    }

    pub(super) fn payload_max(&self) -> usize {
        match (self.plain, self.kind) {
            (true, _) => PLAIN_PAYLOAD,
            (false, MessageKind::Response) => EXTENDED_RESPONSE_PAYLOAD,
            (false, _) => EXTENDED_PAYLOAD,
        }
    }
}

impl Key for MessageKey {
    fn mix(&self, mix: &mut Mix) {
        let [a, b, c, d, e, f, g, h, low @ ..] = self.from.ip;
        mix.word(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        mix.word(u64::from_be_bytes(low));
        let small = u64::from(self.from.port) << 32 | u64::from(self.packets) << 16;
        mix.word(small | (self.kind as u64) << 8 | u64::from(self.plain));
        mix.word(self.session);
        mix.word(self.number);
        mix.word(self.executed);
    }
}
