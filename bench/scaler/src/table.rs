//! The table people read.
//!
//! Takes: rows. Gives: Markdown that can be pasted into docs/benchmarks.md. Does not: leave anything out because it
//! looks bad.

use std::fmt::Write;

/// A line.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) tuned: String,
    pub(crate) default: String,
    pub(crate) reach: &'static str,
    /// `None` where nothing was to be reached.
    pub(crate) is_reached: Option<bool>,
}

impl Row {
    /// Of the operator alone.
    pub(crate) fn ours(what: impl Into<String>, ours: String, reach: &'static str, is_reached: bool) -> Self {
        let nobody = || "-".to_owned();
        let (tuned, default) = (nobody(), nobody());
        Self { what: what.into(), ours, tuned, default, reach, is_reached: Some(is_reached) }
    }
}

pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| what | ours | KEDA, tuned | KEDA, defaults | reach | reached |\n|---|---|---|---|---|---|\n".to_owned();
    for Row { what, ours, tuned, default, reach, is_reached } in rows {
        let reached = match is_reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "-",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {what} | {ours} | {tuned} | {default} | {reach} | {reached} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_it_was_reached() {
        let row = Row::ours("writes at rest", "3".into(), "0", false);
        assert!(markdown(&[row]).ends_with("| writes at rest | 3 | - | - | 0 | **no** |\n"));
    }
}
