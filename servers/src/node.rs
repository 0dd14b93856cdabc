//! Node and what `scripts/setup.sh test` takes from npm for it.
//!
//! Takes: `target/tools`. Gives: commands that find Node, the packages and their programs. Does not: install any.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Where `scripts/setup.sh` puts what is no package of Debian.
///
/// # Panics
///
/// When there is none: nothing was set up.
pub fn tools() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    tools.canonicalize().expect("target/tools is made by `make setup`")
}

/// Node, for which `require` finds the packages of tests/browser/package.json.
pub fn node() -> Command {
    with_packages(Command::new("node"))
}

/// A program that one of these packages brings.
pub fn npm_program(name: &str) -> Command {
    with_packages(Command::new(packages().join(".bin").join(name)))
}

fn packages() -> PathBuf {
    tools().join("browser/node_modules")
}

fn with_packages(mut command: Command) -> Command {
    // The machine's Node comes first; the other one is there only where that is missing or old.
    let ours = tools().join("node/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = if ours.exists() { vec![ours] } else { Vec::new() };
    let all: OsString = env::join_paths(folders.into_iter().chain(env::split_paths(&path))).unwrap_or(path);
    command.env("PATH", all).env("NODE_PATH", packages());
    command
}
