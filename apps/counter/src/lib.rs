//! Smallest service: a counter.
