//! The inbox's journal, read while it grows.
//!
//! Takes: the file and the number of mails to wait for. Gives: how fast they were accepted, by the inbox's own clock.
//! Does not: ask the inbox anything; that would slow it down.

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

/// No mail for this long means that none will come.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the file is read.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What is read of a line.
#[derive(Debug, Deserialize)]
struct Line {
    phase: String,
    at_unix_ns: i64,
}

/// The part of the journal that was read so far.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    rest: String,
    accepted_at_ns: Vec<i64>,
}

impl Journal {
    /// Reads what comes from now on.
    pub(super) fn at_end(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, rest: String::new(), accepted_at_ns: Vec::new() })
    }

    /// Waits until `count` mails were accepted.
    pub(super) async fn wait_for(&mut self, count: usize) -> anyhow::Result<()> {
        let mut last = 0;
        let mut change = Instant::now();
        while self.accepted_at_ns.len() < count {
            self.read()?;
            if self.accepted_at_ns.len() > last {
                last = self.accepted_at_ns.len();
                change = Instant::now();
            }
            ensure!(change.elapsed() < STALL_TIMEOUT, "only {last} of {count} mails arrived");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        ensure!(self.accepted_at_ns.len() == count, "{} mails arrived instead of {count}", self.accepted_at_ns.len());
        Ok(())
    }

    /// From the first mail to the last.
    pub(super) fn per_second(&self) -> f64 {
        rate(&self.accepted_at_ns)
    }

    fn read(&mut self) -> anyhow::Result<()> {
        self.file.read_to_string(&mut self.rest)?;
        let complete = self.rest.rfind('\n').map_or(0, |end| end + 1);
        for line in self.rest[..complete].lines() {
            let line: Line = serde_json::from_str(line).context("failed to read a line of the inbox's journal")?;
            if line.phase == "accepted" {
                self.accepted_at_ns.push(line.at_unix_ns);
            }
        }
        self.rest.drain(..complete);
        Ok(())
    }
}

/// `n` mails have `n - 1` distances.
fn rate(times_ns: &[i64]) -> f64 {
    let first = times_ns.iter().min().copied().unwrap_or(0);
    let last = times_ns.iter().max().copied().unwrap_or(0);
    (times_ns.len().saturating_sub(1)) as f64 / ((last - first) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn three_mails_in_a_second_are_two_distances() {
        assert_eq!(rate(&[2_000_000_000, 1_000_000_000, 1_500_000_000]), 2.0);
    }

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        let mut writer = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(writer, "{{\"phase\":\"accepted\",\"at_unix_ns\":1}}").expect("written");
        let mut journal = Journal::at_end(writer.path()).expect("readable");
        write!(writer, "{{\"phase\":\"accepted\",").expect("written");
        journal.read().expect("readable");
        assert!(journal.accepted_at_ns.is_empty());
        writeln!(writer, "\"at_unix_ns\":2}}\n{{\"phase\":\"answered\",\"at_unix_ns\":3}}").expect("written");
        journal.read().expect("readable");
        assert_eq!(journal.accepted_at_ns, [2]);
    }
}
