//! Order statistics of a handful of numbers.
//!
//! Takes: measured values. Gives: percentiles, minimum/median/maximum, ratios pair by pair, how well two sets can be
//! told apart. Does not: average anything;
//! a mean hides the one slow round that the reader should see.

use serde::Serialize;

/// Smallest, middle and largest of the values of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { min, median, max })
    }
}

/// Nearest-rank percentile: the smallest value that at least `share` (0 to 1) of all values do not exceed. `None`
/// without values.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// `numerators[i] / denominators[i]`: values of one round are divided by each other, so that a machine whose speed
/// drifts from round to round does not blur the ratio.
pub(crate) fn ratios(numerators: &[f64], denominators: &[f64]) -> Vec<f64> {
    numerators.iter().zip(denominators).map(|(numerator, denominator)| numerator / denominator).collect()
}

/// The area under the ROC curve of a guess by the value alone: how probably a random one of `ones` is larger than a
/// random one of `others`, equal ones counted half. 0.5 says nothing, 0 and 1 everything. `None` without values on a
/// side.
pub(crate) fn auc(ones: &[f64], others: &[f64]) -> Option<f64> {
    let (ones, others) = (sorted(ones), sorted(others));
    let pairs = ones.len() as f64 * others.len() as f64;
    let smaller_and_half_of_equal = ones.iter().map(|one| {
        let smaller = others.partition_point(|other| other < one);
        let equal = others[smaller..].partition_point(|other| other <= one);
        smaller as f64 + equal as f64 / 2.0
    });
    (pairs > 0.0).then(|| smaller_and_half_of_equal.sum::<f64>() / pairs)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_an_odd_number_of_values_has_the_middle_one() {
        let spread = Spread::of(&[9.0, 1.0, 4.0]);
        assert_eq!(spread, Some(Spread { min: 1.0, median: 4.0, max: 9.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_of_values_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).map(|spread| spread.median), Some(3.0));
    }

    #[test]
    fn nothing_has_no_statistics() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(100.0));
        assert_eq!(percentile(&values, 0.99), Some(198.0));
        assert_eq!(percentile(&values, 1.0), Some(200.0));
        assert_eq!(percentile(&values, 0.0), Some(1.0));
    }

    #[test]
    fn the_area_says_how_well_two_sets_are_told_apart() {
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), Some(1.0));
        assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]), Some(0.0));
        assert_eq!(auc(&[1.0, 2.0], &[2.0, 1.0]), Some(0.5));
        assert_eq!(auc(&[5.0, 5.0], &[5.0]), Some(0.5));
        assert_eq!(auc(&[1.0, 3.0], &[2.0, 2.0]), Some(0.5));
        assert_eq!(auc(&[], &[2.0]), None);
    }

    #[test]
    fn one_value_is_every_percentile() {
        assert_eq!(percentile(&[7.0], 0.5), Some(7.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
    }
}
