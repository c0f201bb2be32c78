//! The replica: Raft inside R2P2 (HovercRaft, EuroSys 2020), pure: fed with packets and time, drained of outputs.
//!
//! Two halves, each a value: [`replica`] is the network half, [`application`] the application half around a service; commands go
//! one way, completions the other. Everything else here is a part of them.
#![forbid(unsafe_code)]

pub mod application;
mod assembly;
pub mod audit;
pub mod birth;
pub mod command;
pub mod entry;
mod forwards;
pub mod limits;
mod log_meta;
mod log_time;
pub mod outbox;
mod parked;
mod recovery;
pub mod replica;
pub mod replier;
pub mod spans;
pub mod store;
mod sync;
pub mod table;
pub mod totals;
pub mod trace;
pub mod wire;
