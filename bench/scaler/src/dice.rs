//! Chances that are the same in each run.
//!
//! Takes: a seed. Gives: numbers of arrivals and times of service. Does not: need secrecy.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    /// Exponentially distributed with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.share().ln()
    }

    /// Arrivals of a Poisson process while `mean` are expected.
    pub(crate) fn arrivals(&mut self, mean: f64) -> usize {
        let (mut count, mut passed) = (0, self.exponential());
        while passed < mean {
            count += 1;
            passed += self.exponential();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_arrive_as_are_expected_and_the_same_in_each_run() {
        let total = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).map(|_| dice.arrivals(3.0)).sum::<usize>()
        };
        // Five standard deviations of a Poisson variable of mean 30 000.
        assert!(total(1).abs_diff(30_000) < 900, "{}", total(1));
        assert_eq!(total(1), total(1));
        assert_ne!(total(1), total(2));
    }
}
