//! A server that takes so many connections, and what is learnt of it on a clock of the test's own.

use super::*;
use proptest::prelude::*;

/// Opens as often as it may for so long, with a server that takes `limit`. Gives the most open at once and the
/// refusals.
fn play(capacity: &mut Capacity, open: &mut usize, limit: usize, wanted: usize, (from, to): (Instant, Instant)) -> u32 {
    let (mut now, mut refusals) = (from, 0);
    while now < to {
        while *open < wanted && capacity.opens_at(*open, now).is_some_and(|at| at <= now) {
            if *open < limit {
                *open += 1;
                capacity.opened(*open, now);
            } else {
                capacity.refused(*open, now);
                refusals += 1;
            }
        }
        now += Duration::from_millis(100);
    }
    refusals
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn nothing_is_assumed_before_a_refusal() {
    let (capacity, now) = (Capacity::default(), Instant::now());
    assert_eq!((capacity.known(), capacity.opens_at(1_000, now)), (None, Some(now)));
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_openings_ends_at_what_the_server_took() {
    let (mut capacity, now) = (Capacity::default(), Instant::now());
    for open in 1..=3 {
        capacity.opened(open, now);
    }
    // Thirteen others are being opened, and refused one after the other.
    for others in (3..16).rev() {
        capacity.refused(others, now);
    }
    assert_eq!(capacity.known(), Some(3));
    assert!(capacity.opens_at(2, now + MINUTE).is_some_and(|at| at <= now + MINUTE));
    assert_eq!(capacity.opens_at(4, now + MINUTE), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_not_noticed_a_hang_up_loses_no_connection() {
    let (mut capacity, now) = (Capacity::default(), Instant::now());
    (1..=10).for_each(|open| capacity.opened(open, now));
    for _ in 0..3 {
        capacity.refused(9, now);
        assert_eq!(capacity.known(), Some(10));
    }
    let again = capacity.opens_at(9, now).expect("soon");
    assert!(again > now && again <= now + Duration::from_secs(1));
    capacity.opened(10, again);
    assert_eq!(capacity.opens_at(9, again), Some(again));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_fewer_than_before_is_believed_after_a_while() {
    let (mut capacity, mut open, now) = (Capacity::default(), 0, Instant::now());
    play(&mut capacity, &mut open, 10, 16, (now, now + MINUTE));
    assert_eq!((open, capacity.known()), (10, Some(10)));
    open = 4;
    play(&mut capacity, &mut open, 4, 16, (now + MINUTE, now + 2 * MINUTE));
    assert_eq!(capacity.known(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_more_is_found_out_carefully() {
    let (mut capacity, mut open, now) = (Capacity::default(), 0, Instant::now());
    let refusals = play(&mut capacity, &mut open, 3, 16, (now, now + 10 * MINUTE));
    assert_eq!((open, capacity.known()), (3, Some(3)));
    assert!((3..=8).contains(&refusals), "{refusals} tries in ten minutes");
    play(&mut capacity, &mut open, 100, 16, (now + 10 * MINUTE, now + 30 * MINUTE));
    assert_eq!(open, 16);
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_always_tried_again() {
    let (mut capacity, mut now) = (Capacity::default(), Instant::now());
    for _ in 0..100 {
        capacity.refused(0, now);
        assert_eq!(capacity.known(), Some(1));
        let again = capacity.opens_at(0, now).expect("soon");
        assert!(again <= now + Duration::from_secs(1));
        now = again;
    }
}

proptest! {
    #[test]
    fn it_settles_at_the_servers_limit_whatever_that_is(limit in 1usize..40, wanted in 1usize..64) {
        let (mut capacity, mut open, now) = (Capacity::default(), 0, Instant::now());
        play(&mut capacity, &mut open, limit, wanted, (now, now + MINUTE));
        prop_assert_eq!(open, limit.min(wanted));
        prop_assert!(capacity.known().is_none_or(|known| known == limit));
    }
}
