//! What `worker intents` prints.
//!
//! Takes: records, and what became of changes. Gives: text with a line end: a table for people, JSON for programs.
//! Addresses are masked, in replies of mail servers too, unless they are asked for. Does not: print.

use super::arguments::Form;
use jiff::Timestamp;
use serde_json::{Value, json};
use signup::{Change, IntentRecord};
use std::fmt::Write as _;
use uuid::Uuid;

/// One intent that was to be changed.
pub(super) struct Changed {
    pub(super) id: Uuid,
    /// As it was before; `None`: there is none.
    pub(super) record: Option<IntentRecord>,
    pub(super) change: Change,
}

const HEADINGS: [&str; 7] = ["ID", "STATE", "CLASS", "ATTEMPTS", "SIGNED UP", "USER", "ADDRESS"];

/// One line each.
pub(super) fn list(records: &[IntentRecord], form: Form) -> String {
    if form.json {
        return in_json(&records.iter().map(|record| object(record, form)).collect());
    }
    table(records.iter().map(|record| cells(record, form)).collect())
}

/// Everything known of one.
pub(super) fn show(record: &IntentRecord, form: Form) -> String {
    let object = object(record, form);
    if form.json {
        return in_json(&object);
    }
    let mut text = String::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let _ = writeln!(text, "{field:<16} {value}");
    }
    text
}

/// What became of each, and how many were changed; `done` is what a change is called.
pub(super) fn changes(changed: &[Changed], done: &str, dry_run: bool, form: Form) -> String {
    let made = if dry_run { format!("would be {done}") } else { done.to_owned() };
    let said = |one: &Changed| match one.change {
        Change::Made => made.clone(),
        Change::Refused(refusal) => format!("not {done}: {refusal}"),
    };
    if form.json {
        let result = |one: &Changed| {
            let mut object = one.record.as_ref().map_or_else(|| json!({"id": one.id}), |record| object(record, form));
            object["changed"] = (one.change == Change::Made && !dry_run).into();
            object["result"] = said(one).into();
            object
        };
        return in_json(&changed.iter().map(result).collect());
    }
    let mut text = String::new();
    for one in changed {
        let address = one.record.as_ref().map_or_else(String::new, |record| address(record, form));
        let _ = writeln!(text, "{} {address} {}", one.id, said(one));
    }
    let count = changed.iter().filter(|one| one.change == Change::Made).count();
    let _ = writeln!(text, "{count} of {} {made}", changed.len());
    text
}

/// Fields by name, `null` where there is nothing to say.
fn object(record: &IntentRecord, form: Form) -> Value {
    let reply = record.reply.as_deref().map(|reply| if form.show_addresses { reply.to_owned() } else { masked(reply) });
    json!({
        "id": record.id,
        "state": record.state.as_str(),
        "class": record.class,
        "username": record.username,
        "email": address(record, form),
        "attempts": record.attempts,
        "failures": record.failures,
        "maxRetries": record.max_retries,
        "inDoubt": record.in_doubt,
        "signedUp": seconds(record.created_at),
        "due": seconds(record.due_at),
        "deadline": seconds(record.deadline),
        "sent": record.sent_at.map(seconds),
        "messageId": record.message_id,
        "reply": reply,
    })
}

fn cells(record: &IntentRecord, form: Form) -> [String; 7] {
    [
        record.id.to_string(),
        record.state.to_string(),
        record.class.clone().unwrap_or_else(|| "-".into()),
        record.attempts.to_string(),
        seconds(record.created_at),
        record.username.clone().unwrap_or_else(|| "-".into()),
        address(record, form),
    ]
}

fn table(rows: Vec<[String; 7]>) -> String {
    let rows: Vec<_> = std::iter::once(HEADINGS.map(ToOwned::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn address(record: &IntentRecord, form: Form) -> String {
    if form.show_addresses || record.email.is_empty() { record.email.clone() } else { signup::mask(&record.email) }
}

/// The text with every word masked that could be an address.
fn masked(text: &str) -> String {
    let word = |word: &str| if word.contains('@') { signup::mask(word) } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn in_json(value: &Value) -> String {
    format!("{value:#}\n")
}
