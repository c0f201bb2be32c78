//! Choices drawn from a fuzzer's bytes; when these end, every choice is the first one.

use arbitrary::Unstructured;

/// Greatest index and log time of a message, and what lies beside it (W2 of `hovercraft::wire`).
const WIRE_MAX: u64 = 1 << 62;

/// A source of choices.
#[derive(Debug)]
pub(crate) struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    /// From these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether there is nothing left to choose by.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `bound`, which is above zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.int_in_range(0..=bound - 1).unwrap_or_default()
    }

    /// True once in `among` times; false when nothing is left.
    pub(crate) fn one_in(&mut self, among: u8) -> bool {
        self.u8() % among == among - 1
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number: mostly beside one of `near`, then a small one, at a limit, or any.
    pub(crate) fn number(&mut self, near: &[u64]) -> u64 {
        match self.u8() % 16 {
            0..=8 => {
                let base = self.pick(near);
                [base, base.wrapping_add(1), base.wrapping_sub(1), base.wrapping_add(2)]
                    [self.below(4)]
            }
            9 | 10 => self.u8().into(),
            11 => self.pick(&[u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 63]),
            12 => self.pick(&[WIRE_MAX - 1, WIRE_MAX, WIRE_MAX - 2, WIRE_MAX / 2]),
            13 => self.pick(&[u32::MAX.into(), u16::MAX.into(), 1 << 32, 1 << 16]),
            _ => self.u64(),
        }
    }

    /// The same for an index or a log time of a message: of those that are too great the greatest.
    pub(crate) fn wire_number(&mut self, near: &[u64]) -> u64 {
        self.number(near).min(WIRE_MAX - 1)
    }

    /// A length of two bytes, the low one first, and so many bytes, at most `max`.
    pub(crate) fn framed(&mut self, max: usize) -> &'a [u8] {
        let len = usize::from(self.u16()).min(max).min(self.0.len());
        self.0.bytes(len).unwrap_or_default()
    }

    /// At most `max` bytes, as they stand.
    pub(crate) fn bytes(&mut self, max: usize) -> &'a [u8] {
        let len = self.below(max + 1).min(self.0.len());
        self.0.bytes(len).unwrap_or_default()
    }
}
