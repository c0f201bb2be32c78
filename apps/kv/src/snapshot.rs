//! The store as bytes.
//!
//! ```text
//!  0      4         6            14            22        30
//! +------+---------+------------+-------------+---------+----------------------------------+
//! | HCKV | version | keys, at   | bytes, at   | count   | count times: key length u16, key, |
//! |      | u16 = 1 | most, u64  | most, u64   | u64     | value length u32, value           |
//! +------+---------+------------+-------------+---------+----------------------------------+
//! ```
//!
//! Keys strictly ascend, so that equal stores have equal bytes. A restored store takes over the capacity, which decides
//! answers. Reading checks everything: order, lengths, capacity, and that nothing follows.

use std::collections::btree_map::IntoIter;
use std::sync::Arc;

use r2p2::service::{RestoreError, Snapshot, SnapshotReader};

use crate::fields::{key_len, value_len};
use crate::store::{Capacity, Kv, Map};
use crate::{KEY_MAX, VALUE_MAX};

const MAGIC: [u8; 4] = *b"HCKV";
const VERSION: u16 = 1;

/// A detached reader of a store.
pub(crate) struct KvSnapshot {
    rest: IntoIter<Arc<[u8]>, Arc<Vec<u8>>>,
    /// The header or one pair, being read.
    staged: Vec<u8>,
    at: usize,
}

impl KvSnapshot {
    pub(crate) fn new(map: Map, capacity: Capacity) -> Self {
        let count = u64::try_from(map.len()).unwrap_or(u64::MAX);
        let mut staged = Vec::with_capacity(30);
        staged.extend_from_slice(&MAGIC);
        staged.extend_from_slice(&VERSION.to_be_bytes());
        for number in [capacity.keys, capacity.bytes, count] {
            staged.extend_from_slice(&number.to_be_bytes());
        }
        Self { rest: map.into_iter(), staged, at: 0 }
    }

    /// Stages the next pair; false at the end.
    fn stage(&mut self) -> bool {
        let Some((key, value)) = self.rest.next() else { return false };
        self.staged.clear();
        self.at = 0;
        self.staged.extend_from_slice(&key_len(&key));
        self.staged.extend_from_slice(&key);
        self.staged.extend_from_slice(&value_len(&value));
        self.staged.extend_from_slice(&value);
        true
    }
}

impl Snapshot for KvSnapshot {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.at == self.staged.len() && !self.stage() {
                break;
            }
            let staged = &self.staged[self.at..];
            let len = staged.len().min(buffer.len() - filled);
            buffer[filled..filled + len].copy_from_slice(&staged[..len]);
            self.at += len;
            filled += len;
        }
        filled
    }
}

/// The store in a snapshot.
pub(crate) fn restore(snapshot: &mut dyn Snapshot) -> Result<Kv, RestoreError> {
    let mut reader = SnapshotReader::new(snapshot);
    let known = reader.array()? == MAGIC && reader.array()? == VERSION.to_be_bytes();
    reader.check(known)?;
    let capacity = Capacity {
        keys: u64::from_be_bytes(reader.array()?),
        bytes: u64::from_be_bytes(reader.array()?),
    };
    let count = u64::from_be_bytes(reader.array()?);
    reader.check(count <= capacity.keys)?;
    let mut map = Map::new();
    let mut bytes = 0;
    for _ in 0..count {
        let key = read_bytes(&mut reader, 2, KEY_MAX)?;
        let value = read_bytes(&mut reader, 4, VALUE_MAX)?;
        bytes += u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX);
        let ascends = map.last_key_value().is_none_or(|(last, _)| **last < *key);
        reader.check(ascends && bytes <= capacity.bytes)?;
        map.insert(key.into(), Arc::new(value));
    }
    reader.end()?;
    Ok(Kv::from_parts(map, bytes, capacity))
}

/// Bytes behind their length of `width` bytes.
fn read_bytes(
    reader: &mut SnapshotReader<'_>,
    width: usize,
    max: usize,
) -> Result<Vec<u8>, RestoreError> {
    let mut len = [0; 8];
    reader.fill(&mut len[8 - width..])?;
    let len = usize::try_from(u64::from_be_bytes(len)).unwrap_or(usize::MAX);
    reader.check(len <= max)?;
    let mut bytes = vec![0; len];
    reader.fill(&mut bytes)?;
    Ok(bytes)
}
