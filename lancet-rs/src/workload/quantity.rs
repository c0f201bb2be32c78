//! Numbers drawn for a request: service times and sizes, in the words of the published load generators (wire.md 5.3).
//!
//! `10`, `fixed:10`, `exp:10` (mean), `uni:5:15` (both ends included), `bimodal:5:100:0.9` (the first with probability
//! 0.9, else the second).

use core::fmt;
use core::str::FromStr;

use rand::{Rng, RngExt};
use thiserror::Error;

/// Greatest number that may be asked for.
pub const QUANTITY_MAX: u64 = 1 << 40;

/// How a number is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// Always the same.
    Fixed(u64),
    /// Exponential with this mean.
    Exponential(u64),
    /// Each number from the first to the second alike.
    Uniform(u64, u64),
    /// The first with the probability, else the second.
    Bimodal(u64, u64, f64),
}

/// Why a text names no quantity.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum QuantityError {
    /// No known form.
    #[error("write a number, fixed:N, exp:MEAN, uni:LOW:HIGH or bimodal:LOW:HIGH:SHARE_OF_LOW")]
    Form,
    /// Too much.
    #[error("{value} is too much: at most {max}")]
    TooLarge {
        /// What was asked for.
        value: u64,
        /// The bound.
        max: u64,
    },
    /// Ends exchanged.
    #[error("{0} to {1}: the low end must not be above the high end")]
    Ends(u64, u64),
    /// No probability.
    #[error("a probability lies between 0 and 1")]
    Probability,
}

impl Quantity {
    /// The next number.
    pub fn draw(&self, random: &mut impl Rng) -> u64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Exponential(mean) => exponential(mean, random.random()),
            Self::Uniform(low, high) => random.random_range(low..=high),
            Self::Bimodal(low, high, share) => {
                if random.random::<f64>() < share {
                    low
                } else {
                    high
                }
            }
        }
    }

    /// The greatest number that can be drawn.
    #[must_use]
    pub fn max(&self) -> u64 {
        match *self {
            Self::Fixed(value) => value,
            // The least uniform number above zero is 2^-53: its logarithm is -36.8.
            Self::Exponential(mean) => mean.saturating_mul(37),
            Self::Uniform(_, high) => high,
            Self::Bimodal(low, high, _) => low.max(high),
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "means are at most 2^40, draws at most 37 times that"
)]
fn exponential(mean: u64, uniform: f64) -> u64 {
    (-(1.0 - uniform).ln() * mean as f64).round() as u64
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let number = |text: &str| {
            let value: u64 = text.parse().map_err(|_| QuantityError::Form)?;
            let max = QUANTITY_MAX;
            if value > max { Err(QuantityError::TooLarge { value, max }) } else { Ok(value) }
        };
        let parts: Vec<&str> = text.split(':').collect();
        match *parts.as_slice() {
            [value] | ["fixed", value] => Ok(Self::Fixed(number(value)?)),
            ["exp", mean] => Ok(Self::Exponential(number(mean)?)),
            ["uni", low, high] => match (number(low)?, number(high)?) {
                (low, high) if low <= high => Ok(Self::Uniform(low, high)),
                (low, high) => Err(QuantityError::Ends(low, high)),
            },
            ["bimodal", low, high, share] => {
                Ok(Self::Bimodal(number(low)?, number(high)?, probability(share)?))
            }
            _ => Err(QuantityError::Form),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Exponential(mean) => write!(f, "exp:{mean}"),
            Self::Uniform(low, high) => write!(f, "uni:{low}:{high}"),
            Self::Bimodal(low, high, share) => write!(f, "bimodal:{low}:{high}:{share}"),
        }
    }
}

/// Reads a number from 0 to 1.
///
/// # Errors
///
/// [`QuantityError::Probability`].
pub fn probability(text: &str) -> Result<f64, QuantityError> {
    let share: f64 = text.parse().map_err(|_| QuantityError::Probability)?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(QuantityError::Probability) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn mean_of(text: &str) -> f64 {
        let quantity: Quantity = text.parse().unwrap();
        let mut random = stream(1, 0, Purpose::Requests);
        let draws = 100_000;
        let sum: u64 = (0..draws).map(|_| quantity.draw(&mut random)).sum();
        sum as f64 / f64::from(draws)
    }

    #[test]
    fn draws_have_their_means() {
        for (text, mean) in [
            ("10", 10.0),
            ("fixed:7", 7.0),
            ("exp:1000", 1_000.0),
            ("uni:10:30", 20.0),
            ("bimodal:0:100:0.9", 10.0),
        ] {
            let found = mean_of(text);
            assert!((found - mean).abs() < mean * 0.03, "{text}: mean {found}, not {mean}");
        }
    }

    #[test]
    fn draws_keep_below_their_maximum() {
        let mut random = stream(2, 0, Purpose::Requests);
        for text in ["exp:10", "uni:3:9", "bimodal:9:2:0.5", "4"] {
            let quantity: Quantity = text.parse().unwrap();
            assert!((0..10_000).all(|_| quantity.draw(&mut random) <= quantity.max()));
        }
    }

    #[test]
    fn printing_and_reading_are_inverse() {
        for text in ["10", "exp:10", "uni:5:15", "bimodal:5:100:0.9"] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn faults_are_named() {
        let fault = |text: &str| text.parse::<Quantity>().unwrap_err();
        assert_eq!(fault("pareto:1"), QuantityError::Form);
        assert_eq!(fault("-1"), QuantityError::Form);
        assert_eq!(fault("uni:9:3"), QuantityError::Ends(9, 3));
        assert_eq!(fault("bimodal:1:2:1.5"), QuantityError::Probability);
        let too_large = QuantityError::TooLarge { value: 9_999_999_999_999, max: QUANTITY_MAX };
        assert_eq!(fault("exp:9999999999999"), too_large);
    }
}
