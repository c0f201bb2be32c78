//! Open-loop load with honest latency.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod cli;
pub mod connections;
pub mod histogram;
pub mod history;
pub mod live;
pub mod load;
pub mod measure;
pub mod pending;
pub mod phases;
pub mod progress;
pub mod random;
pub mod report;
pub mod run;
pub mod timeline;
pub mod workload;
