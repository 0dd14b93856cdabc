//! The arithmetic of a decision, term by term.
//!
//! Takes: depths, limits and the past. Gives: [`Terms`], which `bounds` limits, `operator plan` prints and
//! [`Terms::sentence`] tells in words. Does not: limit anything.

use super::{Depth, Learnt, Limits, Past, band, demand};
use queue::DUE_LATER_S;
use std::{fmt::Write as _, time::Duration};

/// What a decision is computed from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Queue by queue.
    pub queues: Vec<QueueTerms>,
    /// Tasks that run.
    pub active: u64,
    /// Tasks that run, wait or come due soon.
    pub work: u64,
    /// Busy slots for what arrives.
    pub rate_slots: f64,
    /// Busy slots for what waits, by the workers that run or start already.
    pub backlog_slots: f64,
    /// The same by workers that would have to start first.
    pub backlog_slots_grown: f64,
    /// Slots of the workers that run.
    pub slots: u64,
    /// Workers that the queues alone ask for.
    pub recommended: u32,
    /// Workers that run tasks.
    pub busy: u32,
    /// Workers that the schedule needs within [`Past::ahead`].
    pub ahead: u32,
    /// Slots that `mail.smtp.maxPerSecond` keeps busy; `None`: not set, or nobody knows what a task takes.
    pub mail_slots: Option<f64>,
    /// Not all queues could be read.
    pub is_partial: bool,
}

/// One queue's part.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueTerms {
    /// What was seen and learnt.
    pub depth: Depth,
    /// Its latency target.
    pub target: Duration,
    /// Busy slots for what arrives.
    pub rate_slots: f64,
    /// Busy slots for what waits.
    pub backlog_slots: f64,
}

impl Terms {
    pub(super) fn of(depths: &[Depth], limits: &Limits, running: u32, past: &Past) -> Self {
        let active = depths.iter().map(|depth| depth.active).fold(0, u64::saturating_add);
        let backlog = depths.iter().map(Depth::backlog).fold(0, u64::saturating_add);
        let slots = u64::from(running) * u64::from(limits.concurrency.max(1));
        // Free slots take what waits at once; else workers have to start first.
        let is_free = backlog <= slots.saturating_sub(active) && past.starting.is_zero();
        let held = demand::of_all(depths, limits, past.starting);
        let grown = demand::of_all(depths, limits, if is_free { Duration::ZERO } else { past.startup });
        let work = active.saturating_add(backlog);
        let queues = depths.iter().map(|depth| {
            let target = depth.target.unwrap_or(limits.target);
            let own = demand::of_queue(depth, target, past.starting);
            QueueTerms { depth: depth.clone(), target, rate_slots: own.rate, backlog_slots: own.backlog }
        });
        Self {
            queues: queues.collect(),
            active,
            work,
            rate_slots: held.rate,
            backlog_slots: held.backlog,
            backlog_slots_grown: grown.backlog,
            slots,
            recommended: band::recommend(held, grown, work, running, limits),
            busy: band::workers(active as f64, limits.slots()).min(running),
            ahead: ahead(depths, limits, past.ahead),
            mail_slots: mail_slots(depths, limits),
            is_partial: depths.iter().any(|depth| depth.missing),
        }
    }

    /// Seconds in which the workers that run are through with what waits, were nothing to arrive; `None` while nobody
    /// knows what a task takes, or nothing runs.
    pub fn drain_s(&self) -> Option<f64> {
        let waiting = self.queues.iter().map(|queue| &queue.depth).filter(|depth| depth.backlog() > 0);
        let seconds =
            waiting.map(|depth| Some(depth.backlog() as f64 * depth.learnt.service_s?)).sum::<Option<f64>>()?;
        match (seconds > 0.0, self.slots) {
            (false, _) => Some(0.0),
            (true, 0) => None,
            (true, slots) => Some(seconds / slots as f64),
        }
    }

    /// What was seen, and what it asks for.
    pub(super) fn sentence(&self, limits: &Limits) -> String {
        if self.work == 0 && self.rate_slots == 0.0 {
            return "nothing is due".to_owned();
        }
        let mut text = format!("{} running or due ({} running), ", self.work, self.active);
        let live = || self.queues.iter().filter(|queue| !queue.depth.paused);
        let slowest = live()
            .filter_map(|queue| queue.depth.learnt.service_s)
            .fold(None, |most: Option<f64>, service| Some(most.map_or(service, |most| most.max(service))));
        let arrivals: f64 = live().map(|queue| queue.depth.learnt.arrivals_per_s).sum();
        let target = live().filter(|queue| queue.depth.backlog() > 0).map(|queue| queue.target).min();
        if let Some(service) = slowest {
            let target = target.unwrap_or(limits.target).as_secs();
            // Writing to a String does not fail.
            let _ = write!(text, "{arrivals:.1} a second arrive, {service:.2} s each, started within {target} s, ");
        }
        let _ = write!(text, "{} at once per worker: {}", limits.concurrency, self.recommended);
        text
    }
}

/// Workers that the busiest part of the schedule needs: what is due there beyond what arrives anyway has the target's
/// time. One at least where anything is due at all.
fn ahead(depths: &[Depth], limits: &Limits, ahead: Duration) -> u32 {
    let live = || depths.iter().filter(|depth| !depth.paused);
    let mut since = 0;
    let mut most = 0.0_f64;
    for (at, until) in DUE_LATER_S.into_iter().enumerate() {
        if since >= ahead.as_secs() {
            break;
        }
        if live().any(|depth| depth.due_later[at] > 0) {
            most = most.max(live().map(|depth| slots_due(depth, at, until - since, limits)).sum::<f64>().max(1.0));
        }
        since = until;
    }
    band::workers(most, limits.slots() * band::UTILIZATION)
}

/// Busy slots for what is due between two of the times of [`DUE_LATER_S`].
fn slots_due(depth: &Depth, at: usize, seconds: u64, limits: &Limits) -> f64 {
    let before = at.checked_sub(1).map_or(0, |before| depth.due_later[before]);
    let due = depth.due_later[at].saturating_sub(before) as f64;
    let Learnt { arrivals_per_s, service_s: Some(service), .. } = depth.learnt else { return due };
    let target = depth.target.unwrap_or(limits.target).as_secs_f64();
    let unusual = (due - arrivals_per_s * seconds as f64).max(0.0);
    arrivals_per_s * service + (unusual * service / target).min(unusual)
}

/// Slots that `mail.smtp.maxPerSecond` keeps busy.
fn mail_slots(depths: &[Depth], limits: &Limits) -> Option<f64> {
    let live = depths.iter().filter(|depth| !depth.paused);
    let service = live.filter_map(|depth| depth.learnt.service_s).reduce(f64::max)?;
    limits.mail.per_second.map(|limit| f64::from(limit) * service)
}
