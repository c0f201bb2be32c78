//! Bodies between nodes: what is wanted, chunks of it, and requests passed on to the leader.

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, Term};
use zerocopy::FromBytes;
use zerocopy::byteorder::network_endian::{U16, U32, U64};

use super::entries::BODY_LEN_MAX;
use super::layout::{RawChunk, RawForward, RawWanted, WANTED_LEN};
use super::{Field, HEAD_LEN, MAC_LEN, PACKET_MAX, WireError};

/// Bytes of a body in one chunk; the last has what is left, a body without bytes is one empty chunk.
pub const CHUNK_LEN: usize = 1_280;

/// Bodies that one request for them can name.
pub const WANTED_MAX: usize = (PACKET_MAX - HEAD_LEN - MAC_LEN) / WANTED_LEN;

const BAD: WireError = WireError::Field(Field::Chunk);

/// R2P2's policies are 0 to 3 (wire.md 1.1).
const POLICY_MAX: u8 = 3;

/// Chunks of one body that a node asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Wanted {
    /// The body's name.
    pub id: RequestId,
    /// Its hash.
    pub hash: u64,
    /// Its length in bytes.
    pub len: u32,
    /// First chunk that the bitmap speaks of.
    pub first: u16,
    /// Bit `n`: chunk `first + n` is wanted. At least one bit is set, none beyond the body's end.
    pub chunks: u64,
}

/// What a request for a body asks beside it, and an answer repeats: whether anybody has it at all (HC1d).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct BodyQuestion {
    /// Term of the append that named the body; who is in another one does not say that it lacks it.
    pub term: Term,
    /// Index of the entry that names it.
    pub index: LogIndex,
    /// Fresh: an answer counts for the newest question only.
    pub number: u64,
}

/// A checked list of [`Wanted`], in the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WantedList<'a> {
    bytes: &'a [u8],
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Chunk<'a> {
    /// The body's name.
    pub id: RequestId,
    /// Where an answer to the request goes.
    pub client: ClientAddress,
    /// Whether the request came without the session extension.
    pub plain: bool,
    /// The body's hash.
    pub hash: u64,
    /// The body's length in bytes.
    pub len: u32,
    /// Which chunk this is.
    pub chunk: u16,
    /// Its bytes: [`CHUNK_LEN`], fewer in the last.
    pub bytes: &'a [u8],
}

/// A piece of a request on its way from a follower to the leader, with what its packets' headers said.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Forward<'a> {
    /// The piece.
    pub body: Chunk<'a>,
    /// R2P2's policy, 0 to 3.
    pub policy: u8,
    /// Flags of the session extension; 0 without it.
    pub flags: u8,
    /// Number above the client's floor; 0 without the extension.
    pub above_floor: u16,
    /// How long the request is known to have waited by now, in microseconds (HC8).
    pub age_us: u32,
}

/// Chunks that a body of `len` bytes is cut into.
#[must_use]
pub fn chunks_of(len: u32) -> u16 {
    let chunks = usize::try_from(len).map_or(usize::MAX, |len| len.div_ceil(CHUNK_LEN)).max(1);
    u16::try_from(chunks).unwrap_or(u16::MAX)
}

/// Which bytes of a body chunk number `chunk` has; `None` beyond its end.
#[must_use]
pub fn chunk_range(len: u32, chunk: u16) -> Option<core::ops::Range<usize>> {
    let len = usize::try_from(len).ok()?;
    let from = usize::from(chunk) * CHUNK_LEN;
    let inside = from < len || (from == 0 && len == 0);
    inside.then(|| from..len.min(from + CHUNK_LEN))
}

impl<'a> Chunk<'a> {
    /// Chunk number `chunk` of `body`; `None` beyond its end.
    #[must_use]
    pub fn of(
        id: RequestId,
        client: ClientAddress,
        plain: bool,
        hash: u64,
        body: &'a [u8],
        chunk: u16,
    ) -> Option<Self> {
        let len = u32::try_from(body.len()).ok().filter(|&len| len <= BODY_LEN_MAX)?;
        Some(Self {
            id,
            client,
            plain,
            hash,
            len,
            chunk,
            bytes: body.get(chunk_range(len, chunk)?)?,
        })
    }

    fn read(raw: &RawChunk, plain: bool, bytes: &'a [u8]) -> Result<Self, WireError> {
        let (len, chunk) = (raw.len.get(), raw.chunk.get());
        let range = chunk_range(len, chunk).ok_or(BAD)?;
        let session = raw.session.get();
        if len > BODY_LEN_MAX || range.len() != bytes.len() || (plain && session != 0) {
            return Err(BAD);
        }
        let client = ClientAddress { ip: raw.ip, port: raw.port.get() };
        let id = RequestId::new(client, session, raw.number.get());
        Ok(Self { id, client, plain, hash: raw.hash.get(), len, chunk, bytes })
    }

    pub(super) fn parse(plain: bool, tail: &'a [u8]) -> Result<Self, WireError> {
        let (raw, bytes) = RawChunk::read_from_prefix(tail).map_err(|_| BAD)?;
        Self::read(&raw, plain, bytes)
    }

    pub(super) fn raw(&self) -> RawChunk {
        RawChunk {
            session: U64::new(self.id.session),
            number: U64::new(self.id.number),
            ip: self.client.ip,
            port: U16::new(self.client.port),
            chunk: U16::new(self.chunk),
            len: U32::new(self.len),
            hash: U64::new(self.hash),
        }
    }
}

impl<'a> Forward<'a> {
    pub(super) fn parse(plain: bool, tail: &'a [u8]) -> Result<Self, WireError> {
        let (raw, bytes) = RawForward::read_from_prefix(tail).map_err(|_| BAD)?;
        let body = Chunk::read(&raw.body, plain, bytes)?;
        let (flags, above_floor) = (raw.flags, raw.above_floor.get());
        let extension = flags != 0 || above_floor != 0;
        if raw.policy > POLICY_MAX || (plain && extension) {
            return Err(BAD);
        }
        Ok(Self { body, policy: raw.policy, flags, above_floor, age_us: raw.age_us.get() })
    }

    pub(super) fn raw(&self) -> RawForward {
        RawForward {
            body: self.body.raw(),
            policy: self.policy,
            flags: self.flags,
            above_floor: U16::new(self.above_floor),
            age_us: U32::new(self.age_us),
        }
    }
}

impl Wanted {
    /// One, and nothing behind it.
    pub(super) fn parse(tail: &[u8]) -> Result<Self, WireError> {
        tail.try_into().ok().and_then(Self::read).ok_or(BAD)
    }

    fn read(bytes: &[u8; WANTED_LEN]) -> Option<Self> {
        let RawWanted { body, chunks } = RawWanted::read_from_bytes(bytes).ok()?;
        let client = ClientAddress { ip: body.ip, port: body.port.get() };
        let session = body.session.get();
        let wanted = Self {
            id: RequestId::new(client, session, body.number.get()),
            hash: body.hash.get(),
            len: body.len.get(),
            first: body.chunk.get(),
            chunks: chunks.get(),
        };
        let addressed = session == 0 || client == ClientAddress::default();
        (addressed && wanted.holds()).then_some(wanted)
    }

    /// Whether at least one chunk is asked for, and none beyond the body's end.
    fn holds(&self) -> bool {
        let last = u32::from(self.first) + self.chunks.checked_ilog2().unwrap_or(0);
        self.chunks != 0 && self.len <= BODY_LEN_MAX && last < u32::from(chunks_of(self.len))
    }

    pub(super) fn raw(&self) -> RawWanted {
        assert!(self.holds(), "chunks beyond the body's end, or none, are asked for: {self:?}");
        let body = RawChunk {
            session: U64::new(self.id.session),
            number: U64::new(self.id.number),
            ip: self.id.client.ip,
            port: U16::new(self.id.client.port),
            chunk: U16::new(self.first),
            len: U32::new(self.len),
            hash: U64::new(self.hash),
        };
        RawWanted { body, chunks: U64::new(self.chunks) }
    }

    /// The numbers of the chunks asked for, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<> {
        let Self { first, chunks, .. } = *self;
        (0..64u16).filter(move |bit| chunks & (1 << bit) != 0).map(move |bit| first + bit)
    }
}

impl<'a> WantedList<'a> {
    pub(super) fn parse(count: u16, tail: &'a [u8]) -> Result<Self, WireError> {
        if count == 0 || tail.len() != usize::from(count) * WANTED_LEN {
            return Err(WireError::Field(Field::Count));
        }
        for bytes in tail.as_chunks::<WANTED_LEN>().0 {
            Wanted::read(bytes).ok_or(BAD)?;
        }
        Ok(Self { bytes: tail })
    }

    /// In the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = Wanted> + use<'a> {
        self.bytes.as_chunks::<WANTED_LEN>().0.iter().filter_map(Wanted::read)
    }
}
