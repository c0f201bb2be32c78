//! Synthetic service: the stss requests of the published load generators.
