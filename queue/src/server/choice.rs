//! Which queue each free slot asks: a pure function of the priorities, the queues known to be empty and a random
//! source.

use crate::{random::Random, settings::Settings};

/// How many tasks to ask of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) queue: String,
    pub(crate) count: usize,
}

/// Divides `free` slots among the queues for which `may_have_tasks`.
///
/// By weight, every slot draws one queue with the odds of the priorities. asynq repeats each queue priority times,
/// shuffles and keeps first occurrences; its first place has the same odds, and so have the further ones, since slots
/// that a queue could not fill draw again among the others. Strict: all slots ask the highest priority; the next is
/// asked once that one is empty.
pub(crate) fn shares(
    settings: &Settings,
    free: usize,
    may_have_tasks: impl Fn(&str) -> bool,
    random: &mut Random,
) -> Vec<Share> {
    let served =
        settings.queues.iter().filter(|queue| queue.priority > 0 && !queue.paused && may_have_tasks(&queue.name));
    let mut queues: Vec<(&str, u64)> = served.map(|queue| (&*queue.name, u64::from(queue.priority))).collect();
    if settings.strict_priority {
        queues.sort_by_key(|&(_, priority)| std::cmp::Reverse(priority));
        queues.truncate(1);
    }
    let total = queues.iter().map(|&(_, priority)| priority).sum();
    let mut counts = vec![0; queues.len()];
    if let [count] = &mut counts[..] {
        *count = free;
    } else if !queues.is_empty() {
        for _ in 0..free {
            counts[draw(&queues, random.below(total))] += 1;
        }
    }
    let asked = queues.into_iter().zip(counts).filter(|&(_, count)| count > 0);
    asked.map(|((queue, _), count)| Share { queue: queue.to_owned(), count }).collect()
}

/// The queue in whose stretch of the summed priorities `point` lies.
fn draw(queues: &[(&str, u64)], mut point: u64) -> usize {
    for (at, &(_, priority)) in queues.iter().enumerate() {
        if point < priority {
            return at;
        }
        point -= priority;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QueuePriority;

    fn settings(queues: &[(&str, u32, bool)], strict_priority: bool) -> Settings {
        let queues =
            queues.iter().map(|&(name, priority, paused)| QueuePriority { name: name.to_owned(), priority, paused });
        Settings { queues: queues.collect(), strict_priority, concurrency: 1, ..Settings::default() }
    }

    fn first_places(settings: &Settings, may_have_tasks: impl Fn(&str) -> bool + Copy) -> Vec<usize> {
        let mut random = Random::from_seed(7);
        let mut counts = vec![0; settings.queues.len()];
        for _ in 0..10_000 {
            for share in shares(settings, 1, may_have_tasks, &mut random) {
                counts[settings.queues.iter().position(|queue| queue.name == share.queue).unwrap()] += share.count;
            }
        }
        counts
    }

    #[test]
    fn priorities_6_3_1_get_60_30_and_10_percent_of_the_first_places() {
        let counts =
            first_places(&settings(&[("high", 6, false), ("mid", 3, false), ("low", 1, false)], false), |_| true);
        for (count, expected) in counts.iter().zip([6_000_i32, 3_000, 1_000]) {
            assert!((*count as i32 - expected).abs() < 250, "{counts:?}");
        }
    }

    #[test]
    fn an_empty_queue_leaves_its_places_to_the_others_in_proportion() {
        let counts =
            first_places(&settings(&[("high", 6, false), ("mid", 3, false), ("low", 1, false)], false), |queue| {
                queue != "high"
            });
        assert_eq!(counts[0], 0);
        assert!((counts[1] as i32 - 7_500).abs() < 250, "{counts:?}");
    }

    #[test]
    fn strict_priority_asks_the_highest_queue_that_may_have_tasks() {
        let settings = settings(&[("low", 1, false), ("high", 6, false), ("mid", 3, false)], true);
        let asked = |empty: &'static str| shares(&settings, 8, |queue| queue != empty, &mut Random::from_seed(1));
        assert_eq!(asked(""), [Share { queue: "high".to_owned(), count: 8 }]);
        assert_eq!(asked("high"), [Share { queue: "mid".to_owned(), count: 8 }]);
    }

    #[test]
    fn paused_queues_and_those_of_priority_zero_are_not_asked() {
        let settings = settings(&[("a", 5, true), ("b", 0, false), ("c", 1, false)], false);
        assert_eq!(
            shares(&settings, 3, |_| true, &mut Random::from_seed(1)),
            [Share { queue: "c".to_owned(), count: 3 }]
        );
    }
}
