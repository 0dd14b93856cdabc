//! Several `api` processes of one pipeline: the limit of signups is that of all of them.

use crate::harness::{Setup, TestApi};
use servers::Redis;
use std::time::Instant;

const PER_MINUTE: usize = 12;
/// With as many a minute, one more may come every so many seconds.
const SECONDS_PER_SIGNUP: u64 = 5;

/// Processes that know of each other.
async fn fleet<const N: usize>(redis: &str) -> [TestApi; N] {
    let apis = std::array::from_fn::<_, N, _>(|_| {
        let mut setup = Setup::new().with(|document| {
            document.signup.per_minute_per_ip = PER_MINUTE as u32;
            document.signup.behind_proxy = true;
        });
        setup.redis = redis.to_owned();
        TestApi::spawn_with(setup)
    });
    let apis = futures::future::join_all(apis).await;
    let apis = <[TestApi; N]>::try_from(apis).ok().expect("as many");
    until_known(&apis, N).await;
    apis
}

async fn until_known(apis: &[TestApi], processes: usize) {
    let line = format!("\nsignup_limit_processes {processes}\n");
    for api in apis {
        api.until("it knows how many they are", async || api.admin("/metrics").await.text.contains(&line)).await;
    }
}

/// How many of `rounds` signups of a client each process admits, all processes at the same time.
async fn admitted(apis: &[TestApi], client: &str, rounds: usize) -> usize {
    let of_one = async |api: &TestApi| {
        let mut count = 0;
        for _ in 0..rounds {
            let name = format!("user_{}", next_number());
            let status = api.signup_through(client, &name).await.status;
            assert!(matches!(status, 200 | 429), "{status}");
            count += usize::from(status == 200);
        }
        count
    };
    futures::future::join_all(apis.iter().map(of_one)).await.into_iter().sum()
}

/// Signs up a client until these processes admitted the limit; gives how many they did. A process that heard of an
/// admission by another since its last own one refuses until the next exchange, so none of them gets there by a number
/// of rounds.
async fn until_all(apis: &[TestApi], client: &str) -> usize {
    let count = std::cell::Cell::new(0);
    apis[0]
        .until("all of the limit", async || {
            count.set(count.get() + admitted(apis, client, 1).await);
            count.get() >= PER_MINUTE
        })
        .await;
    count.get()
}

/// Of a name that no other signup has.
fn next_number() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// As many as the limit lets through since then, and what no process could know of the others in time.
fn most(begun: Instant, processes: usize) -> usize {
    PER_MINUTE + (begun.elapsed().as_secs() / SECONDS_PER_SIGNUP) as usize + processes
}

#[tokio::test]
async fn all_processes_together_admit_the_limit_and_a_client_of_one_of_them_gets_it_all() {
    let apis = fleet::<3>(&servers::redis().fresh_database()).await;
    let begun = Instant::now();
    let count = until_all(&apis, "192.0.2.1").await + admitted(&apis, "192.0.2.1", 3).await;
    assert!(count <= most(begun, 3), "{count}");
    // Without the others' news it would take two minutes.
    until_all(&apis[..1], "192.0.2.2").await;
    assert_eq!(admitted(&apis[1..], "192.0.2.3", 1).await, 2, "others have their own");
}

#[tokio::test]
async fn without_redis_each_process_goes_on_with_its_share_and_a_dead_one_gives_its_share_back() {
    let redis = Redis::start().expect("Redis starts");
    let mut apis = Vec::from(fleet::<3>(&redis.uri(0)).await);
    redis.pause();
    let begun = Instant::now();
    let count = admitted(&apis, "192.0.2.1", PER_MINUTE).await;
    assert!((PER_MINUTE..=most(begun, 0)).contains(&count), "{count}");
    redis.resume();
    // Killed, it takes no leave.
    drop(apis.pop());
    until_known(&apis, 2).await;
    apis[1].terminate();
    until_known(&apis[..1], 1).await;
}
