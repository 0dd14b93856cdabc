//! What is measured, in which unit, and what it should reach.
//!
//! Gives: [`Goal`]s, declared by each file of `work`, and [`Measured`] values for them. Does not: hold
//! any measured number; the targets are the only constants here and come from the benchmark table of the project's
//! issue.

use serde::Serialize;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    /// Short name, unique, also in the JSON record.
    pub(crate) key: &'static str,
    /// What is measured, for people.
    pub(crate) work: &'static str,
    pub(crate) unit: Unit,
    /// Whether a larger value is the better one; decides which way the ratio is formed.
    pub(crate) better: Better,
    pub(crate) target: Target,
}

/// Unit of the values of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
    PerSecond,
    Mebibytes,
    Percent,
    Count,
}

/// Direction of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What the median over all rounds has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Our value, in the row's unit.
    AtMost(f64),
    /// Our value, in the row's unit.
    AtLeast(f64),
    /// Our value is this many times as good as the baseline's.
    TimesBaseline(f64),
    /// Nothing; the row explains another one.
    Nothing,
}

/// One round's values of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    pub(crate) key: &'static str,
    pub(crate) ours: f64,
    /// `None` where the row has no baseline, or it was not asked for in this round.
    pub(crate) baseline: Option<f64>,
}

impl Measured {
    pub(crate) fn alone(key: &'static str, ours: f64) -> Self {
        Self { key, ours, baseline: None }
    }

    pub(crate) fn against(key: &'static str, ours: f64, baseline: f64) -> Self {
        Self { key, ours, baseline: Some(baseline) }
    }
}

impl Unit {
    /// A value with its unit, with as many digits as measurements of this kind deserve.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value.abs() < 100.0 => format!("{value:.2} ms"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::Seconds => format!("{value:.1} s"),
            Self::PerSecond if value.abs() < 1000.0 => format!("{value:.1}/s"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Percent => format!("{value:.1} %"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

impl Target {
    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {}", shortened(&unit.show(limit))),
            Self::AtLeast(limit) => format!(">= {}", shortened(&unit.show(limit))),
            Self::TimesBaseline(times) => format!(">= {times} x"),
            Self::Nothing => "-".to_owned(),
        }
    }
}

/// `2.00 ms` as `2 ms`: a target is exact.
fn shortened(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_unit() {
        assert_eq!(Unit::Milliseconds.show(0.314), "0.31 ms");
        assert_eq!(Unit::Milliseconds.show(449.4), "449 ms");
        assert_eq!(Unit::PerSecond.show(13_312.7), "13313/s");
        assert_eq!(Unit::PerSecond.show(23.04), "23.0/s");
        assert_eq!(Unit::Mebibytes.show(14.96), "15.0 MiB");
    }

    #[test]
    fn targets_are_shown_without_useless_digits() {
        assert_eq!(Target::AtMost(2.0).show(Unit::Milliseconds), "<= 2 ms");
        assert_eq!(Target::AtLeast(1000.0).show(Unit::PerSecond), ">= 1000/s");
        assert_eq!(Target::AtMost(40.0).show(Unit::Mebibytes), "<= 40 MiB");
        assert_eq!(Target::TimesBaseline(1.5).show(Unit::PerSecond), ">= 1.5 x");
    }
}
