//! Which workers leave when there are too many.
//!
//! Takes: the workers' heartbeats, and how many are too many. Gives: those that shall take no more tasks, and of these
//! the ones that may be stopped: idle ones first, and busy ones when they are done. Pure: no clock, no Redis. Does not:
//! decide how many there should be.
//!
//! A worker that was chosen stays chosen while it may, so that it comes to its end; with fewer to leave than before the
//! busiest are let off first, because load that returns wants slots, and those that are idle leave soonest anyway.

use queue::{ServerInfo, Supervisor};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A worker that takes no more tasks says so in its heartbeat.
const TAKES_NONE: &str = "stopped";

/// The workers of one pipeline that were asked to take no more tasks.
#[derive(Debug, Default)]
pub struct Drain {
    /// By identity.
    asked: BTreeMap<String, Asked>,
    /// When they were last marked.
    marked: Option<Instant>,
}

/// A worker that was asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Instant,
    /// Tasks that it ran when it was heard last; `None` while it was not.
    running: Option<u32>,
}

/// A worker that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How long ago it was asked.
    pub after: Duration,
    /// Tasks that it ran when it was heard last.
    pub running: u32,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Identities of all workers that shall take no tasks; others may.
    pub marked: Vec<String>,
    /// Those of them that may be stopped: they confirmed it and run nothing, or their time is up.
    pub leaving: Vec<String>,
    /// Those of `leaving` that still run tasks, because their time is up.
    pub overdue: usize,
    /// Workers that were asked to leave, live, and are let off.
    pub let_off: usize,
    /// Workers that were asked to leave, and are gone.
    pub left: Vec<Left>,
}

impl Drain {
    /// Goes on with workers that somebody asked before, perhaps an operator that has ended since.
    pub fn adopt(&mut self, marked: Vec<String>, now: Instant) {
        for server in marked {
            self.asked.entry(server).or_insert(Asked { since: now, running: None });
        }
    }

    /// True: some worker was asked, and has neither left nor been let off.
    pub fn is_under_way(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The workers that were chosen have been told.
    pub fn is_marked(&mut self, now: Instant) {
        self.marked = Some(now);
    }

    /// They could not be told. As soon as no mark of theirs holds any more they take tasks again, as if nobody had been
    /// asked, and the time of each begins anew.
    pub fn is_not_marked(&mut self, now: Instant) {
        if self.marked.is_none_or(|at| now.saturating_duration_since(at) >= Supervisor::MARK_LIFE) {
            *self = Self::default();
        }
    }

    /// Chooses `surplus` of `workers`; one that does not leave within `timeout` counts as done.
    pub fn step(&mut self, workers: &[ServerInfo], surplus: usize, timeout: Duration, now: Instant) -> Step {
        let mut chosen: Vec<(&ServerInfo, String)> = workers.iter().map(|worker| (worker, worker.identity())).collect();
        chosen.sort_by_key(|(worker, identity)| {
            let is_asked = self.asked.contains_key(identity);
            // The youngest first, as `operator local` and a ReplicaSet do.
            (worker.running > 0 && !is_asked, !is_asked, worker.running, std::cmp::Reverse(worker.started_at))
        });
        let let_off = chosen.iter().skip(surplus).filter(|(_, identity)| self.asked.contains_key(identity)).count();
        chosen.truncate(surplus);
        let mut step = Step { let_off, left: self.left(workers, now), ..Step::default() };
        self.asked.retain(|asked, _| chosen.iter().any(|(_, identity)| identity == asked));
        for (worker, identity) in chosen {
            let asked = self.asked.entry(identity.clone()).or_insert(Asked { since: now, running: None });
            asked.running = Some(worker.running);
            let is_idle = worker.status == TAKES_NONE && worker.running == 0;
            let is_overdue = now.saturating_duration_since(asked.since) >= timeout;
            if is_idle || is_overdue {
                step.overdue += usize::from(worker.running > 0);
                step.leaving.push(identity.clone());
            }
            step.marked.push(identity);
        }
        step
    }

    /// Those that were asked and are no more among `workers`.
    fn left(&self, workers: &[ServerInfo], now: Instant) -> Vec<Left> {
        let is_gone = |identity: &String| !workers.iter().any(|worker| worker.identity() == *identity);
        let gone = self.asked.iter().filter(|(identity, _)| is_gone(identity));
        let left = |(_, asked): (&String, &Asked)| {
            Some(Left { after: now.saturating_duration_since(asked.since), running: asked.running? })
        };
        gone.filter_map(left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(600);

    fn worker(name: &str, running: u32, status: &str) -> ServerInfo {
        ServerInfo {
            host: name.to_owned(),
            pid: 1,
            id: "id".to_owned(),
            concurrency: 16,
            queues: BTreeMap::new(),
            strict_priority: false,
            status: status.to_owned(),
            started_at: None,
            running,
        }
    }

    fn names(identities: &[String]) -> Vec<&str> {
        identities.iter().map(|identity| identity.split(':').next().unwrap_or_default()).collect()
    }

    #[test]
    fn idle_workers_leave_first_and_only_once_they_have_confirmed() {
        let (mut drain, now) = (Drain::default(), Instant::now());
        let asked = drain.step(
            &[worker("a", 3, "active"), worker("b", 0, "active"), worker("c", 1, "active")],
            2,
            TIMEOUT,
            now,
        );
        assert_eq!((names(&asked.marked), names(&asked.leaving)), (vec!["b", "c"], vec![]));
        let workers = [worker("a", 3, "active"), worker("b", 0, "stopped"), worker("c", 1, "stopped")];
        let confirmed = drain.step(&workers, 2, TIMEOUT, now);
        assert_eq!((names(&confirmed.marked), names(&confirmed.leaving)), (vec!["b", "c"], vec!["b"]));
    }

    #[test]
    fn who_was_chosen_stays_chosen_although_another_is_less_busy_now() {
        let (mut drain, now) = (Drain::default(), Instant::now());
        drain.step(&[worker("a", 2, "active"), worker("b", 5, "active")], 1, TIMEOUT, now);
        let workers = [worker("a", 2, "stopped"), worker("b", 1, "active")];
        assert_eq!(names(&drain.step(&workers, 1, TIMEOUT, now).marked), ["a"]);
        let idle = [worker("a", 2, "stopped"), worker("b", 0, "active")];
        assert_eq!(names(&drain.step(&idle, 1, TIMEOUT, now).marked), ["a"]);
    }

    #[test]
    fn load_that_returns_lets_the_busiest_off_first_and_then_all() {
        let (mut drain, now) = (Drain::default(), Instant::now());
        let workers = [worker("a", 1, "stopped"), worker("b", 4, "stopped"), worker("c", 9, "active")];
        assert_eq!(names(&drain.step(&workers, 2, TIMEOUT, now).marked), ["a", "b"]);
        let fewer = drain.step(&workers, 1, TIMEOUT, now);
        assert_eq!((names(&fewer.marked), fewer.let_off), (vec!["a"], 1));
        assert_eq!(drain.step(&workers, 0, TIMEOUT, now), Step { let_off: 1, ..Step::default() });
        assert!(!drain.is_under_way());
        assert_eq!(drain.step(&workers, 0, TIMEOUT, now), Step::default(), "once");
    }

    #[test]
    fn a_long_task_is_waited_for_as_long_as_the_timeout_and_the_time_goes_on_after_an_adoption() {
        let (mut drain, asked) = (Drain::default(), Instant::now());
        let workers = [worker("a", 1, "stopped")];
        drain.adopt(vec![workers[0].identity(), "gone:1:id".to_owned()], asked);
        let before = drain.step(&workers, 1, TIMEOUT, asked + TIMEOUT - Duration::from_millis(1));
        assert_eq!((names(&before.marked), before.leaving.len()), (vec!["a"], 0));
        let after = drain.step(&workers, 1, TIMEOUT, asked + TIMEOUT);
        assert_eq!((names(&after.leaving), after.overdue), (vec!["a"], 1));
        assert_eq!((before.left, after.left), (vec![], vec![]), "nobody knows when the one that is gone was asked");
        let gone = drain.step(&[], 0, TIMEOUT, asked + 2 * TIMEOUT);
        assert_eq!(gone.left, [Left { after: 2 * TIMEOUT, running: 1 }]);
        assert_eq!(drain.step(&[], 0, TIMEOUT, asked + 2 * TIMEOUT).left, [], "once");
    }

    #[test]
    fn the_time_of_a_worker_begins_anew_when_its_mark_could_not_be_renewed() {
        let (mut drain, asked) = (Drain::default(), Instant::now());
        let workers = [worker("a", 1, "stopped")];
        drain.step(&workers, 1, TIMEOUT, asked);
        drain.is_not_marked(asked);
        assert!(!drain.is_under_way(), "it was never told");
        drain.step(&workers, 1, TIMEOUT, asked);
        drain.is_marked(asked);
        let ended = asked + Supervisor::MARK_LIFE;
        drain.is_not_marked(ended - Duration::from_millis(1));
        assert!(drain.is_under_way());
        drain.is_not_marked(ended);
        let later = asked + TIMEOUT;
        assert!(drain.step(&workers, 1, TIMEOUT, later).leaving.is_empty());
        assert_eq!(names(&drain.step(&workers, 1, TIMEOUT, later + TIMEOUT).leaving), ["a"]);
    }

    #[test]
    fn a_worker_that_started_again_meanwhile_is_another_one() {
        let (mut drain, now) = (Drain::default(), Instant::now());
        drain.step(&[worker("a", 0, "active")], 1, TIMEOUT, now);
        let again = ServerInfo { id: "other".to_owned(), ..worker("a", 0, "active") };
        let step = drain.step(&[again], 1, TIMEOUT, now);
        assert_eq!((step.marked.len(), step.leaving.len()), (1, 0));
        assert!(step.marked[0].ends_with("other"));
    }
}
