//! The replica: Raft inside R2P2 (HovercRaft, EuroSys 2020), pure: fed with packets and time, drained of outputs.
#![forbid(unsafe_code)]

pub mod entry;
pub mod limits;
pub mod table;
pub mod wire;
