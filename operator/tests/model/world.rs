//! A pipeline without machines: tasks, slots and workers as numbers on a clock of its own.
//!
//! Takes: a load and a resource. Gives: how late tasks began, which numbers of workers were asked for, and what they
//! cost. The number of workers is decided by the code that the operator runs.
//! Does not: model a network, a scheduler or a
//! mail server: a worker is ready `START` after it was asked for, and one that is taken away ends its tasks first.

use jiff::Timestamp;
use operator::{
    crd::{SignupPipelineSpec, task::Queue},
    manifest,
    scaling::{Autoscaler, Depth},
};
use queue::{DUE_LATER_S, QueueReading, QueueState};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

/// Milliseconds.
pub(crate) type Ms = u64;

/// The clock goes on by this.
const STEP: Ms = 50;
/// Time between two evaluations while something changes; the operator reads a server every 100 ms at most.
const EVALUATE: Ms = 250;
/// A worker's start.
const START: Ms = 5_000;
/// Mean time of a task.
const SERVICE: f64 = 1_000.0;

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How late each task began.
    pub(crate) late: Vec<Ms>,
    /// When the number of workers was changed: from, to.
    pub(crate) changes: Vec<(Ms, u32, u32)>,
    pub(crate) pod_seconds: f64,
    /// Changes to fewer workers than had tasks.
    pub(crate) cut: usize,
}

impl Outcome {
    pub(crate) fn percentile(&mut self, percent: usize) -> Ms {
        self.late.sort_unstable();
        self.late.get((self.late.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0)
    }

    /// Share of the tasks that began within `target`.
    pub(crate) fn in_target(&self, target: Ms) -> f64 {
        self.late.iter().filter(|late| **late <= target).count() as f64 / self.late.len().max(1) as f64
    }

    /// Changes from `since` on, and how many of them turned round.
    pub(crate) fn changes_since(&self, since: Ms) -> (usize, usize) {
        let ups: Vec<bool> = self.changes.iter().filter(|change| change.0 >= since).map(|(_, a, b)| b > a).collect();
        (ups.len(), ups.windows(2).filter(|pair| pair[0] != pair[1]).count())
    }
}

/// Numbers that look random and are the same in each run (Knuth's MMIX generator).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Between 0 and 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Exponentially distributed with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -self.next().ln() * mean
    }
}

/// A pipeline whose workers have ten slots.
pub(crate) struct World {
    spec: SignupPipelineSpec,
    autoscaler: Autoscaler,
    started: Instant,
    now: Ms,
    random: Random,
    pending: VecDeque<Ms>,
    /// When, and how many.
    scheduled: BTreeMap<Ms, usize>,
    active: BinaryHeap<Reverse<Ms>>,
    processed: u64,
    /// When each worker that was asked for is ready.
    workers: Vec<Ms>,
    outcome: Outcome,
}

impl World {
    pub(crate) fn new(autoscaling: &str, seed: u64) -> Self {
        let minimal = include_str!("../../../samples/minimal.yaml");
        let text = format!("{minimal}  worker: {{concurrency: 10, autoscaling: {autoscaling}}}\n");
        let spec = manifest::parse(&text).expect("a valid pipeline").pipeline.spec;
        let workers = vec![0; usize::try_from(spec.worker.autoscaling.min_replicas).expect("0 or more")];
        Self {
            spec,
            workers,
            autoscaler: Autoscaler::default(),
            started: Instant::now(),
            now: 0,
            random: Random(seed),
            pending: VecDeque::new(),
            scheduled: BTreeMap::new(),
            active: BinaryHeap::new(),
            processed: 0,
            outcome: Outcome::default(),
        }
    }

    /// A task that is due at a time.
    pub(crate) fn schedule(&mut self, at: Ms) {
        *self.scheduled.entry(at).or_default() += 1;
    }

    /// Runs until `end`; `arrivals` gives the tasks of each step.
    pub(crate) fn run(mut self, end: Ms, mut arrivals: impl FnMut(Ms, Ms, &mut Random) -> usize) -> Outcome {
        while self.now < end {
            for _ in 0..arrivals(self.now, STEP, &mut self.random) {
                self.pending.push_back(self.now);
            }
            self.work();
            if self.now.is_multiple_of(EVALUATE) {
                self.decide();
            }
            self.outcome.pod_seconds += self.workers.len() as f64 * STEP as f64 / 1000.0;
            self.now += STEP;
        }
        self.outcome
    }

    fn ready(&self) -> usize {
        self.workers.iter().filter(|ready| **ready <= self.now).count()
    }

    fn work(&mut self) {
        while self.active.peek().is_some_and(|Reverse(end)| *end <= self.now) {
            self.active.pop();
            self.processed += 1;
        }
        // As in asynq, workers move what is due.
        let slots = self.ready() * 10;
        while slots > 0
            && let Some(due) = self.scheduled.first_entry().filter(|due| *due.key() <= self.now)
        {
            let (at, tasks) = due.remove_entry();
            self.pending.extend(std::iter::repeat_n(at, tasks));
        }
        while self.active.len() < slots
            && let Some(since) = self.pending.pop_front()
        {
            self.outcome.late.push(self.now - since);
            let takes = self.random.exponential(SERVICE) as Ms;
            self.active.push(Reverse(self.now + takes.max(1)));
        }
    }

    fn decide(&mut self) {
        let at = self.started + Duration::from_millis(self.now);
        let depth = self.depth();
        let running = u32::try_from(self.workers.len()).expect("few");
        self.autoscaler.ready(u32::try_from(self.ready()).expect("few"), at);
        let desired = self.autoscaler.decide(&self.spec, Some(&[depth]), Some(running), at).desired;
        if desired == running {
            return;
        }
        if (desired as usize) < self.active.len().div_ceil(10) {
            self.outcome.cut += 1;
        }
        self.autoscaler.changed(running, desired, at);
        self.outcome.changes.push((self.now, running, desired));
        self.workers.resize(desired as usize, self.now + START);
    }

    fn depth(&self) -> Depth {
        let at = |ms: Ms| Timestamp::from_millisecond(ms as i64 + 1_000_000_000).expect("a time");
        let due_by = |until: Ms| -> u64 { self.scheduled.range(..=until).map(|(_, tasks)| *tasks as u64).sum() };
        let ahead = self.autoscaler.look_ahead(&self.spec.worker.autoscaling).as_millis() as Ms;
        let state = QueueState {
            pending: self.pending.len() as u64,
            active: self.active.len() as u64,
            due_within: due_by(self.now + ahead),
            next_due_at: self.scheduled.keys().next().map(|due| at(*due)),
            oldest_pending_since: self.pending.front().map(|since| at(*since)),
            processed: self.processed,
            ..QueueState::default()
        };
        let due_later = DUE_LATER_S.map(|seconds| due_by(self.now + seconds * 1000));
        let queue = Queue { name: "critical".into(), priority: 1, paused: false, target_latency: None };
        Depth::new(&QueueReading { state, at: at(self.now), due_later, ..QueueReading::default() }, &queue)
    }
}
