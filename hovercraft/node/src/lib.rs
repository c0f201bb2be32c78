//! The driver of a replica: threads, cores, control.
