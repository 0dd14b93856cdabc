//! The machine and the versions a table was measured with.
//!
//! Takes: /proc and the version output of the programs. Gives: facts for the header and the record. Does not: name the
//! host; a figure is about a kind of machine.

use serde::Serialize;
use std::process::Command;

/// What a reader needs to compare figures.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    debian: String,
    postgresql: String,
    redis: String,
    go: String,
    rust: String,
}

impl Machine {
    pub(crate) fn observe() -> Self {
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib().unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
            debian: read("/etc/debian_version").unwrap_or_else(unknown),
            postgresql: version("psql", &["--version"]),
            redis: version("redis-server", &["--version"]),
            go: version("go", &["version"]),
            rust: version("rustc", &["--version"]),
        }
    }

    /// One line a fact, for the top of the output.
    pub(crate) fn lines(&self) -> String {
        let Self { cpu, cores, memory_mib, kernel, debian, postgresql, redis, go, rust } = self;
        format!(
            "machine: {cores} cores ({cpu}), {memory_mib} MiB memory, Linux {kernel}, Debian {debian}\n\
             versions: {rust}; {go}; {redis}; {postgresql}\n"
        )
    }
}

fn memory_kib() -> Option<u64> {
    field("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()
}

/// Value of the first line `name : value` of a file of /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn version(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| unknown(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_cores_memory_and_kernel() {
        let machine = Machine::observe();
        let lines = machine.lines();
        assert!(machine.memory_mib > 0 && machine.cores > 0);
        assert!(lines.contains(&machine.kernel) && lines.contains("MiB memory"), "{lines}");
    }
}
