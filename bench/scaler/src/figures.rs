//! Figures of one side and one load.
//!
//! Takes: what became of the tasks, which pods there were, and which numbers were written. Gives: lateness,
//! pod-seconds, changes. Pure. Does not: judge.

use crate::record::{Begun, Known};

/// Tasks that start within it are in target: the default of `targetLatency`.
const TARGET_MS: i64 = 10_000;

/// Nearest-rank percentile; `None` without values.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Of a side under a load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// Tasks that were put in and have not begun.
    pub(crate) never: usize,
    /// Tasks whose process ended before them.
    pub(crate) cut: usize,
    /// Share of all tasks, in per cent.
    pub(crate) in_target: f64,
    /// Seconds, of those that began.
    pub(crate) p99: Option<f64>,
    pub(crate) pod_seconds: f64,
    pub(crate) most_pods: i32,
    pub(crate) changes: usize,
    /// Changes in the other direction than the one before.
    pub(crate) reversals: usize,
}

impl Figures {
    /// `numbers`: what was written, in order, after the first number `before`. Times are Unix time, ms.
    pub(crate) fn of(known: &Known, (from, to): (i64, i64), tasks: usize, numbers: &[u32], before: u32) -> Self {
        let begun: Vec<Begun> = known.begun.iter().filter(|begun| (from..=to).contains(&begun.due)).copied().collect();
        let lateness: Vec<f64> = begun.iter().map(late).collect();
        let in_time = begun.iter().filter(|begun| begun.at - begun.due <= TARGET_MS).count();
        let (pod_seconds, most_pods) = pods(&known.pods, from, to);
        let (changes, reversals) = changes(numbers, before);
        Self {
            never: tasks.saturating_sub(begun.len()),
            cut: known.cut,
            in_target: 100.0 * in_time as f64 / tasks.max(1) as f64,
            p99: percentile(&lateness, 0.99),
            pod_seconds,
            most_pods,
            changes,
            reversals,
        }
    }
}

/// Seconds between due and begun.
pub(crate) fn late(begun: &Begun) -> f64 {
    (begun.at - begun.due) as f64 / 1000.0
}

/// Pod-seconds within a time, and the most pods at once.
fn pods(changes: &[(i64, i32)], from: i64, to: i64) -> (f64, i32) {
    let (mut count, mut most, mut since, mut total) = (0, 0, from, 0);
    for (at, change) in changes {
        let at = (*at).clamp(from, to);
        total += i64::from(count) * (at - since);
        (count, since) = (count + change, at);
        if (from..to).contains(&at) {
            most = most.max(count);
        }
    }
    total += i64::from(count) * (to - since).max(0);
    (total as f64 / 1000.0, most)
}

fn changes(numbers: &[u32], before: u32) -> (usize, usize) {
    let (mut last, mut grew, mut changes, mut reversals) = (before, None, 0, 0);
    for number in numbers {
        if *number == last {
            continue;
        }
        let grows = *number > last;
        changes += 1;
        reversals += usize::from(grew.is_some_and(|grew| grew != grows));
        (last, grew) = (*number, Some(grows));
    }
    (changes, reversals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_counted_while_they_are_there() {
        let changes = [(-5000, 1), (2000, 1), (4000, -1), (12_000, -1)];
        assert_eq!(pods(&changes, 0, 10_000), (12.0, 2));
    }

    #[test]
    fn a_number_that_is_written_again_is_no_change() {
        assert_eq!(changes(&[1, 5, 5, 4, 6], 1), (3, 2));
        assert_eq!(changes(&[], 1), (0, 0));
    }

    #[test]
    fn a_task_that_never_began_is_out_of_target() {
        let begun = [Begun { due: 0, at: 100 }, Begun { due: 0, at: 11_000 }];
        let known = Known { begun: begun.to_vec(), cut: 1, ..Known::default() };
        let figures = Figures::of(&known, (0, 60_000), 4, &[], 0);
        assert_eq!((figures.never, figures.cut, figures.in_target), (2, 1, 25.0));
        assert_eq!(figures.p99, Some(11.0));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99)), (Some(100.0), Some(198.0)));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
