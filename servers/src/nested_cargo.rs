//! Builds that a test starts.
//!
//! Takes: a command that runs Cargo, itself or by make. Gives: it without what Cargo and make told this test, which
//! build scripts look at: they would compile again, and with them all that depends on them. Does not: run it.

use std::process::Command;

/// Lets a command build as a shell would.
pub fn nested_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name != "CARGO_HOME" && (name.starts_with("CARGO") || name.starts_with("MAKE")) {
            command.env_remove(&*name);
        }
    }
    command
}
