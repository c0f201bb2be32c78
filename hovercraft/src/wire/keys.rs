//! Keys: for MACs (HC13) and for the hashes that name bodies (HC6b).
//!
//! Both come from the operator's 32-byte cluster key by SipHash-2-4-128, each under a label of its own. The key for MACs
//! changes with the cluster key; the one for hashes is made once, at birth, and kept in the configuration for good, wrapped
//! under whatever the cluster key is then.
//!
//! A cluster without a key derives the key of its hashes from zeros: it guards against accidents only.

use core::fmt;
use core::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hash128, Hasher128, SipHasher24 as SipHasher24Wide};

use super::MAC_LEN;

/// Bytes of the operator's key.
pub const CLUSTER_KEY_LEN: usize = 32;

/// Key of the MACs between the nodes of one cluster.
#[derive(Clone, Eq, PartialEq)]
pub struct MacKey([u8; 16]);

/// Key of the hashes that name bodies.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct BodyHashKey([u8; 16]);

impl MacKey {
    /// From the operator's key.
    #[must_use]
    pub fn derive(cluster_key: &[u8; CLUSTER_KEY_LEN]) -> Self {
        Self(derive(cluster_key, b"mac", 0))
    }

    /// The MAC of `bytes`.
    #[must_use]
    pub fn mac(&self, bytes: &[u8]) -> [u8; MAC_LEN] {
        wide_bytes(SipHasher24Wide::new_with_key(&self.0).hash(bytes))
    }

    /// Whether `mac` is that of `bytes`; takes the same time wherever they differ.
    #[must_use]
    pub fn is_mac_of(&self, bytes: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        let difference = self.mac(bytes).iter().zip(mac).fold(0, |all, (a, b)| all | (a ^ b));
        core::hint::black_box(difference) == 0
    }
}

impl BodyHashKey {
    /// The key of a cluster that is born with `cluster_key`; all zero in a cluster without one, so that anybody can make it.
    #[must_use]
    pub fn at_birth(cluster_key: &[u8; CLUSTER_KEY_LEN], cluster_id: u64) -> Self {
        Self(derive(cluster_key, b"body hash", cluster_id))
    }

    /// As it travels in configurations.
    #[must_use]
    pub fn wrap(&self, cluster_key: &[u8; CLUSTER_KEY_LEN], cluster_id: u64) -> [u8; 16] {
        let pad = derive(cluster_key, b"wrap", cluster_id);
        core::array::from_fn(|at| self.0[at] ^ pad[at])
    }

    /// The key out of a configuration; the message that brought it had a MAC.
    #[must_use]
    pub fn unwrap(
        wrapped: &[u8; 16],
        cluster_key: &[u8; CLUSTER_KEY_LEN],
        cluster_id: u64,
    ) -> Self {
        Self(Self(*wrapped).wrap(cluster_key, cluster_id))
    }
}

/// The hash that names a body, together with its request's id (HC6b).
#[must_use]
pub fn body_hash(key: &BodyHashKey, body: &[u8]) -> u64 {
    SipHasher24::new_with_key(&key.0).hash(body)
}

/// A key of its own for each label and number.
fn derive(cluster_key: &[u8; CLUSTER_KEY_LEN], label: &[u8], number: u64) -> [u8; 16] {
    let (first, second) = cluster_key.split_at(16);
    let mut key = [0; 16];
    key.copy_from_slice(first);
    wide_hash(&key, [b"hovercraft ", label, b":", second, &number.to_be_bytes()])
}

fn wide_hash<const N: usize>(key: &[u8; 16], parts: [&[u8]; N]) -> [u8; 16] {
    let mut hasher = SipHasher24Wide::new_with_key(key);
    for part in parts {
        hasher.write(part);
    }
    wide_bytes(hasher.finish128())
}

fn wide_bytes(hash: Hash128) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.h1.to_le_bytes());
    bytes[8..].copy_from_slice(&hash.h2.to_le_bytes());
    bytes
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(secret)")
    }
}

impl fmt::Debug for BodyHashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyHashKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and message of the SipHash paper (Aumasson and Bernstein, appendix A), and its 64-bit result.
    #[test]
    fn the_hash_of_the_papers_example() {
        let key = BodyHashKey(core::array::from_fn(|at| u8::try_from(at).unwrap()));
        let message: [u8; 15] = core::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(body_hash(&key, &message), 0xa129_ca61_49be_45e5);
    }

    /// First and second vector of the reference implementation's `vectors_sip128`.
    #[test]
    fn the_macs_of_the_reference_vectors() {
        let key = MacKey(core::array::from_fn(|at| u8::try_from(at).unwrap()));
        let empty = [
            0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
            0x02, 0x93,
        ];
        let zero = [
            0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22,
            0xfc, 0x45,
        ];
        assert_eq!(key.mac(&[]), empty);
        assert_eq!(key.mac(&[0]), zero);
        assert!(key.is_mac_of(&[0], &zero));
        for at in 0..MAC_LEN {
            let mut wrong = zero;
            wrong[at] ^= 1;
            assert!(!key.is_mac_of(&[0], &wrong), "byte {at} was not looked at");
        }
    }

    #[test]
    fn hc6b_the_hash_key_outlives_the_cluster_key() {
        let (old, new) = ([1; 32], [2; 32]);
        let key = BodyHashKey::at_birth(&old, 7);
        let rewrapped = BodyHashKey::unwrap(&key.wrap(&old, 7), &old, 7).wrap(&new, 7);
        assert_eq!(BodyHashKey::unwrap(&rewrapped, &new, 7), key);
        assert_ne!(MacKey::derive(&old), MacKey::derive(&new));
    }

    #[test]
    fn keys_differ_by_use_cluster_and_every_byte_of_the_cluster_key() {
        let base = [0; 32];
        let key = BodyHashKey::at_birth(&base, 7);
        assert_ne!(key.0, MacKey::derive(&base).0);
        assert_ne!(key, BodyHashKey::at_birth(&base, 8));
        assert_ne!(key.wrap(&base, 7), key.0);
        for at in 0..32 {
            let mut other = base;
            other[at] = 1;
            assert_ne!(MacKey::derive(&base), MacKey::derive(&other), "byte {at}");
            assert_ne!(key, BodyHashKey::at_birth(&other, 7), "byte {at}");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", BodyHashKey([1; 16])), "BodyHashKey(secret)");
        assert_eq!(format!("{:?}", MacKey([1; 16])), "MacKey(secret)");
    }
}
