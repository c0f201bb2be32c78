//! A node's service in the end, as its admin endpoint prints it.
//!
//! ```text
//! {"node":2,"applied":500042,"state_hash":"0123456789abcdef",
//!  "scan":{"request":"070000ffffffff","reply":"0500..."}}
//! ```
//!
//! Hash and scan are taken between two entries, so that both are of the state at `applied`. The scan is any query that the
//! asker named, answered by `query` outside the log with the cluster's limit of replies; it is left out when none was.

use serde::{Deserialize, Serialize};

use crate::hex;

/// A node's state at one log index.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeState {
    /// The node's id.
    pub node: u64,
    /// Last entry applied.
    pub applied: u64,
    /// `r2p2::service::state_hash` of the service.
    #[serde(with = "hex::hash")]
    pub state_hash: u64,
    /// A query and its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
}

/// A query asked of a node's state, for the key-value store a full scan (`kv::Request::FULL_SCAN`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Scan {
    /// The request.
    #[serde(with = "hex::bytes")]
    pub request: Vec<u8>,
    /// The answer.
    #[serde(with = "hex::bytes")]
    pub reply: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_json() {
        let scan = Scan { request: vec![7, 0], reply: vec![5] };
        let state = NodeState { node: 2, applied: 9, state_hash: 0x1f, scan: Some(scan) };
        let json = r#"{"node":2,"applied":9,"state_hash":"000000000000001f","scan":{"request":"0700","reply":"05"}}"#;
        assert_eq!(serde_json::to_string(&state).unwrap(), json);
        assert_eq!(serde_json::from_str::<NodeState>(json).unwrap(), state);
        let short = r#"{"node":2,"applied":9,"state_hash":"1f"}"#;
        let without = NodeState { scan: None, ..state };
        assert_eq!(serde_json::from_str::<NodeState>(short).unwrap(), without);
    }
}
