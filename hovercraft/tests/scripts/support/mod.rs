//! What the scripts stand on: a cluster stepped by hand, and its messages in words.

pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod names;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod words;
