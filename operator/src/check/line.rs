//! What a check prints: one line per thing checked, and the summary.
//!
//! Takes: lines. Gives: text for people or JSON for programs, and the exit code. Pure.

use crate::controller::reason::Finding;
use serde::Serialize;
use std::fmt::Write as _;

/// Subjects up to this many characters are padded, so that messages stand below each other.
const SUBJECT_WIDTH: usize = 48;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be, or worth knowing.
    Ok,
    /// May pass by itself, or could not be checked.
    Warning,
    /// Has to be fixed.
    Error,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How it is.
    pub level: Level,
    /// The thing.
    pub subject: String,
    /// What was found, in one sentence without full stop.
    pub message: String,
    /// What to do, without full stop; absent when there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Line {
    /// A thing as it should be.
    pub(super) fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject: subject.into(), message: message.into(), fix: None }
    }

    /// Something that may pass, or that could not be checked.
    pub(super) fn warning(subject: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, subject: subject.into(), message: message.into(), fix: Some(fix.into()) }
    }

    /// Something that has to be fixed.
    pub(super) fn error(subject: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Error, ..Self::warning(subject, message, fix) }
    }

    /// A finding of the operator's own.
    pub(super) fn of(level: Level, subject: impl Into<String>, finding: &Finding) -> Self {
        let (message, fix) = Finding::problem_and_fix(&finding.message);
        Self { level, subject: subject.into(), message: message.to_owned(), fix: fix.map(str::to_owned) }
    }
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which things were checked.
    pub findings: Vec<Line>,
}

impl Report {
    /// Adds lines about `subject`, which stands before their own subjects.
    pub(super) fn add_about(&mut self, subject: &str, lines: Vec<Line>) {
        let prefixed = |line: Line| Line { subject: format!("{subject} {}", line.subject), ..line };
        self.findings.extend(lines.into_iter().map(prefixed));
    }

    /// Lines of that level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|line| line.level == level).count()
    }

    /// 0 when nothing is an error, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.count(Level::Error) > 0)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let widths = self.findings.iter().map(|line| line.subject.chars().count());
        let width = widths.filter(|width| *width <= SUBJECT_WIDTH).max().unwrap_or(0);
        let mut text = String::new();
        for Line { level, subject, message, fix } in &self.findings {
            let level = match level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{level:<7}  {subject:<width$}  {}", on_one_line(message));
            if let Some(fix) = fix {
                let _ = writeln!(text, "         Fix: {}.", on_one_line(fix));
            }
        }
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        let _ =
            writeln!(text, "{}, {}, {} ok", many(errors, "error"), many(warnings, "warning"), self.count(Level::Ok));
        text
    }

    /// For programs: `{"findings": [{"level", "subject", "message", "fix"}]}`.
    ///
    /// # Errors
    ///
    /// Those of the JSON writer.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

fn many(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Messages of the API server may have several lines.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.findings.push(Line::ok("API server", "answers"));
        report.add_about("shop/demo", vec![Line::error("pods", "two\nlines", "act"), Line::warning("x", "y", "wait")]);
        report
    }

    #[test]
    fn each_finding_is_one_line_with_its_fix_below_and_the_summary_counts_them() {
        let expected = "ok       API server      answers\n\
                        error    shop/demo pods  two lines\n         Fix: act.\n\
                        warning  shop/demo x     y\n         Fix: wait.\n\
                        1 error, 1 warning, 1 ok\n";
        assert_eq!(report().to_text(), expected);
    }

    #[test]
    fn the_exit_code_is_one_when_anything_is_an_error() {
        assert_eq!((report().exit_code(), Report::default().exit_code()), (1, 0));
    }

    #[test]
    fn json_leaves_an_absent_fix_out() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json().expect("JSON")).expect("JSON");
        assert_eq!(
            json["findings"][0],
            serde_json::json!({"level": "ok", "subject": "API server", "message": "answers"})
        );
        assert_eq!(json["findings"][1]["fix"], "act");
    }
}
