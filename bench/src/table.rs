//! The table people read.
//!
//! Takes: [`Outcome`]s. Gives: a Markdown table, one line a row, that can be pasted into `docs/benchmarks.md`.
//! Does not: leave anything out because it looks bad.

use crate::{outcome::Outcome, statistics::Spread};

const HEADER: &str =
    "| work | ours: median (min - max) | baseline: median (min - max) | times as good | target | reached |
|---|---|---|---|---|---|";

/// The table, ending with a line break.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let lines = outcomes.iter().map(|outcome| {
        let show = |spread: Spread| spread_text(spread, |value| outcome.unit.show(value));
        let baseline = outcome.baseline.map_or("-".to_owned(), show);
        let ratio = outcome.ratio.map_or("-".to_owned(), |ratio| spread_text(ratio, times));
        let reached = match outcome.reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "-",
        };
        let ours = show(outcome.ours);
        format!("| {} | {ours} | {baseline} | {ratio} | {} | {reached} |\n", outcome.work, outcome.target)
    });
    format!("{HEADER}\n{}", lines.collect::<String>())
}

fn spread_text(spread: Spread, show: impl Fn(f64) -> String) -> String {
    format!("{} ({} - {})", show(spread.median), show(spread.min), show(spread.max))
}

fn times(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Better, Goal, Measured, Target, Unit};

    #[test]
    fn a_row_shows_both_sides_the_ratio_and_the_verdict() {
        let unit = Unit::Milliseconds;
        let target = Target::AtMost(2.0);
        let goal = Goal { key: "p50", work: "wait, p50", unit, better: Better::Lower, target };
        let rounds = [Measured::against("p50", 4.0, 400.0), Measured::against("p50", 3.0, 600.0)];
        let outcome = Outcome::of(&goal, &rounds).expect("measured");
        let table = markdown(&[outcome]);
        let row = "| wait, p50 | 3.50 ms (3.00 ms - 4.00 ms) | 500 ms (400 ms - 600 ms) | 150 (100 - 200) \
                   | <= 2 ms | **no** |\n";
        assert!(table.ends_with(row), "{table}");
    }
}
