//! What members of a fleet learn of each other.

use super::Fixture;
use crate::{Connection, Exchanged, Fleet};
use std::time::Duration;

const COST: Duration = Duration::from_secs(6);

fn member(fixture: &Fixture) -> Fleet {
    Fleet::new(Connection::open(&fixture.uri, None).unwrap(), "shop/demo")
}

async fn tell(fleet: &Fleet, taken: &[(&str, u32)]) -> Exchanged {
    let taken: Vec<_> = taken.iter().map(|&(whose, count)| (whose.to_owned(), count)).collect();
    fleet.exchange("signups", COST, &taken).await.unwrap()
}

/// Whole seconds, rounded: time goes by between two exchanges.
fn seconds(time: Duration) -> u64 {
    (time + Duration::from_millis(500)).as_secs()
}

fn known(exchanged: &Exchanged) -> Vec<(&str, u64)> {
    exchanged.known.iter().map(|(whose, time)| (&**whose, seconds(*time))).collect()
}

#[tokio::test]
async fn what_all_members_took_adds_up_and_each_learns_it() {
    let fixture = Fixture::new();
    let (first, second) = (member(&fixture), member(&fixture));
    let alone = tell(&first, &[("a", 3), ("b", 1)]).await;
    assert_eq!((alone.members, seconds(alone.told[0]), seconds(alone.told[1])), (1, 18, 6));
    let both = tell(&second, &[("a", 2)]).await;
    assert_eq!((both.members, seconds(both.told[0])), (2, 30));
    assert_eq!(known(&both), [("a", 30), ("b", 6)], "the longest first");
    assert_eq!(known(&tell(&first, &[]).await), [("a", 30), ("b", 6)]);
    let elsewhere = first.exchange("other", COST, &[]).await.unwrap();
    assert_eq!((elsewhere.members, elsewhere.known), (2, Vec::new()));
}

#[tokio::test]
async fn who_leaves_or_dies_is_no_member_and_what_is_paid_off_is_forgotten() {
    let fixture = Fixture::new();
    let (first, second, third) = (member(&fixture), member(&fixture), member(&fixture));
    for fleet in [&first, &second, &third] {
        tell(fleet, &[("a", 1)]).await;
    }
    second.leave().await.unwrap();
    assert_eq!(tell(&first, &[]).await.members, 2);
    // As if the time had come, for both of them.
    for name in ["members", "limit:signups"] {
        let script = "for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
                      redis.call('ZADD', KEYS[1], 1000, entry) end return 1";
        fixture.redis(&["EVAL", script, "1", &format!("asynq:fleet:{{shop/demo}}:{name}")]).await;
    }
    assert_eq!(tell(&first, &[]).await, Exchanged { members: 1, told: Vec::new(), known: Vec::new() });
}

#[tokio::test]
async fn no_more_is_told_than_a_bound() {
    let fixture = Fixture::new();
    let fleet = member(&fixture);
    let many: Vec<_> = (0..Fleet::MAX_ENTRIES + 10).map(|number| (number.to_string(), 1)).collect();
    let told = fleet.exchange("signups", COST, &many).await.unwrap();
    assert_eq!((told.told.len(), told.known.len()), (many.len(), Fleet::MAX_ENTRIES));
}
