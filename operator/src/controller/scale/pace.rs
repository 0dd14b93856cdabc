//! How much of the time is spent on reading queues that may have changed.
//!
//! Takes: when reads of such queues began and what they took. Gives: when a pipeline may be read again. Pure. Does not:
//! hold up a pipeline that was not read in this round: a round is as long as it takes to read each pipeline once, and
//! the rest after it, which is a multiple of what its reads took.

use std::time::{Duration, Instant};

/// The rounds of one kind of reads.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many times longer than its reads the rest of a round is.
    rest: u32,
    round: Option<Round>,
}

#[derive(Debug)]
struct Round {
    began: Instant,
    spent: Duration,
    rests_until: Instant,
}

impl Pace {
    /// Reads take at most one part in `rest + 1` of the time.
    pub(super) fn new(rest: u32) -> Self {
        Self { rest, round: None }
    }

    /// When a pipeline may be read again that was read at that time.
    pub(super) fn after(&self, read: Instant) -> Instant {
        self.round.as_ref().filter(|round| read >= round.began).map_or(read, |round| round.rests_until)
    }

    /// A read began, and took so long.
    pub(super) fn spend(&mut self, began: Instant, took: Duration) {
        let ended = began + took;
        let round = self.round.take().filter(|round| began < round.rests_until);
        let mut round = round.unwrap_or(Round { began, spent: Duration::ZERO, rests_until: ended });
        round.spent += took;
        round.rests_until = round.rests_until.max(ended + round.spent * self.rest);
        self.round = Some(round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_read_rests_for_a_multiple_of_what_all_reads_took_and_who_was_not_does_not() {
        let (mut pace, start) = (Pace::new(9), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let took = Duration::from_millis;
        assert_eq!(pace.after(at(5)), at(5));
        pace.spend(at(10), took(20));
        assert_eq!((pace.after(at(9)), pace.after(at(10))), (at(9), at(210)));
        pace.spend(at(30), took(30));
        assert_eq!((pace.after(at(9)), pace.after(at(10))), (at(9), at(60 + 450)));
        pace.spend(at(100), took(1));
        assert_eq!(pace.after(at(10)), at(101 + 459), "a quick read does not end the rest after long ones");
        pace.spend(at(560), took(10));
        assert_eq!((pace.after(at(100)), pace.after(at(560))), (at(100), at(660)), "the next round");
    }
}
