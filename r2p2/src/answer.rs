//! What a server sends back for one request, without an allocation.
//!
//! [`AnswerForm`] is all that a server keeps to answer: one-packet answers, refusals and the handshake's ACK are built
//! here as [`Short`] values; a reply becomes packets by its [`Form`].

use core::ops::Deref;

use crate::ack::ACK_PAYLOAD;
use crate::extension::{Extension, Flags, HEAD_MAX};
use crate::fragment::{Form, Head, low_16};
use crate::header::{Header, MessageKind, Policy};
use crate::opening::{OPENING_REPLY_LEN, OpeningReply};
use crate::refusal::{PLAIN_DROP, Refusal};
use crate::request_id::RequestId;

/// Bytes of the longest [`Short`].
const SHORT_MAX: usize = HEAD_MAX + OPENING_REPLY_LEN;

/// How a request wants to be answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AnswerForm {
    /// As plain R2P2.
    Plain {
        /// Id of the request.
        request_id: u16,
    },
    /// With the extension.
    Extended {
        /// Its session; 0 for an opening and for requests without a session.
        session: u64,
        /// Its number, or an opening's nonce.
        number: u64,
    },
}

/// A whole short datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Short {
    bytes: [u8; SHORT_MAX],
    len: u8,
}

impl AnswerForm {
    /// The form for request `id`, which came as plain R2P2 or with the extension.
    #[must_use]
    pub fn new(id: &RequestId, plain: bool) -> Self {
        if plain {
            Self::Plain { request_id: low_16(id.number) }
        } else {
            Self::Extended { session: id.session, number: id.number }
        }
    }

    /// How a reply travels, the request having been executed at log index `executed` (0 = outside the log; plain R2P2
    /// does not say it).
    #[must_use]
    pub fn response(self, executed: u64) -> Form {
        match self {
            Self::Plain { request_id } => Form::PlainResponse { request_id },
            Self::Extended { session, number } => Form::Response { session, number, executed },
        }
    }

    /// A refusal; a plain client does not learn the reason.
    #[must_use]
    pub fn refusal(self, refusal: Refusal) -> Short {
        match self {
            Self::Plain { request_id } => {
                let header = Header::single(MessageKind::Drop, Policy::Fixed, request_id);
                Short::new(&Head::new(&header, None), &PLAIN_DROP)
            }
            Self::Extended { session, number } => {
                let header = Header::single(MessageKind::Drop, Policy::Fixed, low_16(number));
                let extension = Extension { session, number, packets: 1, ..Extension::default() };
                Short::new(&Head::new(&header, Some(&extension)), &refusal.emit())
            }
        }
    }
}

/// The ACK to the lone first packet of a long plain request: its sender may send the rest here (wire.md 1.4).
#[must_use]
pub fn ack(request_id: u16) -> Short {
    let header = Header::single(MessageKind::Ack, Policy::Fixed, request_id);
    Short::new(&Head::new(&header, None), &ACK_PAYLOAD)
}

/// The reply to the opening request with this nonce: `session` was opened at log index `executed`.
#[must_use]
pub fn opened(session: u64, nonce: u64, executed: u64, reply: OpeningReply) -> Short {
    let header = Header::single(MessageKind::Response, Policy::Fixed, low_16(nonce));
    let extension =
        Extension { session, number: nonce, packets: 1, executed, ..Extension::default() };
    Short::new(&Head::new(&header, Some(&extension)), &reply.emit())
}

/// The head of an ACK that asks the sender of a long message for packets; the payload is a list of
/// [`crate::ack::emit_wanted`].
#[must_use]
pub fn wanted(session: u64, number: u64) -> Head {
    let header = Header::single(MessageKind::Ack, Policy::Fixed, low_16(number));
    let flags = Flags { wanted: true, ..Flags::NONE };
    let extension = Extension { session, number, packets: 1, flags, ..Extension::default() };
    Head::new(&header, Some(&extension))
}

impl Short {
    fn new(head: &Head, payload: &[u8]) -> Self {
        let mut bytes = [0; SHORT_MAX];
        let len = head.len() + payload.len();
        bytes[..head.len()].copy_from_slice(head);
        bytes[head.len()..len].copy_from_slice(payload);
        Self { bytes, len: u8::try_from(len).unwrap_or(0) }
    }
}

impl Deref for Short {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
