//! What a check is made of: one bound, one choice, one address; each failure with the place of its field.

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::path::Path;

use crate::error::{Bound, ConfigError, Problem};
use crate::position::Positions;
use crate::quantity::{Quantity, Size, Span};
use crate::settings::Name;
use crate::words::Words;

/// A file under check.
pub(crate) struct Check<'a> {
    pub(crate) file: &'a Path,
    pub(crate) positions: &'a Positions,
}

/// What to do about a number below its bounds, and above.
pub(crate) type Remedies = [&'static str; 2];

/// Where nothing but the number itself can be changed.
pub(crate) const PLAIN: Remedies = ["raise it", "lower it"];

impl Check<'_> {
    pub(crate) fn error(&self, field: &str, problem: Problem) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            position: Some(self.positions.find(field)),
            field: field.to_owned(),
            problem: Box::new(problem),
        }
    }

    pub(crate) fn address(&self, field: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        let no_address = || Problem::NoAddress { found: text.to_owned() };
        let found: SocketAddr = text.parse().map_err(|_| self.error(field, no_address()))?;
        if found.port() == 0 {
            let remedy = "port 0 is none; give one from 1 to 65535";
            return Err(self.error(field, Problem::Address { found, remedy }));
        }
        Ok(found)
    }

    pub(crate) fn choice<T: Copy>(
        &self,
        field: &str,
        name: &Name,
        words: &Words<T>,
    ) -> Result<T, ConfigError> {
        let word = words.words.iter().find(|(word, _)| *word == name.0);
        let unknown = || Problem::Choice { found: name.to_string(), choices: words.choices };
        word.map(|&(_, meaning)| meaning).ok_or_else(|| self.error(field, unknown()))
    }

    /// A name of 1 to 63 letters, digits, `-` or `_`.
    pub(crate) fn label(&self, field: &str, text: &str) -> Result<(), ConfigError> {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=63).contains(&text.len()) && text.chars().all(letter) {
            return Ok(());
        }
        Err(self.error(field, Problem::BadName { found: text.to_owned() }))
    }

    pub(crate) fn differs<T: PartialEq + ToString>(
        &self,
        field: &str,
        value: T,
        taken: &mut Vec<(T, String)>,
        remedy: &'static str,
    ) -> Result<(), ConfigError> {
        if let Some((_, first)) = taken.iter().find(|(other, _)| *other == value) {
            let first = self.positions.find(first);
            let found = value.to_string();
            return Err(self.error(field, Problem::Duplicate { found, first, remedy }));
        }
        taken.push((value, field.to_owned()));
        Ok(())
    }

    /// A plain number within `bounds`.
    pub(crate) fn count<T: TryFrom<u64>>(
        &self,
        field: &str,
        value: u64,
        bounds: RangeInclusive<u64>,
        remedies: Remedies,
    ) -> Result<T, ConfigError> {
        self.within(field, value, bounds, remedies, Quantity::Count)?;
        T::try_from(value).map_err(|_| self.beyond_this_machine(field, Quantity::Count(value)))
    }

    /// A size within `bounds`.
    pub(crate) fn bytes<T: TryFrom<u64>>(
        &self,
        field: &str,
        size: Size,
        bounds: RangeInclusive<u64>,
        remedies: Remedies,
    ) -> Result<T, ConfigError> {
        self.within(field, size.0, bounds, remedies, Quantity::Bytes)?;
        T::try_from(size.0).map_err(|_| self.beyond_this_machine(field, Quantity::Bytes(size.0)))
    }

    /// A duration within `bounds`.
    pub(crate) fn time(
        &self,
        field: &str,
        span: Span,
        bounds: RangeInclusive<Duration>,
        remedies: Remedies,
    ) -> Result<Duration, ConfigError> {
        self.within(field, span.0, bounds, remedies, Quantity::Time)
    }

    fn within<T: PartialOrd + Copy>(
        &self,
        field: &str,
        value: T,
        bounds: RangeInclusive<T>,
        remedies: Remedies,
        quantity: fn(T) -> Quantity,
    ) -> Result<T, ConfigError> {
        let (bound, remedy) = if value < *bounds.start() {
            (Bound::AtLeast(quantity(*bounds.start())), remedies[0])
        } else if value > *bounds.end() {
            (Bound::AtMost(quantity(*bounds.end())), remedies[1])
        } else {
            return Ok(value);
        };
        Err(self.error(field, Problem::Bound { found: quantity(value), bound, remedy }))
    }

    /// A number within its bounds that the machine's word cannot hold.
    fn beyond_this_machine(&self, field: &str, found: Quantity) -> ConfigError {
        let most = Quantity::Count(u64::try_from(usize::MAX).unwrap_or(u64::MAX));
        self.error(field, Problem::Bound { found, bound: Bound::AtMost(most), remedy: "lower it" })
    }
}
