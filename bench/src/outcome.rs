//! All rounds of one row, summed up.
//!
//! Takes: a [`Goal`] and the values of its rounds. Gives: spreads, the ratio to the baseline and whether the target is
//! reached. Does not: print (that is `table`) or measure.

use crate::{
    figure::{Better, Goal, Measured, Target, Unit},
    statistics::{Spread, ratios},
};
use serde::Serialize;

/// One row, as printed and recorded.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) key: &'static str,
    pub(crate) work: &'static str,
    pub(crate) unit: Unit,
    pub(crate) ours: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Spread>,
    /// How many times as good as the baseline, round by round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Spread>,
    pub(crate) target: String,
    /// Judged by the medians; `None` when nothing is to be reached, or a ratio and the baseline was not measured.
    pub(crate) reached: Option<bool>,
    /// Our value of each round, in order.
    pub(crate) ours_by_round: Vec<f64>,
    /// The baseline's value of each round in which it was measured, in order.
    pub(crate) baseline_by_round: Vec<f64>,
}

impl Outcome {
    /// `None` when the row was not measured at all.
    pub(crate) fn of(goal: &Goal, measured: &[Measured]) -> Option<Self> {
        let rounds: Vec<&Measured> = measured.iter().filter(|value| value.key == goal.key).collect();
        let ours: Vec<f64> = rounds.iter().map(|value| value.ours).collect();
        let (paired, baseline): (Vec<f64>, Vec<f64>) =
            rounds.iter().filter_map(|value| Some((value.ours, value.baseline?))).unzip();
        let times = match goal.better {
            Better::Higher => ratios(&paired, &baseline),
            Better::Lower => ratios(&baseline, &paired),
        };
        let spread = Spread::of(&ours)?;
        let ratio = Spread::of(&times);
        let reached = match goal.target {
            Target::AtMost(limit) => Some(spread.median <= limit),
            Target::AtLeast(limit) => Some(spread.median >= limit),
            Target::TimesBaseline(wanted) => ratio.map(|ratio| ratio.median >= wanted),
            Target::Nothing => None,
        };
        Some(Self {
            key: goal.key,
            work: goal.work,
            unit: goal.unit,
            ours: spread,
            baseline: Spread::of(&baseline),
            ratio,
            target: goal.target.show(goal.unit),
            reached,
            ours_by_round: ours,
            baseline_by_round: baseline,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(better: Better, target: Target) -> Goal {
        Goal { key: "row", work: "a row", unit: Unit::PerSecond, better, target }
    }

    #[test]
    fn more_per_second_than_the_baseline_is_a_ratio_above_one() {
        let rounds = [Measured::against("row", 40.0, 10.0), Measured::against("row", 60.0, 12.0)];
        let outcome = Outcome::of(&goal(Better::Higher, Target::TimesBaseline(4.0)), &rounds).expect("measured");
        assert_eq!(outcome.ratio, Some(Spread { min: 4.0, median: 4.5, max: 5.0 }));
        assert_eq!(outcome.reached, Some(true));
    }

    #[test]
    fn less_time_than_the_baseline_is_a_ratio_above_one() {
        let rounds = [Measured::against("row", 2.0, 400.0)];
        let outcome = Outcome::of(&goal(Better::Lower, Target::AtMost(1.9)), &rounds).expect("measured");
        assert_eq!(outcome.ratio.map(|ratio| ratio.median), Some(200.0));
        assert_eq!(outcome.reached, Some(false));
    }

    #[test]
    fn a_baseline_measured_in_one_round_only_is_paired_with_that_round() {
        let rounds = [Measured::alone("row", 30.0), Measured::against("row", 20.0, 100.0)];
        let outcome = Outcome::of(&goal(Better::Lower, Target::AtMost(35.0)), &rounds).expect("measured");
        assert_eq!(outcome.ratio.map(|ratio| ratio.median), Some(5.0));
        assert_eq!(outcome.ours, Spread { min: 20.0, median: 25.0, max: 30.0 });
    }

    #[test]
    fn a_ratio_without_a_baseline_is_neither_reached_nor_missed() {
        let rounds = [Measured::alone("row", 30.0)];
        let outcome = Outcome::of(&goal(Better::Higher, Target::TimesBaseline(4.0)), &rounds).expect("measured");
        assert_eq!(outcome.reached, None);
    }

    #[test]
    fn a_row_that_was_not_measured_has_no_outcome() {
        let other = [Measured::alone("another", 1.0)];
        assert!(Outcome::of(&goal(Better::Higher, Target::AtLeast(1.0)), &other).is_none());
    }
}
