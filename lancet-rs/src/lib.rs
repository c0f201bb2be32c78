//! Open-loop load with honest latency.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod cli;
pub mod histogram;
pub mod history;
pub mod live;
pub mod measure;
pub mod phases;
pub mod progress;
pub mod random;
pub mod report;
pub mod timeline;
pub mod workload;
