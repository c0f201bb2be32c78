//! Logs of the control and admin threads, on stderr.

use std::io::IsTerminal as _;

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Why there are no logs.
#[derive(Debug, Error)]
#[error("--log {filter}: {error}; write something like `info` or `hovercraft_node=debug`")]
pub(crate) struct FilterError {
    filter: String,
    error: ParseError,
}

/// Writes what `filter` lets through, as text or as a JSON object per line. The second call in a process changes
/// nothing.
///
/// # Errors
///
/// [`FilterError`] when the filter cannot be read.
pub(crate) fn init(filter: &str, json: bool) -> Result<(), FilterError> {
    let read = EnvFilter::try_new(filter);
    let read = read.map_err(|error| FilterError { filter: filter.to_owned(), error })?;
    let logs = tracing_subscriber::fmt().with_env_filter(read).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    // An error means that there are logs already.
    let _ = if json { logs.json().try_init() } else { logs.try_init() };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = init("info,=[", false).unwrap_err().to_string();
        assert!(error.starts_with("--log info,=[: "), "{error}");
    }
}
