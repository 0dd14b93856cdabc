//! What clients are told of `signup.perMinutePerIP`: `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After`.

use crate::harness::{Setup, TestApi};

async fn limited(per_minute: u32) -> TestApi {
    TestApi::spawn_with(Setup::new().with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = per_minute;
    }))
    .await
}

#[tokio::test]
async fn each_answer_says_what_is_left_and_the_first_that_is_refused_when_to_come_back() {
    let api = limited(3).await;
    for (left, names) in [(2, "alice"), (1, "alice"), (0, "bobby")] {
        let answer = api.signup_through("192.0.2.1", names).await;
        assert!([200, 409].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), "\"signup\";q=3;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"signup\";r={left};t=")), "{answer:?}");
    }
    let refused = api.signup_through("192.0.2.1", "carol").await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("ratelimit").starts_with("\"signup\";r=0;t="), "{refused:?}");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{refused:?}");
    let other = api.signup_through("192.0.2.2", "carol").await;
    assert!(other.header("ratelimit").starts_with("\"signup\";r=2;"), "{other:?}");
}

#[tokio::test]
async fn who_is_not_limited_is_told_of_no_limit() {
    let api = limited(0).await;
    let answer = api.signup_through("192.0.2.1", "alice").await;
    assert_eq!((answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")), (200, "", ""));
    let api = TestApi::spawn().await;
    let answer = api.signup("alice").await;
    assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "a client on loopback");
}
