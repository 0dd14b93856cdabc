//! How fast the number of workers may change: `worker.autoscaling.behavior`.
//!
//! Takes: the rules of one direction, what runs and what was changed lately. Gives: the bound for now, as the
//! HorizontalPodAutoscaler computes it (autoscaling/v2, `HPAScalingRules`): a policy counts from the number at the
//! start of its period, and percentages are rounded as its floating-point numbers are (`operator/tests/hpa` holds its
//! own answers). Does not: know the queue. Differs in two points: a direction without rules has no bound, and from zero
//! one worker may start whatever the policies are, because a percentage of zero would keep it there (`Disabled` does
//! keep it).

use super::history::{Changes, Periods};
use crate::crd::autoscaling::{PolicySelection, ScalingPolicy, ScalingPolicyType, ScalingRules};
use std::time::{Duration, Instant};

/// What autoscaling/v2 takes for growth without policies: 4 pods or 100 % in 15 s, whichever is more.
const GROWTH: [ScalingPolicy; 2] = [policy(ScalingPolicyType::Pods, 4), policy(ScalingPolicyType::Percent, 100)];

/// What autoscaling/v2 takes for shrinking without policies: 100 % in 15 s.
const SHRINKING: [ScalingPolicy; 1] = [policy(ScalingPolicyType::Percent, 100)];

const fn policy(kind: ScalingPolicyType, value: i32) -> ScalingPolicy {
    ScalingPolicy { kind, value, period_seconds: 15 }
}

/// The most workers that `rules` of growth allow now; never fewer than run.
pub(super) fn most(rules: Option<&ScalingRules>, running: u32, changes: &Changes, now: Instant) -> u32 {
    let Some(rules) = rules else { return u32::MAX };
    let allowed = allowed(rules, &GROWTH, running, changes, now, |before, policy| match policy.kind {
        ScalingPolicyType::Pods => before + value(policy),
        ScalingPolicyType::Percent => (before as f64 * (1.0 + value(policy) as f64 / 100.0)).ceil() as i64,
    });
    match rules.select_policy {
        Some(PolicySelection::Disabled) => running,
        Some(PolicySelection::Min) => allowed.min().map_or(running, whole).max(running).max(1),
        Some(PolicySelection::Max) | None => allowed.max().map_or(running, whole).max(running).max(1),
    }
}

/// The fewest workers that `rules` of shrinking allow now; never more than run.
pub(super) fn fewest(rules: Option<&ScalingRules>, running: u32, changes: &Changes, now: Instant) -> u32 {
    let Some(rules) = rules else { return 0 };
    let allowed = allowed(rules, &SHRINKING, running, changes, now, |before, policy| match policy.kind {
        ScalingPolicyType::Pods => before - value(policy),
        ScalingPolicyType::Percent => (before as f64 * (1.0 - value(policy) as f64 / 100.0)) as i64,
    });
    match rules.select_policy {
        Some(PolicySelection::Disabled) => running,
        Some(PolicySelection::Min) => allowed.max().map_or(running, whole).min(running),
        Some(PolicySelection::Max) | None => allowed.min().map_or(running, whole).min(running),
    }
}

/// The longest periods that the policies of both directions count; changes are kept as long.
pub(super) fn longest(up: Option<&ScalingRules>, down: Option<&ScalingRules>) -> Periods {
    let longest = |rules: Option<&ScalingRules>, defaults: &[ScalingPolicy]| {
        let policies = policies(rules?, defaults).iter();
        let seconds = policies.map(|policy| policy.period_seconds.unsigned_abs()).max()?;
        Some(Duration::from_secs(seconds.into()))
    };
    let kept = Periods::default();
    Periods { up: longest(up, &GROWTH).unwrap_or(kept.up), down: longest(down, &SHRINKING).unwrap_or(kept.down) }
}

fn policies<'a>(rules: &'a ScalingRules, defaults: &'a [ScalingPolicy]) -> &'a [ScalingPolicy] {
    if rules.policies.is_empty() { defaults } else { &rules.policies }
}

/// What each policy allows, from the number of workers at the start of its period.
fn allowed<'a>(
    rules: &'a ScalingRules,
    defaults: &'a [ScalingPolicy],
    running: u32,
    changes: &'a Changes,
    now: Instant,
    bound: impl Fn(i64, &ScalingPolicy) -> i64 + 'a,
) -> impl Iterator<Item = i64> + 'a {
    policies(rules, defaults).iter().map(move |policy| {
        let period = Duration::from_secs(policy.period_seconds.unsigned_abs().into());
        bound(changes.before(period, running, now), policy)
    })
}

fn value(policy: &ScalingPolicy) -> i64 {
    policy.value.into()
}

fn whole(workers: i64) -> u32 {
    u32::try_from(workers.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScalingPolicyType::{Percent, Pods};

    fn rules(select_policy: Option<PolicySelection>, policies: &[(ScalingPolicyType, i32, i32)]) -> ScalingRules {
        let policies = policies.iter();
        let policies = policies.map(|&(kind, value, period_seconds)| ScalingPolicy { kind, value, period_seconds });
        ScalingRules { select_policy, policies: policies.collect(), ..ScalingRules::default() }
    }

    #[test]
    fn growth_without_policies_is_the_horizontal_pod_autoscalers() {
        let (changes, now) = (Changes::default(), Instant::now());
        for (running, allowed) in [(0, 4), (1, 5), (4, 8), (5, 10), (40, 80)] {
            assert_eq!(most(Some(&ScalingRules::default()), running, &changes, now), allowed, "from {running}");
        }
        assert_eq!(most(None, 1, &changes, now), u32::MAX);
    }

    #[test]
    fn shrinking_without_policies_may_remove_all() {
        let (changes, now) = (Changes::default(), Instant::now());
        assert_eq!(fewest(Some(&ScalingRules::default()), 40, &changes, now), 0);
        assert_eq!(fewest(None, 40, &changes, now), 0);
    }

    #[test]
    fn a_policy_counts_from_the_start_of_its_period() {
        let (mut changes, start) = (Changes::default(), Instant::now());
        changes.add(10, 12, Periods::default(), start);
        let rules = rules(None, &[(Pods, 4, 60)]);
        for (second, up, down) in [(0, 14, 6), (59, 14, 6), (60, 16, 8)] {
            let now = start + Duration::from_secs(second);
            assert_eq!(most(Some(&rules), 12, &changes, now), up, "{second} s");
            assert_eq!(fewest(Some(&rules), 12, &changes, now), down, "{second} s");
        }
        changes.add(12, 20, Periods::default(), start + Duration::from_secs(1));
        assert_eq!(most(Some(&rules), 20, &changes, start + Duration::from_secs(2)), 20, "never fewer than run");
    }

    #[test]
    fn the_largest_or_the_smallest_change_counts_or_none_is_allowed() {
        let (changes, now) = (Changes::default(), Instant::now());
        let policies = [(Pods, 1, 15), (Percent, 33, 15)];
        for (selection, up, down) in [
            (None, 14, 6),
            (Some(PolicySelection::Max), 14, 6),
            (Some(PolicySelection::Min), 11, 9),
            (Some(PolicySelection::Disabled), 10, 10),
        ] {
            let rules = rules(selection, &policies);
            assert_eq!(most(Some(&rules), 10, &changes, now), up, "{selection:?}");
            assert_eq!(fewest(Some(&rules), 10, &changes, now), down, "{selection:?}");
        }
    }

    #[test]
    fn a_percentage_does_not_keep_the_workers_at_zero() {
        let (changes, now) = (Changes::default(), Instant::now());
        assert_eq!(most(Some(&rules(None, &[(Percent, 50, 15)])), 0, &changes, now), 1);
        assert_eq!(most(Some(&rules(Some(PolicySelection::Disabled), &[])), 0, &changes, now), 0);
    }
}
