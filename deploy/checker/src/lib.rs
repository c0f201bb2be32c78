//! Exact check of client histories by log index.
