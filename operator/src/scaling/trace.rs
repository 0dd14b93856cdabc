//! A recorded series of snapshots, and what would have been decided.
//!
//! Takes: lines of text and a resource. Gives: the snapshots, and each change of the number of workers with its reason.
//! Does not: know what the workers of another decision would have done to the queue: the series is as it was.
//!
//! A line is one queue at one time, its fields separated by tabs: seconds of the Redis clock (fractions allowed),
//! name of the queue, pending, active, tasks due within the start-up time,
//! attempts that ended, attempts that failed, seconds
//! since the oldest pending task waits. Lines of one time are one snapshot; lines that begin with `#` say nothing.

use super::{Autoscaler, Decision, Depth};
use crate::crd::SignupPipelineSpec;
use jiff::Timestamp;
use std::{
    fmt::Write as _,
    str::FromStr,
    time::{Duration, Instant},
};

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// It has too few or too many fields.
    #[error("line {line} has {found} fields instead of 8; separate them by tabs")]
    Fields {
        /// Number of the line, from 1.
        line: usize,
        /// How many it has.
        found: usize,
    },
    /// A field is no number.
    #[error("line {line}: {field} is {value:?}, which is no number that it can have")]
    Number {
        /// Number of the line, from 1.
        line: usize,
        /// What the field is.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// Time goes backwards.
    #[error("line {line} is earlier than the one before; sort the lines by time")]
    Order {
        /// Number of the line, from 1.
        line: usize,
    },
    /// There is no snapshot at all.
    #[error("there is no line with a snapshot")]
    Empty,
}

/// What one change of the number of workers would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Seconds of the series.
    pub at_s: f64,
    /// Workers before it.
    pub from: u32,
    /// The decision.
    pub decision: Decision,
}

/// What would have happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    /// All changes in order.
    pub changes: Vec<Change>,
    /// Workers asked for, times seconds.
    pub worker_seconds: f64,
    /// How long the series is.
    pub seconds: f64,
}

impl Replay {
    /// For people: a line per change, then the sums.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Change { at_s, from, decision } in &self.changes {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{at_s:>10.1} s  {from} -> {}  {}", decision.desired, decision.explanation);
        }
        let up = |change: &Change| change.decision.desired > change.from;
        let reversals = self.changes.windows(2).filter(|pair| up(&pair[0]) != up(&pair[1])).count();
        let changes = self.changes.len();
        let (seconds, cost) = (self.seconds, self.worker_seconds);
        let _ = writeln!(text, "{seconds:.0} s: {changes} changes, {reversals} reversals, {cost:.0} worker-seconds");
        text
    }
}

/// One line of a series.
pub fn line(depth: &Depth) -> String {
    let Depth { name, pending, active, due_soon, processed, failed, age, at, .. } = depth;
    let seconds = at.as_microsecond() as f64 / 1e6;
    let age = age.as_secs_f64();
    format!("{seconds:.3}\t{name}\t{pending}\t{active}\t{due_soon}\t{processed}\t{failed}\t{age:.3}")
}

/// Reads a series and decides it, beginning with `minReplicas` workers. Each change is as if it had been made, and its
/// workers were ready after `lookAhead.startupTime`.
///
/// # Errors
///
/// [`TraceError`] names the line.
pub fn replay(text: &str, spec: &SignupPipelineSpec) -> Result<Replay, TraceError> {
    let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
    let snapshots = snapshots(text, spec)?;
    let began = snapshots.first().ok_or(TraceError::Empty)?.0;
    let startup = spec.worker.autoscaling.look_ahead.startup_time.get();
    let mut running = spec.worker.autoscaling.min_replicas.unsigned_abs();
    let (mut replay, mut last, mut ready_at) = (Replay::default(), began, start);
    for (at_s, depths) in snapshots {
        let now = start + Duration::try_from_secs_f64(at_s - began).unwrap_or_default();
        replay.worker_seconds += f64::from(running) * (at_s - last);
        (last, replay.seconds) = (at_s, at_s - began);
        if now >= ready_at {
            autoscaler.ready(running, now);
        }
        let decision = autoscaler.decide(spec, Some(&depths), Some(running), now);
        let (from, to) = (running, decision.desired);
        if from != to {
            autoscaler.changed(from, to, now);
            replay.changes.push(Change { at_s: at_s - began, from, decision });
            (running, ready_at) = (to, now + startup);
        }
    }
    Ok(replay)
}

fn snapshots(text: &str, spec: &SignupPipelineSpec) -> Result<Vec<(f64, Vec<Depth>)>, TraceError> {
    let mut snapshots: Vec<(f64, Vec<Depth>)> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()) {
        let (at_s, depth) = parse(number + 1, line, spec)?;
        match snapshots.last_mut() {
            Some((last, _)) if at_s < *last => return Err(TraceError::Order { line: number + 1 }),
            Some((last, depths)) if at_s == *last => depths.push(depth),
            _ => snapshots.push((at_s, vec![depth])),
        }
    }
    Ok(snapshots)
}

fn parse(line: usize, text: &str, spec: &SignupPipelineSpec) -> Result<(f64, Depth), TraceError> {
    let fields: Vec<&str> = text.split('\t').collect();
    let [at, name, pending, active, due_soon, processed, failed, age] = fields[..] else {
        return Err(TraceError::Fields { line, found: fields.len() });
    };
    let count = |field, value| number::<u64>(line, field, value);
    let seconds = |field, value| match number::<f64>(line, field, value) {
        Ok(seconds) if (0.0..1e11).contains(&seconds) => Ok(seconds),
        Ok(_) => Err(TraceError::Number { line, field, value: value.to_owned() }),
        Err(error) => Err(error),
    };
    let at_s = seconds("the time", at)?;
    let queue = spec.queues.iter().find(|queue| queue.name == name);
    let depth = Depth {
        name: name.to_owned(),
        pending: count("pending", pending)?,
        active: count("active", active)?,
        due_soon: count("due soon", due_soon)?,
        paused: queue.is_some_and(|queue| queue.paused),
        priority: queue.map_or(1, |queue| queue.priority.unsigned_abs()),
        target: queue.and_then(|queue| queue.target_latency).map(|target| target.get()),
        age: Duration::try_from_secs_f64(seconds("the age", age)?).unwrap_or_default(),
        processed: count("processed", processed)?,
        failed: count("failed", failed)?,
        at: Timestamp::from_microsecond((at_s * 1e6) as i64).unwrap_or_default(),
        ..Depth::default()
    };
    Ok((at_s, depth))
}

fn number<T: FromStr>(line: usize, field: &'static str, value: &str) -> Result<T, TraceError> {
    value.parse().map_err(|_| TraceError::Number { line, field, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(text: &str) -> Result<Replay, TraceError> {
        let pipeline = crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        super::replay(text, &pipeline.spec)
    }

    #[test]
    fn a_series_is_decided_again_and_each_bad_line_is_named() {
        let burst = "# a burst\n0\tcritical\t0\t0\t0\t0\t0\t0\n1\tcritical\t100\t0\t0\t0\t0\t0\n";
        let replayed = replay(burst).expect("a series");
        assert_eq!(replayed.changes.len(), 1);
        assert!(replayed.to_text().starts_with("       1.0 s  1 -> 7  100 running or due"), "{}", replayed.to_text());
        let cases = [
            ("", "no line with a snapshot"),
            ("1\tcritical\t2\n", "line 1 has 3 fields instead of 8"),
            ("1\tcritical\tmany\t0\t0\t0\t0\t0\n", "line 1: pending is \"many\""),
            ("-1\tcritical\t0\t0\t0\t0\t0\t0\n", "line 1: the time is \"-1\""),
            ("2\ta\t0\t0\t0\t0\t0\t0\n1\ta\t0\t0\t0\t0\t0\t0\n", "line 2 is earlier"),
        ];
        for (text, expected) in cases {
            let told = replay(text).expect_err(expected).to_string();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_line_that_was_written_is_read_as_it_was() {
        let text = "12.500\tcritical\t3\t2\t1\t40\t4\t1.250";
        let pipeline = crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        let (_, depth) = parse(1, text, &pipeline.spec).expect("a line");
        assert_eq!(line(&depth), text);
    }
}
