//! What pages written by hand say, held against the repository.
//!
//! Takes: README.md and docs/*.md. Gives: links that lead nowhere, values that no chart has, metrics that the code
//! does not count. Does not: run the commands of a page.

use operator::build::restarts;
use regex::Regex;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all pages, from the root.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).expect("docs is there");
    let names = docs.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// As GitHub makes it of a heading: small letters, spaces to -, no other signs.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

/// Links to files that do not exist, and to headings that no page has.
pub(crate) fn broken_links() -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let code = Regex::new("`[^`\\n]*`").expect("a pattern");
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        let text = code.replace_all(&text, "");
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = root().join(&page).parent().expect("a page is in a folder").to_owned();
            let file = if path.is_empty() { root().join(&page) } else { folder.join(path) };
            let leads = match fs::read_to_string(&file) {
                Ok(text) => {
                    heading.is_empty()
                        || text
                            .lines()
                            .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading)
                }
                // A folder, or a picture.
                Err(_) => file.exists() && heading.is_empty(),
            };
            if !leads {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    broken
}

/// Fields whose edit replaces pods, and which docs/deploying.md does not name where it says so.
pub(crate) fn unnamed_restarts() -> Vec<String> {
    let text = read("docs/deploying.md");
    let row = text.lines().find(|line| line.contains("| pods are replaced")).expect("the table of edits is there");
    let fields = restarts::ALL.iter().filter_map(|restart| restart.path().strip_prefix("spec."));
    // `{}` stands for api and worker, and a group such as `pod` for its fields.
    let is_named = |field: &str| match field.strip_prefix("{}.") {
        Some(shared) => row.contains(&format!("`{}`", shared.split('.').next().unwrap_or(shared))),
        None => row.contains(&format!("`{field}`")),
    };
    fields.filter(|field| !is_named(field)).map(str::to_owned).collect()
}

/// Blocks of docs/deploying.md that are a part of a pipeline.
pub(crate) fn specs() -> Vec<String> {
    let text = read("docs/deploying.md");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.filter(|block| block.starts_with("spec:")).map(str::to_owned).collect()
}

/// Keys of `--set` in docs/deploying.md that are in the values of neither chart.
pub(crate) fn unknown_values() -> Vec<String> {
    let text = read("docs/deploying.md");
    let charts: Vec<Value> = ["signup-operator", "signup-pipeline"]
        .map(|chart| serde_yaml::from_str(&read(&format!("charts/{chart}/values.yaml"))).expect("values are YAML"))
        .into();
    let set = Regex::new(r#"--set "?([^\s"]+)"#).expect("a pattern");
    let pairs: Vec<String> =
        set.captures_iter(&text).flat_map(|found| found[1].split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(pairs.len() > 5, "the page sets values: {pairs:?}");
    let is_known =
        |key: &str| charts.iter().any(|values| values.pointer(&format!("/{}", key.replace('.', "/"))).is_some());
    pairs.into_iter().filter(|pair| !is_known(pair.split('=').next().unwrap_or_default())).collect()
}

/// Metrics of docs/deploying.md that no program records.
pub(crate) fn unknown_metrics() -> Vec<String> {
    let name = Regex::new(r"\bsignup_[a-z_]+[a-z]").expect("a pattern");
    let text = read("docs/deploying.md");
    let named: BTreeSet<&str> = name.find_iter(&text).map(|found| found.as_str()).collect();
    assert!(named.len() > 5, "the page names metrics: {named:?}");
    let mut sources = String::new();
    let mut folders: Vec<PathBuf> = ["api", "worker", "operator"].map(|crate_| root().join(crate_).join("src")).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    named.into_iter().filter(|name| !sources.contains(&format!("\"{name}\""))).map(str::to_owned).collect()
}
