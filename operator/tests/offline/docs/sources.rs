//! What the sources of the operator use of the tables in controller/reason.rs.
//!
//! Takes: operator/src. Gives: names of constants. Does not: understand Rust; it finds words.

use regex::Regex;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const TABLE: &str = "controller/reason.rs";

/// Path below src and text of every source file.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found): (Vec<PathBuf>, Vec<(String, String)>) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("it is below").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    found
}

/// Text before the tests of a file.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Constants of the tables, with the names that people see.
pub(crate) fn declared_constants() -> Vec<(String, String)> {
    let entry = Regex::new(r#"(?m)^\s+([A-Z][A-Z_]+) "([A-Za-z]+)" ("|good )"#).expect("a pattern");
    let table = sources().into_iter().find(|(name, _)| name == TABLE).expect("the table is there").1;
    entry.captures_iter(&table).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// Constants that the code uses; `kind` is what some files call the module of conditions.
pub(crate) fn used_constants() -> BTreeSet<String> {
    let path = Regex::new(r"\b(?:reason|condition|kind)::([A-Z][A-Z_]+)\b").expect("a pattern");
    // Inside the table's own file there is no path before the name.
    let bare = Regex::new(r"\b(?:new|with_default_fix)\(([A-Z][A-Z_]+)\b").expect("a pattern");
    let mut used = BTreeSet::new();
    for (name, text) in sources() {
        let pattern = if name == TABLE { &bare } else { &path };
        used.extend(pattern.captures_iter(code(&text)).map(|found| found[1].to_owned()));
    }
    used.remove("ALL");
    used
}

/// Places that name a condition or an event by a text of their own.
pub(crate) fn spelled_out() -> Vec<String> {
    let place =
        Regex::new(r#"(?:UntimedCondition::new|UntimedCondition::from_finding|EventType::[A-Za-z]+,)\s*\(?\s*"[^"]*""#)
            .expect("a pattern");
    let in_file = |(name, text): (String, String)| {
        let found: Vec<String> =
            place.find_iter(code(&text)).map(|found| format!("{name}: {}", found.as_str())).collect();
        found
    };
    sources().into_iter().flat_map(in_file).collect()
}
