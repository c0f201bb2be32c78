//! Long messages, sent in bursts with gaps, and kept a while so that packets of them can be repeated (wire.md 6).
//!
//! A client sends its long requests through it, a server its long answers. [`LongSends::push`] takes a message,
//! [`LongSends::poll`] gives the packets that may leave now; [`LongSends::wanted`] repeats packets to whoever asked.
//!
//! Bodies are only borrowed here, as clones: whoever took one from a pool gives its own back there, as always.
//!
//! Invariants:
//! - L1. At most `burst` packets leave within `gap`, of all messages together; messages take turns by bursts.
//! - L2. Messages and bytes held are bounded. When full, the one kept longest makes room; else a new one is refused.
//! - L3. Packets of an answer go to the client that it was made for and to nobody else.

use core::net::SocketAddr;
use core::time::Duration;

use crate::Instant;
use crate::ack::Wanted;
use crate::buffer::Body;
use crate::fragment::{Form, Head};
use crate::reassembly::partial::PacketSet;
use crate::request_id::ClientAddress;
use crate::table::{Key, Mix, Place, Table};

/// Messages with packets to send.
const ACTIVE: usize = 0;
/// Messages that may be asked for, oldest first.
const KEPT: usize = 1;
/// Messages to forget.
const DONE: usize = 2;

/// Bounds of a [`LongSends`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Messages held at a time.
    pub messages_max: usize,
    /// Bytes of bodies held at a time.
    pub bytes_max: usize,
    /// Packets that leave at once.
    pub burst: u16,
    /// Time between two bursts.
    pub gap: Duration,
    /// How long a message is kept after its last packet (`answer_ttl`).
    pub keep_for: Duration,
}

/// A packet to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paced<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// Header bytes.
    pub head: Head,
    /// What follows them.
    pub payload: &'a [u8],
}

/// No room for another long message (L2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no room for another long message")]
pub struct Full;

/// Long messages being sent or kept.
#[derive(Clone, Debug)]
pub struct LongSends {
    settings: Settings,
    table: Table<SendKey, Send>,
    bytes: usize,
    burst_left: u16,
    burst_at: Instant,
}

/// A message to one client under its request's id; requests have no client here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct SendKey {
    plain: bool,
    client: ClientAddress,
    session: u64,
    number: u64,
}

#[derive(Clone, Debug)]
struct Send {
    form: Form,
    to: SocketAddr,
    body: Body,
    /// Packets still to send.
    left: PacketSet,
    keep_until: Instant,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            messages_max: 1_024,
            bytes_max: 64 << 20,
            burst: 32,
            gap: Duration::from_micros(200),
            keep_for: Duration::from_millis(400),
        }
    }
}

impl SendKey {
    fn new(form: &Form, to: SocketAddr) -> Self {
        let nobody = ClientAddress::default();
        match *form {
            Form::PlainRequest { request_id, .. } => {
                Self { plain: true, client: nobody, session: 0, number: request_id.into() }
            }
            Form::PlainResponse { request_id } => {
                Self { plain: true, client: to.into(), session: 0, number: request_id.into() }
            }
            Form::Request { session, number, .. } => {
                Self { plain: false, client: nobody, session, number }
            }
            Form::Response { session, number, .. } => {
                Self { plain: false, client: to.into(), session, number }
            }
        }
    }
}

impl Key for SendKey {
    fn mix(&self, mix: &mut Mix) {
        let [a, b, c, d, e, f, g, h, low @ ..] = self.client.ip;
        mix.word(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        mix.word(u64::from_be_bytes(low));
        mix.word(u64::from(self.client.port) << 1 | u64::from(self.plain));
        mix.word(self.session);
        mix.word(self.number);
    }
}

impl LongSends {
    /// None yet. `seed` keeps others from choosing ids that collide.
    ///
    /// # Panics
    ///
    /// When a burst is of no packets.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        assert!(settings.burst > 0, "a burst of no packets sends nothing");
        Self {
            settings,
            table: Table::new(settings.messages_max, 3, seed),
            bytes: 0,
            burst_left: settings.burst,
            burst_at: Instant::ZERO,
        }
    }

    /// Sends the packets of a message from index `first` on, in place of an earlier message under its id.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is no room, or the body takes more packets than a message may have.
    pub fn push(
        &mut self,
        now: Instant,
        to: SocketAddr,
        form: Form,
        body: Body,
        first: u16,
    ) -> Result<(), Full> {
        let packets = form.packets(body.len()).ok_or(Full)?;
        let key = SendKey::new(&form, to);
        if let Some(old) = self.table.find(&key) {
            self.remove(old);
        }
        self.clear(DONE, now);
        while self.table.is_full() || self.bytes + body.len() > self.settings.bytes_max {
            let kept = self.table.first(KEPT).ok_or(Full)?;
            self.remove(kept);
        }
        let mut left = PacketSet::default();
        for index in first..packets {
            left.insert(index);
        }
        self.bytes += body.len();
        let list = if left.is_empty() { DONE } else { ACTIVE };
        let send = Send { form, to, body, left, keep_until: now + self.settings.keep_for };
        self.table.insert(key, send, list).map(|_| ()).ok_or(Full)
    }

    /// The next packet that may leave now.
    pub fn poll(&mut self, now: Instant) -> Option<Paced<'_>> {
        self.clear(DONE, now);
        if now >= self.burst_at + self.settings.gap {
            self.burst_at = now;
            self.burst_left = self.settings.burst;
        }
        let place = self.table.first(ACTIVE).filter(|_| self.burst_left > 0)?;
        self.burst_left -= 1;
        let plain = self.table.key(place).plain;
        let send = self.table.value_mut(place);
        let index = send.left.first()?;
        send.left.remove(index);
        if send.left.is_empty() {
            send.keep_until = now + self.settings.keep_for;
            self.table.move_to_end(place, if plain { DONE } else { KEPT });
        } else if self.burst_left == 0 {
            self.table.move_to_end(place, ACTIVE);
        }
        let send = self.table.value(place);
        let fragment = send.form.fragment(index, send.body.len())?;
        Some(Paced { to: send.to, head: fragment.head, payload: &send.body[fragment.range] })
    }

    /// `from` wants packets of the message with this id. They go to it alone: for an answer it is the client itself;
    /// for a request whoever asks, once no packet is on its way to somebody else. False when nothing is held for it.
    pub fn wanted(
        &mut self,
        now: Instant,
        from: SocketAddr,
        session: u64,
        number: u64,
        wanted: Wanted<'_>,
    ) -> bool {
        let key = |client| SendKey { plain: false, client, session, number };
        let place = self.table.find(&key(from.into())); // L3
        let place = place.or_else(|| self.table.find(&key(ClientAddress::default())));
        let Some(place) = place.filter(|&place| !self.is_over(place, now)) else { return false };
        let send = self.table.value_mut(place);
        if !send.left.is_empty() && send.to != from {
            return true;
        }
        let idle = send.left.is_empty();
        let packets = send.form.packets(send.body.len()).unwrap_or(0);
        // HC13: an honest list names no packet twice.
        for index in wanted.ranges(packets).flatten().take(packets.into()) {
            send.left.insert(index);
        }
        send.to = from;
        if idle && !send.left.is_empty() {
            self.table.move_to_end(place, ACTIVE);
        }
        true
    }

    /// Whether packets of the message under `form`'s id to `to` (which matters for answers only) are still to be sent.
    #[must_use]
    pub fn is_sending(&self, form: &Form, to: SocketAddr) -> bool {
        let place = self.table.find(&SendKey::new(form, to));
        place.is_some_and(|place| !self.table.value(place).left.is_empty())
    }

    /// Gives up the message under `form`'s id to `to` (which matters for answers only); harmless when it is not held.
    pub fn forget(&mut self, form: &Form, to: SocketAddr) {
        if let Some(place) = self.table.find(&SendKey::new(form, to)) {
            self.remove(place);
        }
    }

    /// Lets go of messages that were kept long enough.
    pub fn expire(&mut self, now: Instant) {
        self.clear(DONE, now);
        self.clear(KEPT, now);
    }

    /// When [`Self::poll`] or [`Self::expire`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let active = self.table.first(ACTIVE).map(|_| {
            if self.burst_left > 0 { self.burst_at } else { self.burst_at + self.settings.gap }
        });
        let kept = self.table.first(KEPT).map(|place| self.table.value(place).keep_until);
        active.into_iter().chain(kept).min()
    }

    /// Changes how long messages are kept: those whose last packet leaves from now on.
    pub fn set_keep_for(&mut self, keep_for: Duration) {
        self.settings.keep_for = keep_for;
    }

    /// Messages held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no message is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_over(&self, place: Place, now: Instant) -> bool {
        let send = self.table.value(place);
        send.left.is_empty() && send.keep_until <= now
    }

    fn clear(&mut self, list: usize, now: Instant) {
        let over = |sends: &Self, at: &Place| list == DONE || sends.is_over(*at, now);
        while let Some(place) = self.table.first(list).filter(|at| over(self, at)) {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: Place) {
        let (_, send) = self.table.remove(place);
        self.bytes -= send.body.len();
    }
}
