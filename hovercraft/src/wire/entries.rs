//! Entries in an append, and the bodies behind them.
//!
//! [`Entries`] and [`Bodies`] are views into a packet that `parse` has checked whole: their iterators only slice.

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{NodeId, Term};
use zerocopy::byteorder::network_endian::{U16, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::layout::RawEntry;
use super::{Field, NUMBER_MAX, WireError};
use crate::entry::{ENTRY_LEN, EntryKind, Request};

/// Bodies are shorter than this: the length has three bytes.
pub const BODY_LEN_MAX: u32 = (1 << 24) - 1;

const NO_OP: u8 = 0;
const CONFIGURATION: u8 = 1;
const PLAIN_FORM: u8 = 8;

/// The entries of an append, checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Entries<'a> {
    bytes: &'a [u8],
}

/// The bodies of some of an append's entries, checked against their lengths.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bodies<'a> {
    entries: Entries<'a>,
    /// Bit `n`: the body of entry `n` is here.
    present: u32,
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Checks every entry of `bytes`, a multiple of [`ENTRY_LEN`] long.
    pub(super) fn check(bytes: &'a [u8]) -> Result<Self, WireError> {
        for entry in bytes.as_chunks::<ENTRY_LEN>().0 {
            read(entry).ok_or(WireError::Field(Field::Entry))?;
        }
        Ok(Self { bytes })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / ENTRY_LEN
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// In log order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<Request>> + use<'a> {
        self.bytes.as_chunks::<ENTRY_LEN>().0.iter().filter_map(read)
    }

    /// Whether a configuration stands last; `None` when one stands anywhere else.
    pub(super) fn configuration_is_last(&self) -> Option<bool> {
        let mut kinds = self.bytes.as_chunks::<ENTRY_LEN>().0.iter().map(|entry| entry[KIND_AT]);
        match kinds.position(|kind| kind == CONFIGURATION << 4) {
            None => Some(false),
            Some(place) => (place + 1 == self.len()).then_some(true),
        }
    }
}

impl<'a> Bodies<'a> {
    /// Checks that `bytes` are exactly the bodies that `present` names.
    pub(super) fn check(
        entries: Entries<'a>,
        present: u32,
        bytes: &'a [u8],
    ) -> Result<Self, WireError> {
        let bad = WireError::Field(Field::Bodies);
        let mut left = bytes.len();
        let mut seen = 0u32;
        for (place, entry) in entries.iter().enumerate() {
            if present & (1 << place) == 0 {
                continue;
            }
            seen |= 1 << place;
            let Payload::Command(request) = entry.payload else { return Err(bad) };
            let len = usize::try_from(request.len).map_err(|_| bad)?;
            left = left.checked_sub(len).ok_or(bad)?;
        }
        // W1: without any, an append has no place for them either.
        let exact = left == 0 && seen == present && present != 0;
        if exact { Ok(Self { entries, present, bytes }) } else { Err(bad) }
    }

    /// For each entry in order its body, where it is here.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let Self { entries, present, mut bytes } = *self;
        entries.iter().enumerate().map(move |(place, entry)| {
            let Payload::Command(request) = entry.payload else { return None };
            if present & (1 << place) == 0 {
                return None;
            }
            let (body, rest) = bytes.split_at_checked(usize::try_from(request.len).ok()?)?;
            bytes = rest;
            Some(body)
        })
    }

    /// Whether none is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }
}

/// An entry from its bytes, as the log's storage has them too; `None` when they are none.
#[must_use]
pub fn read(bytes: &[u8; ENTRY_LEN]) -> Option<Entry<Request>> {
    let raw = RawEntry::read_from_bytes(bytes).ok()?;
    let term = Term::from_wire(raw.term.get());
    let (kind, replier) = (raw.kind_replier >> 4, raw.kind_replier & 15);
    let kind = match kind & !PLAIN_FORM {
        NO_OP | CONFIGURATION => {
            let payload = match raw.kind_replier >> 4 {
                NO_OP => Payload::NoOp,
                CONFIGURATION => Payload::Configuration,
                _ => return None,
            };
            let rest_is_zero = bytes[8..].iter().enumerate().all(|(at, &byte)| {
                byte == if at == KIND_AT - 8 { raw.kind_replier & 0xF0 } else { 0 }
            });
            return rest_is_zero.then_some(Entry { term, payload });
        }
        2 => EntryKind::Write,
        3 => EntryKind::Read,
        4 => EntryKind::Open,
        5 => EntryKind::Close,
        _ => return None,
    };
    let plain = raw.kind_replier >> 4 & PLAIN_FORM != 0;
    let session = raw.session.get();
    let fits = match kind {
        EntryKind::Open => session == 0 && !plain,
        EntryKind::Close => session != 0 && !plain,
        EntryKind::Write | EntryKind::Read => session == 0 || !plain,
    };
    if !fits || raw.stamp.get() >= NUMBER_MAX {
        return None;
    }
    let client = ClientAddress { ip: raw.ip, port: raw.port.get() };
    let [high, middle, low] = raw.len;
    let request = Request {
        id: RequestId::new(client, session, raw.number.get()),
        client,
        plain,
        kind,
        hash: raw.hash.get(),
        len: u32::from_be_bytes([0, high, middle, low]),
        above_floor: raw.above_floor.get(),
        stamp_us: raw.stamp.get(),
        replier: NodeId::new(replier)?,
        inline: false,
    };
    Some(Entry { term, payload: Payload::Command(request) })
}

/// The bytes of an entry.
///
/// # Panics
///
/// When the body's length is above [`BODY_LEN_MAX`]: no request of that length is ever ordered.
#[must_use]
pub fn write(entry: &Entry<Request>) -> [u8; ENTRY_LEN] {
    let mut raw = RawEntry { term: U64::new(entry.term.to_wire()), ..RawEntry::default() };
    match &entry.payload {
        Payload::NoOp => raw.kind_replier = NO_OP << 4,
        Payload::Configuration => raw.kind_replier = CONFIGURATION << 4,
        Payload::Command(request) => {
            assert!(request.len <= BODY_LEN_MAX, "a body of {} bytes was ordered", request.len);
            let kind = match request.kind {
                EntryKind::Write => 2,
                EntryKind::Read => 3,
                EntryKind::Open => 4,
                EntryKind::Close => 5,
            };
            let form = if request.plain { PLAIN_FORM } else { 0 };
            let [_, high, middle, low] = request.len.to_be_bytes();
            raw.session = U64::new(request.id.session);
            raw.number = U64::new(request.id.number);
            raw.ip = request.client.ip;
            raw.port = U16::new(request.client.port);
            raw.hash = U64::new(request.hash);
            raw.kind_replier = (kind | form) << 4 | request.replier.number();
            raw.len = [high, middle, low];
            raw.above_floor = U16::new(request.above_floor);
            raw.stamp = U64::new(request.stamp_us);
        }
    }
    let mut bytes = [0; ENTRY_LEN];
    bytes.copy_from_slice(raw.as_bytes());
    debug_assert_eq!(read(&bytes), Some(as_read(*entry)), "a receiver would refuse this entry");
    bytes
}

/// What does not travel is what [`read`] gives.
fn as_read(mut entry: Entry<Request>) -> Entry<Request> {
    if let Payload::Command(request) = &mut entry.payload {
        request.inline = false;
    }
    entry
}

/// Where kind and replier stand in an entry.
const KIND_AT: usize = 50;
