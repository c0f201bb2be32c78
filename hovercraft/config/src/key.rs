//! The cluster key: 32 bytes that nodes, switches and tools share (HC13).
//!
//! The file holds 64 hex digits and perhaps a line end. Whoever can read it can speak as a node, hence the warning when
//! others may.

use core::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use thiserror::Error;

/// The key, not shown by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct ClusterKey([u8; 32]);

/// Why a file is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It could not be read.
    #[error("cannot be read: {0}; create it with `openssl rand -hex 32`")]
    Unreadable(#[from] io::Error),
    /// Too few or too many digits.
    #[error(
        "has {found} characters, must have 64 hex digits; create it with `openssl rand -hex 32`"
    )]
    Length {
        /// Characters found, without line end.
        found: usize,
    },
    /// Something else than a hex digit.
    #[error("character {at} is no hex digit; create the file with `openssl rand -hex 32`")]
    Digit {
        /// Which, from 1.
        at: usize,
    },
}

impl ClusterKey {
    /// Permission bits that let others read or write.
    const OPEN: u32 = 0o077;

    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 hex digits, blanks around them allowed.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::Digit`], never the text itself.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(KeyError::Length { found: digits.len() });
        }
        let mut bytes = [0_u8; 32];
        for (at, &digit) in digits.iter().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(KeyError::Digit { at: at + 1 }),
            };
            bytes[at / 2] = bytes[at / 2] << 4 | value;
        }
        Ok(Self(bytes))
    }

    /// Reads the key, and the file's permission bits when they let others at it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the file cannot be read or holds no key.
    pub fn load(path: &Path) -> Result<(Self, Option<u32>), KeyError> {
        let key = Self::from_hex(&fs::read_to_string(path)?)?;
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        Ok((key, (mode & Self::OPEN != 0).then_some(mode)))
    }

    /// Writes the key to a new file that only its owner may read.
    ///
    /// # Errors
    ///
    /// When the file exists or cannot be written.
    pub fn save_new(&self, path: &Path) -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(file, "{hex}")
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    #[test]
    fn hex_digits_are_bytes_in_order() {
        let key = ClusterKey::from_hex(&format!(" {HEX}\n")).unwrap();
        assert_eq!(key.bytes().to_vec(), (0..32).collect::<Vec<u8>>());
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let key = ClusterKey::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "ClusterKey(..)");
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let text = |error: KeyError| error.to_string();
        assert_eq!(
            text(ClusterKey::from_hex("0102").unwrap_err()),
            "has 4 characters, must have 64 hex digits; create it with `openssl rand -hex 32`"
        );
        assert_eq!(
            text(ClusterKey::from_hex(&HEX.replace("0a", "0g")).unwrap_err()),
            "character 22 is no hex digit; create the file with `openssl rand -hex 32`"
        );
    }

    #[test]
    fn a_saved_key_is_its_owners_alone() {
        let directory = std::env::temp_dir().join(format!("hc-key-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("cluster.key");
        let key = ClusterKey::new([7; 32]);
        key.save_new(&path).unwrap();
        assert_eq!(ClusterKey::load(&path).unwrap(), (key.clone(), None));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(ClusterKey::load(&path).unwrap(), (key.clone(), Some(0o640)));
        assert!(key.save_new(&path).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
