//! Busy slots that the queues ask for.
//!
//! Takes: depths with what was learnt, and how long a worker needs to start. Gives: slots for what arrives and for what
//! waits. Does not: turn them into workers; `band` does.

use super::{Depth, Limits};
use std::time::Duration;

/// The part of the target that is always left: however late a task is, it is not worth any number of workers.
const LEAST_LEFT: f64 = 0.35;

/// Slots that should be busy.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slots {
    /// With what arrives.
    pub(super) rate: f64,
    /// With what waits or comes due soon, to have it started in time.
    pub(super) backlog: f64,
}

impl Slots {
    pub(super) fn sum(self) -> f64 {
        self.rate + self.backlog
    }
}

/// Of one queue whose tasks have to wait for `wait` until a worker that has no task yet can take them.
pub(super) fn of_queue(depth: &Depth, target: Duration, wait: Duration) -> Slots {
    let (all, active) = (depth.backlog() as f64, depth.active as f64);
    if depth.paused {
        return Slots { rate: 0.0, backlog: active };
    }
    // Unknown: as if each took all the time there is.
    let Some(service) = depth.learnt.service_s else { return Slots { rate: 0.0, backlog: all + active } };
    let target = target.as_secs_f64();
    let left = |spent: f64| (target - spent - wait.as_secs_f64()).max(LEAST_LEFT * target);
    // What is pending comes first; what comes due later is started by its own time, behind it.
    let pending = depth.pending as f64 * service / left(depth.age.as_secs_f64());
    let both = all * service / left(-depth.due_in.as_secs_f64());
    Slots { rate: depth.learnt.arrivals_per_s * service, backlog: pending.max(both).min(all) }
}

/// Of all queues. With strict priorities a queue gets only what those above it leave; with weights it is sure of its
/// share alone, so that it asks for more than its own, up to what arrives in all queues.
pub(super) fn of_all(depths: &[Depth], limits: &Limits, wait: Duration) -> Slots {
    let of = |depth: &Depth| of_queue(depth, depth.target.unwrap_or(limits.target), wait);
    let queues: Vec<(&Depth, Slots)> = depths.iter().map(|depth| (depth, of(depth))).collect();
    let rate: f64 = queues.iter().map(|(_, slots)| slots.rate).sum();
    let sum: f64 = queues.iter().map(|(_, slots)| slots.backlog).sum();
    let backlog =
        if limits.strict { (strict(depths, limits, wait) - rate).max(sum) } else { weighted(&queues, sum, rate) };
    Slots { rate, backlog }
}

/// The most that any level asks for with all above it, in its time.
fn strict(depths: &[Depth], limits: &Limits, wait: Duration) -> f64 {
    let at_level = |level: u32| {
        let own = depths.iter().filter(|depth| depth.priority == level && depth.backlog() > 0);
        let target = own.map(|depth| depth.target.unwrap_or(limits.target)).min()?;
        let served = depths.iter().filter(|depth| depth.priority >= level);
        Some(served.map(|depth| of_queue(depth, target, wait).sum()).sum::<f64>())
    };
    depths.iter().filter_map(|depth| at_level(depth.priority)).fold(0.0, f64::max)
}

fn weighted(queues: &[(&Depth, Slots)], sum: f64, rate: f64) -> f64 {
    let weight = |depth: &Depth| f64::from(depth.priority.max(1));
    let waiting = || queues.iter().filter(|(depth, _)| depth.backlog() > 0);
    let weights: f64 = waiting().map(|(depth, _)| weight(depth)).sum();
    let asked = waiting().map(|(depth, slots)| slots.backlog * weights / weight(depth)).fold(0.0, f64::max);
    asked.clamp(sum, sum + rate)
}
