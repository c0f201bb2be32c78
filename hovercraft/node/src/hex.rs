//! Hexadecimal digits.

use core::fmt::Write as _;

/// Two digits for each byte.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The bytes; `None` when these are no pairs of digits.
pub(crate) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| {
        let value = char::from(digit).to_digit(16)?;
        u8::try_from(value).ok()
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_back() {
        assert_eq!(digits(&[0, 0x9a, 0xff]), "009aff");
        assert_eq!(bytes("009aFf"), Some(vec![0, 0x9a, 0xff]));
        assert_eq!(bytes(""), Some(Vec::new()));
        for bad in ["0", "0g", " 0", "é", "+1"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
