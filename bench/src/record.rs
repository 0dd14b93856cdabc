//! The record of a run, for comparing runs later.
//!
//! Takes: machine and outcomes. Gives: a JSON file with every round's values. Does not: append to older records.

use crate::{machine::Machine, outcome::Outcome};
use anyhow::Context;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Serialize)]
struct Record<'a> {
    machine: &'a Machine,
    rounds: u32,
    rows: &'a [Outcome],
}

pub(crate) fn write(path: &Path, machine: &Machine, rounds: u32, rows: &[Outcome]) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&Record { machine, rounds, rows })?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
