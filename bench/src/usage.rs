//! Memory and processor time of processes.
//!
//! Takes: process ids. Gives: resident memory and time on a processor, from /proc (Linux); keeps a process on some
//! cores. Does not: sample; the kernel counts every switch, so short work is not missed.

use anyhow::{Context, ensure};
use std::{fs, process::Command, time::Duration};

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) on_processor: Duration,
}

/// Resident memory (`VmRSS`), in MiB.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("/proc has no VmRSS")? / 1024.0)
}

/// Threads of a process that live now, oldest first.
pub(crate) fn threads(pid: u32) -> anyhow::Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
        let folder = entry?.path();
        let id =
            folder.file_name().and_then(|name| name.to_str()?.parse().ok()).context("a thread without a number")?;
        // A thread may end meanwhile.
        let (Ok(name), Ok(times)) =
            (fs::read_to_string(folder.join("comm")), fs::read_to_string(folder.join("schedstat")))
        else {
            continue;
        };
        threads.push(Thread { id, name: name.trim().to_owned(), on_processor: on_processor(&times)? });
    }
    threads.sort_by_key(|thread| thread.id);
    Ok(threads)
}

/// Processor time of all living threads of a process.
pub(crate) fn on_processor_in_all(pid: u32) -> anyhow::Result<Duration> {
    Ok(threads(pid)?.iter().map(|thread| thread.on_processor).sum())
}

/// Processor time so far of the PostgreSQL servers started here, of their processes that live.
pub(crate) fn of_postgresql() -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for server in children_named(std::process::id(), "postgres")? {
        sum += on_processor_in_all(server)?;
        for backend in children_named(server, "postgres")? {
            sum += on_processor_in_all(backend)?;
        }
    }
    Ok(sum)
}

/// Processor time so far of the Redis servers started here.
pub(crate) fn of_redis() -> anyhow::Result<Duration> {
    children_named(std::process::id(), "redis-server")?.into_iter().map(on_processor_in_all).sum()
}

/// Keeps all threads of a process on some cores, such as `0` or `1-3`.
pub(crate) fn keep_on(pid: u32, cores: &str) -> anyhow::Result<()> {
    let output = Command::new("taskset").args(["-apc", cores, &pid.to_string()]).output().context("no taskset")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Children of a process that live now and whose program is called `name`.
pub(crate) fn children_named(parent: u32, name: &str) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("failed to read /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if parent_and_name(&stat) == Some((parent, name)) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// First field of `schedstat`: nanoseconds on a processor (kernel documentation, `scheduler/sched-stats.rst`).
fn on_processor(schedstat: &str) -> anyhow::Result<Duration> {
    let nanos = schedstat.split(' ').next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanos.context("/proc has no schedstat")?))
}

/// From `pid (name) state ppid ...`; the name may contain anything, so it ends at the last parenthesis.
fn parent_and_name(stat: &str) -> Option<(u32, &str)> {
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let parent = stat.get(end + 1..)?.split_whitespace().nth(1)?.parse().ok()?;
    Some((parent, stat.get(start + 1..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_threads_that_worked() {
        let own = std::process::id();
        assert!(resident_mib(own).expect("own memory") > 0.1);
        assert!(threads(own).expect("own threads").iter().any(|thread| thread.id == own));
        assert!(on_processor_in_all(own).expect("own time") > Duration::ZERO);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_whole() {
        assert_eq!(parent_and_name("17 (a (b) c) S 4 17 17 0"), Some((4, "a (b) c")));
    }

    #[test]
    fn the_first_field_of_schedstat_is_nanoseconds() {
        assert_eq!(on_processor("1500 20 3\n").expect("valid"), Duration::from_nanos(1500));
        assert!(on_processor("").is_err());
    }
}
