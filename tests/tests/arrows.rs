//! The arrows between crates are as docs/architecture.md draws them.
//!
//! Takes: `cargo metadata`. Shows: programs never depend on each other, only `signup` speaks SQL, only `queue` speaks
//! to Redis, only `operator` knows Kubernetes, only `lifecycle` listens. Does not: look at test-only dependencies.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// Crate -> the workspace crates it may use.
const ARROWS: [(&str, &[&str]); 9] = [
    ("pipeline", &[]),
    ("servers", &[]),
    ("queue", &[]),
    ("lifecycle", &["pipeline"]),
    ("inbox", &["lifecycle"]),
    ("signup", &["pipeline"]),
    ("api", &["lifecycle", "pipeline", "queue", "signup"]),
    ("worker", &["lifecycle", "pipeline", "queue", "signup"]),
    ("operator", &["lifecycle", "pipeline", "queue", "servers"]),
];

/// Library -> the one crate that may use it.
const OWNERS: [(&str, &str); 3] = [("sqlx", "signup"), ("redis", "queue"), ("kube", "operator")];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON from cargo metadata");
    let text = |value: &serde_json::Value| value.as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|dependency| dependency["kind"].is_null()).map(|dependency| text(&dependency["name"])).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), of(package))).collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let dependencies = dependencies();
    for (name, allowed) in ARROWS {
        for used in &dependencies[name] {
            let inside = ARROWS.iter().any(|(other, _)| other == used);
            assert!(!inside || allowed.contains(&used.as_str()), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn each_outside_system_has_one_crate_that_speaks_to_it() {
    let dependencies = dependencies();
    for (library, owner) in OWNERS {
        assert!(dependencies[owner].iter().any(|used| used == library), "{owner} no longer uses {library}");
        for (name, _) in ARROWS.iter().filter(|(name, _)| *name != owner) {
            assert!(!dependencies[*name].iter().any(|used| used == library), "{name} must not use {library}");
        }
    }
}

/// Files of a crate's programs, without the modules that are tests.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            found.push((path, code));
        }
    }
}

/// So that every port is reached by IPv4 and IPv6 alike.
#[test]
fn one_place_decides_where_programs_listen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    ["api", "worker", "operator", "inbox"].iter().for_each(|name| sources(&root.join(name).join("src"), &mut found));
    assert!(found.iter().any(|(_, code)| code.contains("listener::bind(")), "nothing was read");
    for (path, code) in found {
        let by_itself = code.contains("TcpListener::bind(") || code.contains("TcpSocket::new_");
        assert!(!by_itself, "{}: listen by lifecycle::listener", path.display());
    }
}
