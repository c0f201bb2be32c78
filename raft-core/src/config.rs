//! What an operator may set, and the checked form that the rest of the crate uses.
//!
//! [`Settings`] is what a file says. [`Config`] is proof that it holds together: it can be built only by
//! [`Config::try_from`], so nothing downstream checks again.

use core::time::Duration;

use thiserror::Error;

/// As read from a file; may be nonsense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How often a leader opens a round (HC9b).
    pub heartbeat_interval: Duration,
    /// Shortest silence after which a follower stands for election.
    pub election_timeout_min: Duration,
    /// Longest such silence; each is drawn between the two.
    pub election_timeout_max: Duration,
    /// Entries that the log's ring holds; a power of two.
    pub log_capacity: u32,
    /// Places of the ring that commands leave free for no-ops and configurations (HC12).
    pub log_reserve: u32,
    /// Bytes of entries in one append, by [`crate::entry::Command::wire_len`]; one entry always goes.
    pub append_bytes: usize,
    /// Entries in one append.
    pub append_entries_max: u16,
    /// Appends with entries that may be unanswered, per follower.
    pub inflight_max: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(25),
            election_timeout_min: Duration::from_millis(150),
            election_timeout_max: Duration::from_millis(300),
            log_capacity: 1 << 16,
            log_reserve: 64,
            append_bytes: 1_200,
            append_entries_max: 64,
            inflight_max: 64,
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    pub(crate) heartbeat_interval: Duration,
    pub(crate) election_timeout_min: Duration,
    pub(crate) election_timeout_max: Duration,
    pub(crate) log_capacity: u32,
    pub(crate) log_reserve: u32,
    pub(crate) append_bytes: usize,
    pub(crate) append_entries_max: u16,
    pub(crate) inflight_max: u16,
}

/// Why settings do not hold together.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ConfigError {
    /// A leader that speaks all the time, or never.
    #[error("heartbeat_interval = {0:?}: must be 10us to 1h")]
    HeartbeatInterval(Duration),
    /// One lost heartbeat would start an election.
    #[error(
        "election_timeout_min = {min:?}: must be at least 3 times heartbeat_interval = {heartbeat:?}"
    )]
    ElectionTimeoutTooShort {
        /// The offending timeout.
        min: Duration,
        /// What it was compared with.
        heartbeat: Duration,
    },
    /// Too narrow a range for timeouts to fall apart, or one too wide.
    #[error(
        "election_timeout_max = {max:?}: must be 1.25 to 100 times election_timeout_min = {min:?}"
    )]
    ElectionTimeoutRange {
        /// Lower end.
        min: Duration,
        /// The offending upper end.
        max: Duration,
    },
    /// Not a ring.
    #[error("log_capacity = {0}: must be a power of two, {min} to {max}", min = CAPACITY_MIN, max = CAPACITY_MAX)]
    LogCapacity(u32),
    /// No place for a no-op, or none for commands.
    #[error("log_reserve = {reserve}: must be {min} to half of log_capacity = {capacity}", min = RESERVE_MIN)]
    LogReserve {
        /// The offending reserve.
        reserve: u32,
        /// The capacity.
        capacity: u32,
    },
    /// An append without entries.
    #[error("append_entries_max = {0}: must be 1 to 65535")]
    AppendEntriesMax(u16),
    /// An append without bytes.
    #[error("append_bytes = {0}: must be at least 1")]
    AppendBytes(usize),
    /// No window, or one that fills the network.
    #[error("inflight_max = {0}: must be 1 to {max}", max = INFLIGHT_MAX)]
    InflightMax(u16),
}

const CAPACITY_MIN: u32 = 16;
const CAPACITY_MAX: u32 = 1 << 24;
const RESERVE_MIN: u32 = 4;
const INFLIGHT_MAX: u16 = 1_024;

impl TryFrom<Settings> for Config {
    type Error = ConfigError;

    fn try_from(settings: Settings) -> Result<Self, ConfigError> {
        let Settings {
            heartbeat_interval,
            election_timeout_min: min,
            election_timeout_max: max,
            log_capacity,
            log_reserve,
            append_bytes,
            append_entries_max,
            inflight_max,
        } = settings;
        if heartbeat_interval < Duration::from_micros(10)
            || heartbeat_interval > Duration::from_secs(3_600)
        {
            return Err(ConfigError::HeartbeatInterval(heartbeat_interval));
        }
        if min < heartbeat_interval * 3 {
            let heartbeat = heartbeat_interval;
            return Err(ConfigError::ElectionTimeoutTooShort { min, heartbeat });
        }
        if max / 5 < min / 4 || max / 100 > min {
            return Err(ConfigError::ElectionTimeoutRange { min, max });
        }
        if !log_capacity.is_power_of_two() || !(CAPACITY_MIN..=CAPACITY_MAX).contains(&log_capacity)
        {
            return Err(ConfigError::LogCapacity(log_capacity));
        }
        if !(RESERVE_MIN..=log_capacity / 2).contains(&log_reserve) {
            let (reserve, capacity) = (log_reserve, log_capacity);
            return Err(ConfigError::LogReserve { reserve, capacity });
        }
        if append_bytes == 0 {
            return Err(ConfigError::AppendBytes(append_bytes));
        }
        if append_entries_max == 0 {
            return Err(ConfigError::AppendEntriesMax(append_entries_max));
        }
        if inflight_max == 0 || inflight_max > INFLIGHT_MAX {
            return Err(ConfigError::InflightMax(inflight_max));
        }
        Ok(Self {
            heartbeat_interval,
            election_timeout_min: min,
            election_timeout_max: max,
            log_capacity,
            log_reserve,
            append_bytes,
            append_entries_max,
            inflight_max,
        })
    }
}

impl Default for Config {
    #[allow(clippy::expect_used, reason = "a test asks it of the defaults")]
    fn default() -> Self {
        Self::try_from(Settings::default()).expect("the defaults hold together")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Config::default().log_capacity, 65_536);
    }

    #[test]
    fn a_wrong_value_gives_an_error_with_its_number_and_the_bound() {
        let ms = Duration::from_millis;
        let good = Settings::default();
        let cases = [
            (Settings { heartbeat_interval: Duration::ZERO, ..good.clone() }, "10us to 1h"),
            (
                Settings { election_timeout_min: ms(74), ..good.clone() },
                "= 74ms: must be at least 3",
            ),
            (Settings { election_timeout_max: ms(187), ..good.clone() }, "= 187ms: must be 1.25"),
            (Settings { election_timeout_max: ms(15_200), ..good.clone() }, "100 times"),
            (Settings { log_capacity: 1_000, ..good.clone() }, "= 1000: must be a power of two"),
            (Settings { log_capacity: 8, ..good.clone() }, "16 to 16777216"),
            (Settings { log_reserve: 3, ..good.clone() }, "= 3: must be 4 to half"),
            (Settings { log_reserve: 32_769, ..good.clone() }, "log_capacity = 65536"),
            (Settings { append_bytes: 0, ..good.clone() }, "append_bytes = 0"),
            (Settings { append_entries_max: 0, ..good.clone() }, "append_entries_max = 0"),
            (Settings { inflight_max: 0, ..good.clone() }, "inflight_max = 0: must be 1 to 1024"),
            (Settings { inflight_max: 1_025, ..good }, "inflight_max = 1025"),
        ];
        for (settings, says) in cases {
            let error = Config::try_from(settings).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }
}
