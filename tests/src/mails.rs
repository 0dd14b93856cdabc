//! What the mail server wrote down.
//!
//! Takes: the journal of an inbox. Gives: its lines, and those that stand for a mail a user would have received.
//! Does not: read mails; the journal outlives the mails kept.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// One line of the journal.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// `accepted` before the sender was told, `answered` after.
    pub phase: String,
    /// When the final dot arrived, Unix time in nanoseconds.
    pub received_at_unix_ns: i64,
    /// The mail's id in the inbox.
    pub mail: u64,
    /// Without angle brackets.
    pub message_id: String,
    /// Recipients.
    pub to: Vec<String>,
    /// Equal for mails with equal subject, text and HTML, so with equal code and link.
    pub fingerprint: String,
}

pub(crate) fn read(journal: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(journal).context("failed to read the inbox's journal")?;
    text.lines().map(|line| serde_json::from_str(line).context("failed to parse the inbox's journal")).collect()
}

/// The mails that the server took responsibility for, whether or not their sender heard of it.
pub(crate) fn accepted(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line.phase == "accepted")
}
