//! How many workers there should be.
//!
//! Takes: the depth of the queues, the limits of the resource, how many workers run, and what the past allows and
//! taught. Gives: a [`Decision`] with its terms and its reason in one sentence. Pure: no clock, no Redis, no processes.
//! Does not: choose which worker goes.
//!
//! The demand is counted in busy slots: what arrives in a second times what a task takes, and what waits times what a
//! task takes over the time left until its latency target. As long as nobody knows what a task takes, each task that
//! waits or runs wants a slot. Paused queues count only what runs. Workers = demand / (concurrency x 90 %), when the
//! demand leaves the band around what runs; never more slots for the backlog than there are tasks. Then, in this order:
//! no growth that would not help (`retryStorm`, `ineffective`, `notStarting`, `mail`), never more than `maxReplicas`,
//! never fewer than `minReplicas`, no faster growth than `behavior.scaleUp` allows, no shrinking before the cool-down
//! is over, nor of what the schedule needs again within it, nor on missing data, nor faster than `behavior.scaleDown`
//! allows, never fewer than what is busy.
//!
//! # Layout
//!
//! - `depth`, `limits`: what is decided on; `terms`, `decision`: what comes out
//! - `demand`: busy slots by queue and priority; `band`: workers for them
//! - `bounds`: one limit after another
//! - `autoscaler`: one pipeline's decisions, with its memory: `history` (recommendations and changes),
//!   `rates` (arrivals and the time of a task), `startup` (of a worker), `guard` (growth that did not help)
//! - `drain`: which workers leave when there are too many
//! - `speed`: the policies of `behavior`
//! - [`trace`]: a recorded series of snapshots, decided again

mod autoscaler;
mod band;
mod bounds;
mod decision;
mod demand;
mod depth;
mod drain;
mod guard;
mod history;
mod limits;
mod rates;
mod speed;
mod startup;
mod terms;
pub mod trace;

pub use autoscaler::Autoscaler;
pub use decision::{Decision, Gap, LimitedBy};
pub(crate) use decision::{FALLBACK, QUEUES};
pub use depth::{Depth, Learnt};
pub use drain::{Drain, Left, Step};
pub use limits::{Limits, MailLimits, Past, Tolerances};
pub use terms::{QueueTerms, Terms};

use crate::crd::autoscaling::AutoscalingMode;

/// Decides. `depths` is `None` when Redis does not answer.
pub fn decide(depths: Option<&[Depth]>, limits: &Limits, running: u32, past: &Past) -> Decision {
    let terms = depths.map(|depths| Terms::of(depths, limits, running, past));
    let recommended = terms.as_ref().map(|terms| terms.recommended);
    let fixed = |desired, explanation| Decision {
        desired,
        recommended: recommended.unwrap_or(desired),
        limited_by: None,
        gap: None,
        explanation,
        terms: terms.clone(),
    };
    match (limits.mode, &terms) {
        (AutoscalingMode::Auto, Some(terms)) => bounds::follow(terms, limits, running, past),
        (AutoscalingMode::Auto, None) => {
            let (desired, explanation) = bounds::blind(limits, running, past);
            Decision { gap: past.fallback.map(|_| Gap::Fallback), ..fixed(desired, explanation) }
        }
        (AutoscalingMode::DryRun, Some(terms)) => {
            let followed = bounds::follow(terms, limits, running, past);
            let explanation = format!(
                "worker.replicas is {}; Auto would have {}: {}",
                limits.replicas, followed.desired, followed.explanation
            );
            Decision { desired: limits.replicas, explanation, ..followed }
        }
        _ => fixed(limits.replicas, format!("worker.replicas is {}", limits.replicas)),
    }
}
