//! Command line of the key-value store.
