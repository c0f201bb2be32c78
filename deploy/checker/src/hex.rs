//! Bytes and hashes as hexadecimal strings in JSON.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Appends the digits of `bytes`, two each.
pub(crate) fn push(line: &mut Vec<u8>, bytes: &[u8]) {
    line.reserve(2 * bytes.len());
    for byte in bytes {
        line.push(DIGITS[usize::from(byte >> 4)]);
        line.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// The bytes of `text`; `None` when it is not hexadecimal.
pub(crate) fn parse(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `#[serde(with = "hex::bytes")]` for `Vec<u8>`.
pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = Vec::new();
        push(&mut digits, bytes);
        serializer.serialize_str(&String::from_utf8_lossy(&digits))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_str(HexBytes)
    }

    struct HexBytes;

    impl Visitor<'_> for HexBytes {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an even number of hexadecimal digits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
}

/// `#[serde(with = "hex::hash")]` for a `u64`: 16 digits when written, 1 to 16 when read.
pub(crate) mod hash {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{hash:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(HexHash)
    }

    struct HexHash;

    impl Visitor<'_> for HexHash {
        type Value = u64;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("1 to 16 hexadecimal digits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let digits = !text.starts_with('+');
            let hash = if digits { u64::from_str_radix(text, 16).ok() } else { None };
            hash.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        let mut line = Vec::new();
        push(&mut line, &[0x00, 0x9a, 0xff]);
        assert_eq!(line, b"009aff");
        assert_eq!(parse("009aFf"), Some(vec![0x00, 0x9a, 0xff]));
        for bad in ["0", "0g", " 0", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
