//! What became of the tasks, and which pods there were.
//!
//! Takes: lines of workers, and the comings and goings of pods. Gives: them by side and time (Unix time, ms).
//! Does not: compute.

use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;

/// A task that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) due: i64,
    pub(crate) at: i64,
}

/// What is known of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) begun: Vec<Begun>,
    /// Tasks that had begun and not ended when their process was gone.
    pub(crate) cut: usize,
    /// When a process was seen to have ended by itself.
    pub(crate) killed: Vec<i64>,
    /// A pod came (1) or went (-1).
    pub(crate) pods: Vec<(i64, i32)>,
}

/// Of all sides, by name.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<HashMap<String, Known>>);

impl Record {
    /// A line of a worker; gives by how much the number of its running tasks changed.
    pub(crate) fn line(&self, side: &str, line: &str) -> i32 {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["S", due, at] => {
                if let (Ok(due), Ok(at)) = (due.parse(), at.parse()) {
                    self.0.lock().entry(side.to_owned()).or_default().begun.push(Begun { due, at });
                }
                1
            }
            ["E"] => -1,
            _ => 0,
        }
    }

    /// A process is gone, with so many of its tasks running.
    pub(crate) fn cut(&self, side: &str, tasks: i32) {
        self.0.lock().entry(side.to_owned()).or_default().cut += usize::try_from(tasks).unwrap_or(0);
    }

    /// A process has ended by itself now.
    pub(crate) fn killed(&self, side: &str) {
        let at = Timestamp::now().as_millisecond();
        self.0.lock().entry(side.to_owned()).or_default().killed.push(at);
    }

    /// A pod came or went now.
    pub(crate) fn pod(&self, side: &str, change: i32) {
        let at = Timestamp::now().as_millisecond();
        self.0.lock().entry(side.to_owned()).or_default().pods.push((at, change));
    }

    pub(crate) fn of(&self, side: &str) -> Known {
        self.0.lock().get(side).cloned().unwrap_or_default()
    }
}
