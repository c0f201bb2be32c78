//! What was typed, and the request that it stands for.

use core::time::Duration;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use kv::Request;

/// Reads and writes the key-value store of a cluster.
///
/// Exit status: 0 done; 1 the answer is no (no such key, another value than expected, refused or failed); 2 the command
/// line or the configuration is wrong; 3 no answer (a write may have been done, or may yet be).
#[derive(Clone, Debug, Parser)]
#[command(name = "kvctl", version)]
pub struct Arguments {
    /// The cluster's file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Name of the group in it; the first one if not given.
    #[arg(long, global = true, value_name = "NAME")]
    pub group: Option<String>,
    /// Print the answer as one line of JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Give up after so many seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Print the value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// Set a key to a value.
    Put {
        /// The key.
        key: String,
        /// Its value from now on.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Set a key to a value if it has the expected one now.
    Cas {
        /// The key.
        key: String,
        /// What the key must have now, then its new value; with --absent the new value alone.
        #[arg(value_names = ["EXPECTED", "VALUE"], num_args = 1..=2, required = true)]
        values: Vec<String>,
        /// The key must not exist.
        #[arg(long)]
        absent: bool,
    },
    /// Add a suffix to the value of a key, and print the whole.
    Append {
        /// The key.
        key: String,
        /// What to add.
        #[arg(allow_hyphen_values = true)]
        suffix: String,
    },
    /// Add to the number that a key holds, and print the sum.
    Incr {
        /// The key.
        key: String,
        /// What to add.
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        by: i64,
    },
    /// Print keys and values in order.
    Scan {
        /// Where to start.
        #[arg(default_value = "")]
        from: String,
        /// Pairs to print, at most; all if not given.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
}

impl Arguments {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    ///
    /// clap's error, which prints itself and knows its exit status (2, or 0 for help).
    pub fn read(line: impl IntoIterator<Item = String>) -> Result<Self, clap::Error> {
        let arguments = Self::try_parse_from(line)?;
        if let Command::Cas { values, absent, .. } = &arguments.command {
            let wanted = if *absent { 1 } else { 2 };
            if values.len() != wanted {
                let message = if *absent {
                    "cas --absent takes a key and its new value, and no expected one"
                } else {
                    "cas takes a key, its expected value and its new value; --absent expects none"
                };
                return Err(Self::command().error(ErrorKind::WrongNumberOfValues, message));
            }
        }
        Ok(arguments)
    }
}

impl Command {
    /// The request. A scan is of one reply; `main.rs` goes on behind its last pair.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        match self {
            Self::Get { key } => Request::Get { key: key.as_bytes() },
            Self::Put { key, value } => {
                Request::Put { key: key.as_bytes(), value: value.as_bytes() }
            }
            Self::Delete { key } => Request::Delete { key: key.as_bytes() },
            Self::Cas { key, values, absent } => {
                let expected = values.first().filter(|_| !absent).map(String::as_bytes);
                let value = values.last().map_or(&[][..], |value| value.as_bytes());
                Request::CompareAndSwap { key: key.as_bytes(), expected, value }
            }
            Self::Append { key, suffix } => {
                Request::Append { key: key.as_bytes(), suffix: suffix.as_bytes() }
            }
            Self::Incr { key, by } => Request::Increment { key: key.as_bytes(), by: *by },
            Self::Scan { from, limit } => {
                Request::Scan { from: from.as_bytes(), limit: limit.unwrap_or(u32::MAX) }
            }
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let wrong = || "write seconds, as in 5 or 0.5, above 0 and at most 3600".to_owned();
    let seconds: f64 = number.parse().map_err(|_| wrong())?;
    if seconds > 0.0 && seconds <= 3_600.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        let words = ["kvctl", "--config", "cluster.ron"].into_iter().chain(line.split_whitespace());
        Arguments::read(words.map(str::to_owned))
    }

    #[test]
    fn every_command_stands_for_its_request() {
        let (key, value) = (&b"k"[..], &b"v"[..]);
        for (line, wanted) in [
            ("get k", Request::Get { key }),
            ("put k v", Request::Put { key, value }),
            ("put k -v", Request::Put { key, value: b"-v" }),
            ("delete k", Request::Delete { key }),
            ("cas k old v", Request::CompareAndSwap { key, expected: Some(b"old"), value }),
            ("cas --absent k v", Request::CompareAndSwap { key, expected: None, value }),
            ("append k v", Request::Append { key, suffix: value }),
            ("incr k", Request::Increment { key, by: 1 }),
            ("incr k -3", Request::Increment { key, by: -3 }),
            ("scan", Request::FULL_SCAN),
            ("scan k --limit 7", Request::Scan { from: key, limit: 7 }),
        ] {
            assert_eq!(read(line).unwrap().command.request(), wanted, "{line}");
        }
    }

    #[test]
    fn wrong_lines_end_with_status_2() {
        for line in [
            "",
            "get",
            "put k",
            "cas k v",
            "cas --absent k old v",
            "incr k many",
            "scan --limit -1",
            "get k --timeout 0",
            "get k --timeout soon",
            "drop k",
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
    }

    #[test]
    fn options_may_follow_the_command() {
        let arguments = read("get k --json --timeout 0.5").unwrap();
        assert!(arguments.json);
        assert_eq!(arguments.timeout, Duration::from_millis(500));
    }
}
