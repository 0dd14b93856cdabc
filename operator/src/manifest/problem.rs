//! What is wrong with a file.
//!
//! Takes: a field path, a value, and what to do. Gives: lines such as
//! `spec.task.delay: "1e9h" must be a duration from 0s to 24h, written like 10s, 15m or 1h30m`.
//! Does not: show values of Secrets; it never gets any.

use serde_json::Value;
use std::fmt;

/// Longest value that is repeated in full.
const SHOWN: usize = 60;

/// One mistake: where, which value, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    path: String,
    value: Option<String>,
    advice: String,
    hides_rules: bool,
}

impl Problem {
    /// A mistake at `path` (dots and indices as in `spec.queues[0].name`; empty: the file itself).
    pub(crate) fn new(path: &str, advice: &str) -> Self {
        Self { path: path.into(), value: None, advice: advice.into(), hides_rules: false }
    }

    /// Shows the value, shortened; objects and lists are not shown.
    pub(crate) fn with_value(self, value: &Value) -> Self {
        match value {
            Value::String(text) => self.with_text(text),
            Value::Object(_) | Value::Array(_) | Value::Null => self,
            scalar => Self { value: Some(scalar.to_string()), ..self },
        }
    }

    /// Shows a text, quoted and shortened.
    pub(crate) fn with_text(self, text: &str) -> Self {
        let shown: String = text.chars().take(SHOWN).collect();
        let rest = if shown.len() < text.len() { "..." } else { "" };
        Self { value: Some(format!("{shown:?}{rest}")), ..self }
    }

    /// Adds a parser's own words, on one line.
    pub(crate) fn because(self, cause: &dyn fmt::Display) -> Self {
        let cause = cause.to_string();
        let first = cause.lines().next().unwrap_or_default();
        Self { advice: format!("{}: {first}", self.advice), ..self }
    }

    /// Marks a mistake after which rules over several fields would only repeat it.
    pub(crate) fn blocking(self) -> Self {
        Self { hides_rules: true, ..self }
    }

    pub(crate) fn hides_rules(&self) -> bool {
        self.hides_rules
    }

    /// Path of the field, as in `spec.task.delay`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        match &self.value {
            Some(value) => write!(formatter, "{path}: {value} {}", self.advice),
            None => write!(formatter, "{path}: {}", self.advice),
        }
    }
}

/// Every mistake found in one file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    lines.join("\n")
}
