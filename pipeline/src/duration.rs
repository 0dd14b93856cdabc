//! Durations as text: `10s`, `1h30m`, `500ms`.
//!
//! Takes and gives: [`std::time::Duration`]. Units: `h`, `m`, `s`, `ms`, largest first is customary but not demanded.
//! Does not: accept signs, fractions, days, or a bare number (a number without a unit is how delays go wrong).
//!
//! Use as `#[serde(with = "pipeline::duration")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use std::time::Duration;

/// The longest duration accepted: 10 years. Anything longer is a typing mistake, and stays far from overflow.
const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why a text is not a duration; the text itself is repeated so that the user finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {problem}; write it like `10s`, `15m` or `1h30m`")]
pub struct InvalidDuration {
    text: String,
    problem: &'static str,
}

/// Parses `1h30m`, `10s`, `250ms`.
///
/// # Errors
///
/// [`InvalidDuration`] for an empty text, a missing number or unit, an unknown unit, or more than 10 years.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = |problem| InvalidDuration { text: text.chars().take(40).collect(), problem };
    if text.is_empty() {
        return Err(invalid("it is empty"));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(invalid("a unit (h, m, s, ms) is missing"))?;
        let number: u64 = rest[..digits].parse().map_err(|_| invalid("a whole number is missing or too large"))?;
        rest = &rest[digits..];
        let unit = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
        let milliseconds_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(invalid("the unit must be h, m, s or ms")),
        };
        let part = number.checked_mul(milliseconds_per_unit).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).ok_or(invalid("it is too long"))?;
        rest = &rest[unit.len()..];
    }
    if total > MAX { Err(invalid("it is longer than 10 years")) } else { Ok(total) }
}

/// Prints the shortest text that [`parse`] reads back: `90s` becomes `1m30s`, zero is `0s`. Below 1 ms is dropped.
pub fn format(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= size {
            text += &format!("{}{unit}", left / size);
            left %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// The `serde(with)` half that writes.
///
/// # Errors
///
/// Only the serializer's own.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// The `serde(with)` half that reads.
///
/// # Errors
///
/// The text of [`InvalidDuration`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for a duration that may be absent: `#[serde(default, with = "pipeline::duration::optional")]`.
pub mod optional {
    use super::{Deserialize as _, Deserializer, Duration, Serializer};

    /// The half that writes; nothing is written as null.
    ///
    /// # Errors
    ///
    /// Only the serializer's own.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// The half that reads.
    ///
    /// # Errors
    ///
    /// The text of [`InvalidDuration`](super::InvalidDuration).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_their_meaning() {
        for (text, milliseconds) in [("0s", 0), ("10s", 10_000), ("1h30m", 5_400_000), ("250ms", 250), ("90s", 90_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for text in ["", "10", "-5s", "1e9h", "10 s", "s", "5d", "99999999999999999999s", "999999999h", "1.5s"] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("10s"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in 0u64..10_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
