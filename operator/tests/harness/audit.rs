//! The audit log of the one API server, read as it grows.
//!
//! Takes: a namespace. Gives: what was asked for there so far. Does not: read a line twice for a namespace, or parse
//! those of others: all tests share the log, and each shares its thread with the operator that it watches.

use super::SERVER;
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::{LazyLock, Mutex},
};

/// Requests of a namespace, and the bytes of the log that were read for it.
#[derive(Default)]
struct Known {
    read: u64,
    entries: Vec<Value>,
}

static KNOWN: LazyLock<Mutex<HashMap<String, Known>>> = LazyLock::new(Mutex::default);

/// Requests that finished, as verb, resource and name.
pub(crate) fn audit(namespace: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let request = |entry: Value| {
        let object = &entry["objectRef"];
        (text(&entry["verb"]), text(&object["resource"]), text(&object["name"]))
    };
    entries(namespace).into_iter().map(request).collect()
}

/// Entries of the audit log about a namespace.
pub(crate) fn entries(namespace: &str) -> Vec<Value> {
    let mut known = KNOWN.lock().expect("nobody panicked with it");
    let known = known.entry(namespace.to_owned()).or_default();
    known.entries.extend(new_entries(namespace, &mut known.read));
    known.entries.clone()
}

fn new_entries(namespace: &str, read: &mut u64) -> Vec<Value> {
    let mut log = Vec::new();
    // Before its first request the server has no log.
    if let Ok(mut file) = File::open(SERVER.get().expect("it was started").server.folder().join("audit.log")) {
        file.seek(SeekFrom::Start(*read)).expect("a file on a disk");
        file.read_to_end(&mut log).expect("a file on a disk");
    }
    // The last line may be half written.
    let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    *read += end as u64;
    let whole = std::str::from_utf8(&log[..end]).expect("JSON");
    let mark = format!("\"namespace\":\"{namespace}\"");
    let entries = whole.lines().filter(|line| line.contains(&mark)).map(serde_json::from_str);
    let entries = entries.map(|entry| entry.expect("an entry a line"));
    entries.filter(|entry: &Value| entry["objectRef"]["namespace"] == namespace).collect()
}
