//! Packets in and out, and the time. Knows no protocol.

pub mod backend;
