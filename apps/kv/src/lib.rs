//! Key-value store: get, put, delete, compare-and-swap, append, increment, scan.
