//! `stss` requests: a service time, a request and a reply of chosen sizes (wire.md 3.2).
//!
//! ```text
//! request: service time in us, bytes of the body, bytes of the reply's body: 3 x i64 little endian, then the body
//! reply:   bytes of the body: i64 little endian, then the body
//! ```
//!
//! `stss_<time>_<request size>_<reply size>` sends writes only, `stssr_..._<read ratio>` reads with that probability.
//! Sizes are of the bodies, without the 24 and 8 bytes in front, as with the published tool; each number may be drawn
//! ([`Quantity`]).

use rand::{Rng, RngExt};

use synthetic::{REPLY_MAX, Request};

use super::quantity::{Quantity, QuantityError, probability};
use super::{Kind, WorkloadError};

/// Bytes in front of a request's body.
pub const REQUEST_HEAD: usize = 24;

/// Bytes in front of a reply's body.
pub const REPLY_HEAD: usize = 8;

/// What the body is made of.
const FILL: u8 = b'x';

/// Which requests to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// Time that the service spends, in microseconds.
    pub service_us: Quantity,
    /// Bytes of the request's body.
    pub request: Quantity,
    /// Bytes of the reply's body.
    pub reply: Quantity,
    /// Share of reads.
    pub reads: f64,
}

impl Synthetic {
    /// Reads `stss_…` or `stssr_…`.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`] for another text.
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        let parts: Vec<&str> = text.split('_').collect();
        let (numbers, reads) = match *parts.as_slice() {
            ["stss", time, request, reply] => ([time, request, reply], 0.0),
            ["stssr", time, request, reply, ratio] => {
                let reads = probability(ratio)
                    .map_err(|source| WorkloadError::Quantity { field: "read ratio", source })?;
                ([time, request, reply], reads)
            }
            _ => return Err(WorkloadError::Form),
        };
        let number = |field, text: &str| {
            text.parse().map_err(|source| WorkloadError::Quantity { field, source })
        };
        let reply: Quantity = number("reply size", numbers[2])?;
        if reply.max() > REPLY_MAX {
            let source = QuantityError::TooLarge { value: reply.max(), max: REPLY_MAX };
            return Err(WorkloadError::Quantity { field: "reply size", source });
        }
        Ok(Self {
            service_us: number("service time", numbers[0])?,
            request: number("request size", numbers[1])?,
            reply,
            reads,
        })
    }

    /// Draws a request into `body`; returns its kind and the bytes of the reply's body. `filler` is kept for the next.
    pub fn draw(
        &self,
        random: &mut impl Rng,
        filler: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> (Kind, u64) {
        let kind = if random.random::<f64>() < self.reads { Kind::Read } else { Kind::Write };
        let [service_time_us, request, reply_size] =
            [self.service_us, self.request, self.reply].map(|quantity| quantity.draw(random));
        let len = usize::try_from(request).unwrap_or(usize::MAX);
        if filler.len() < len {
            filler.resize(len, FILL);
        }
        Request { service_time_us, reply_size, body: &filler[..len] }.encode(body);
        (kind, reply_size)
    }

    /// The longest request, in bytes.
    #[must_use]
    pub fn request_max(&self) -> u64 {
        self.request.max() + REQUEST_HEAD as u64
    }

    /// The longest reply, in bytes.
    #[must_use]
    pub fn reply_max(&self) -> u64 {
        self.reply.max() + REPLY_HEAD as u64
    }
}

/// Whether `reply` has a body of `size` bytes and says so.
#[must_use]
pub fn is_reply(reply: &[u8], size: u64) -> bool {
    let Some((head, body)) = reply.split_first_chunk::<REPLY_HEAD>() else { return false };
    u64::from_le_bytes(*head) == size && body.len() as u64 == size
}

#[cfg(test)]
mod tests {
    use r2p2::service::{Context, Reply, Service as _};
    use synthetic::{Pace, Synthetic as Service};

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn a_request_has_the_documented_bytes() {
        let workload = Synthetic::parse("stss_10_4_600").unwrap();
        let (mut filler, mut body) = (Vec::new(), Vec::new());
        let drawn = workload.draw(&mut stream(1, 0, Purpose::Requests), &mut filler, &mut body);
        assert_eq!(drawn, (Kind::Write, 600));
        let mut wanted = vec![0; REQUEST_HEAD];
        (wanted[0], wanted[8], wanted[16], wanted[17]) = (10, 4, 0x58, 0x02);
        wanted.extend_from_slice(b"xxxx");
        assert_eq!(body, wanted);
        assert_eq!((workload.request_max(), workload.reply_max()), (28, 608));
    }

    #[test]
    fn the_ratio_of_reads_is_kept() {
        let workload = Synthetic::parse("stssr_exp:10_0_8_0.75").unwrap();
        let mut random = stream(1, 0, Purpose::Requests);
        let (mut filler, mut body) = (Vec::new(), Vec::new());
        let mut is_read = || workload.draw(&mut random, &mut filler, &mut body).0 == Kind::Read;
        let reads = (0..10_000).filter(|_| is_read()).count();
        assert!((7_300..7_700).contains(&reads), "{reads} of 10000");
    }

    #[test]
    fn replies_are_checked_for_length() {
        assert!(is_reply(&[3, 0, 0, 0, 0, 0, 0, 0, b'x', b'x', b'x'], 3));
        assert!(!is_reply(&[3, 0, 0, 0, 0, 0, 0, 0, b'x', b'x'], 3));
        assert!(!is_reply(&[2, 0, 0, 0, 0, 0, 0, 0, b'x', b'x', b'x'], 3));
        assert!(!is_reply(&[3, 0, 0], 3));
    }

    #[test]
    fn the_service_answers_what_the_check_accepts() {
        let workload = Synthetic::parse("stss_1_exp:100_uni:0:2000").unwrap();
        let mut random = stream(1, 0, Purpose::Requests);
        let (mut filler, mut body, mut answer) = (Vec::new(), Vec::new(), Vec::new());
        let mut service = Service::new(Pace::NONE);
        for index in 1..1_000 {
            let (_, size) = workload.draw(&mut random, &mut filler, &mut body);
            let context = Context { index, log_time_us: 0 };
            service.execute(&context, &body, &mut Reply::new(&mut answer, 4_096));
            assert!(is_reply(&answer, size));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!(Synthetic::parse("stss_10_4"), Err(WorkloadError::Form));
        assert_eq!(Synthetic::parse("echo:4"), Err(WorkloadError::Form));
        let error = Synthetic::parse("stssr_1_2_3_1.5").unwrap_err();
        assert_eq!(error.to_string(), "read ratio: a probability lies between 0 and 1");
        let error = Synthetic::parse("stss_1_2_1048577").unwrap_err();
        assert_eq!(error.to_string(), "reply size: 1048577 is too much: at most 1048576");
    }
}
