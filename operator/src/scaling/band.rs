//! Workers for a demand.
//!
//! Takes: busy slots and the workers that run. Gives: the workers recommended, as the HorizontalPodAutoscaler computes
//! them from a metric with a target per pod: none more or fewer within the tolerance, else the demand over what one
//! worker is meant to carry. Does not: know limits.

use super::{Limits, Tolerances, demand::Slots};

/// Share of its slots that a worker is meant to have busy: the one that did best in the model (`operator/tests/model`).
pub(super) const UTILIZATION: f64 = 0.9;

/// Rounding errors of sums are smaller, and one more task is more.
const ROUNDING: f64 = 1e-9;

/// Whether `demand` is near enough to what `running` workers carry, each `per_worker`.
pub(super) fn is_within(demand: f64, running: u32, per_worker: f64, tolerances: Tolerances) -> bool {
    let ratio = demand / (per_worker * f64::from(running));
    1.0 - tolerances.down <= ratio && ratio <= 1.0 + tolerances.up
}

/// Workers that carry `demand`.
pub(super) fn workers(demand: f64, per_worker: f64) -> u32 {
    // Saturates; a demand is never negative.
    (demand / per_worker - ROUNDING).ceil() as u32
}

/// Workers recommended. `held` is asked of what runs or starts already, `grown` of what would have to start first;
/// `tasks` wait or run.
pub(super) fn recommend(held: Slots, grown: Slots, tasks: u64, running: u32, limits: &Limits) -> u32 {
    let per_worker = limits.slots() * UTILIZATION;
    // More slots than tasks would be waste, but for those that are about to arrive.
    let bounded = |slots: Slots| {
        let useful = workers(tasks as f64 + slots.rate / UTILIZATION, limits.slots());
        workers(slots.sum(), per_worker).min(useful)
    };
    if running > 0 && is_within(held.sum(), running, per_worker, limits.tolerances) {
        running
    } else if held.sum() > f64::from(running) * per_worker {
        bounded(grown).max(running)
    } else {
        bounded(held).min(running)
    }
}
