//! Load with honest latency, for any service behind R2P2 (after Lancet, USENIX ATC 2019).
//!
//! ```text
//! cli ─> Plan ─┬─> pace       when to send: arrivals, a seeded schedule that no answer can move, or as answers come
//!              ├─> workload   what to send, and what the reply must look like
//!              └─> run ──> load (a thread) ──> connections ──> hovercraft-client, a socket and a session each
//!                   │        ├─> measure: histogram, timeline   counts and latencies by phase
//!                   │        ├─> live ──> progress              a line per second
//!                   │        └─> history ──> file               every operation, for history-checker
//!                   └─> report                                  table and JSON
//! ```
//!
//! Three kinds of time are kept apart. Latency runs from the *scheduled* moment to the answer: what a user would have
//! waited, whatever the generator or a full window did in between. Time from the first *send* is the service's and the
//! network's share. *Lateness*, from the scheduled moment to when the generator came to the request, is its own error; a
//! generator that does not keep up says so in the report.
//!
//! That is open-loop load. In a *closed* loop (`--open N`) a fixed number of requests is kept under way, and latency runs
//! from the send: it shows what a service can take, but while that stalls nothing is sent, so nothing is known of what users
//! who do not wait for each other would have seen (coordinated omission). The report says which it was.
//!
//! Modules number their invariants; tests quote the numbers. `tests/loopback.rs` runs all of it against a server.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod cli;
pub mod connections;
mod dpdk;
pub mod histogram;
pub mod history;
pub mod live;
pub mod load;
pub mod measure;
pub mod pace;
pub mod pending;
pub mod phases;
pub mod program;
pub mod progress;
pub mod random;
pub mod report;
pub mod run;
pub mod stop;
pub mod timeline;
pub mod workload;
