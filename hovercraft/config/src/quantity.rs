//! Durations and sizes as people write them: `"400ms"`, `"256KiB"`.
//!
//! Invariants:
//! 1. `parse(print(x)) == x` for every value.
//! 2. A duration without a unit is refused; a size without one is bytes.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A length of time, written as a number and `ns`, `us`, `ms`, `s`, `min` or `h`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

/// A number of bytes, written as a number or as a number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size(pub u64);

/// What an error found, or its bound: printed as the file has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantity {
    /// A plain number.
    Count(u64),
    /// Bytes.
    Bytes(u64),
    /// A duration.
    Time(Duration),
}

/// Why a text is no duration or size.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum QuantityError {
    /// No digits in front.
    #[error("must begin with a whole number")]
    NoNumber,
    /// No unit, or one that is not known.
    #[error("must end in one of the units {0}")]
    Unit(&'static str),
    /// Beyond 64 bits.
    #[error("is too large")]
    TooLarge,
}

const TIMES: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Number and unit of `text`, multiplied.
fn parse(
    text: &str,
    units: &[(&str, u64)],
    names: &'static str,
    bare: Option<u64>,
) -> Result<u64, QuantityError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(QuantityError::NoNumber);
    }
    let number: u64 = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    let unit = unit.trim();
    let factor = if unit.is_empty() {
        bare
    } else {
        units.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor)
    };
    let factor = factor.ok_or(QuantityError::Unit(names))?;
    number.checked_mul(factor).ok_or(QuantityError::TooLarge)
}

/// Writes `value` in the largest unit that divides it.
fn print(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    for &(name, factor) in units {
        if value.is_multiple_of(factor) && (value > 0 || factor == 1) {
            return write!(f, "{}{name}", value / factor);
        }
    }
    write!(f, "{value}")
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text, TIMES, "ns, us, ms, s, min, h", None)
            .map(|nanoseconds| Self(Duration::from_nanos(nanoseconds)))
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text, SIZES, "B, KiB, MiB, GiB", Some(1)).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX), TIMES)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, SIZES)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(bytes) => Size(bytes).fmt(f),
            Self::Time(time) => Span(time).fmt(f),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct SpanVisitor;

impl de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration in quotes, like \"400ms\" or \"1s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(|error| E::custom(format_args!("\"{text}\" {error}")))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, like 1024 or \"256KiB\"")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(|error| E::custom(format_args!("\"{text}\" {error}")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit_and_sizes_do_not() {
        assert_eq!("400ms".parse(), Ok(Span(Duration::from_millis(400))));
        assert_eq!("2 min".parse(), Ok(Span(Duration::from_secs(120))));
        assert_eq!("400".parse::<Span>(), Err(QuantityError::Unit("ns, us, ms, s, min, h")));
        assert_eq!("4096".parse(), Ok(Size(4_096)));
        assert_eq!("256KiB".parse(), Ok(Size(262_144)));
        assert_eq!("256kb".parse::<Size>(), Err(QuantityError::Unit("B, KiB, MiB, GiB")));
        assert_eq!("".parse::<Size>(), Err(QuantityError::NoNumber));
        assert_eq!("-1s".parse::<Span>(), Err(QuantityError::NoNumber));
        assert_eq!("99999999999999999999".parse::<Size>(), Err(QuantityError::TooLarge));
        assert_eq!("20000000000GiB".parse::<Size>(), Err(QuantityError::TooLarge));
    }

    #[test]
    fn the_largest_unit_that_divides_is_printed() {
        let time = |nanoseconds| Span(Duration::from_nanos(nanoseconds)).to_string();
        assert_eq!(time(0), "0ns");
        assert_eq!(time(1_500_000_000), "1500ms");
        assert_eq!(time(3_600_000_000_000), "1h");
        assert_eq!(Size(1_536).to_string(), "1536B");
        assert_eq!(Size(8 << 20).to_string(), "8MiB");
    }

    proptest! {
        #[test]
        fn parse_inverts_print(nanoseconds: u64, bytes: u64) {
            let span = Span(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
    }
}
