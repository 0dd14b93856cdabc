//! Workers that leave a local run: killed amid their work, or because there are too many.

use crate::{
    harness::{Local, send, until},
    with,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A worker extends its leases of 30 s at least every 8 s (in PostgreSQL) or when less than 26 s are left (in Redis).
const MIN_LEASE_LEFT: Duration = Duration::from_secs(21);

fn off(workers: u32, concurrency: u32) -> String {
    let worker = format!("{{replicas: {workers}, concurrency: {concurrency}, autoscaling: {{mode: \"Off\"}}}}");
    with(&format!("  task: {{delay: 0s}}\n  signup: {{perMinutePerIP: 1000}}\n  worker: {worker}\n"))
}

fn wait_for_workers(local: &Local, count: usize) -> Vec<i32> {
    let found = || Some(local.pids("/worker")).filter(|workers| workers.len() == count);
    until(found, || format!("{count} workers:\n{}", local.output()))
}

async fn sign_up(local: &Local, users: usize) {
    for user in 0..users {
        sign_up_one(local, &format!("user{user}")).await;
    }
}

async fn sign_up_one(local: &Local, username: &str) {
    assert_eq!(local.sign_up(username).await, 200);
}

async fn assert_one_mail_each(local: &Local, users: usize) {
    for user in 0..users {
        local.mail(&format!("user{user}")).await;
        assert_eq!(local.mails(&format!("user{user}")).await.len(), 1, "user{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mails_of_a_killed_worker_are_sent_by_another_long_before_their_leases_are_over() {
    const USERS: usize = 100;
    let local = Local::ready(&off(1, 100));
    local.rules(r#"[{"at": "mail_from", "action": {"hold": "amid"}}]"#).await;
    sign_up(&local, USERS).await;
    local.wait_until_held("amid", USERS as u64).await;
    let doomed = wait_for_workers(&local, 1);
    local.edit(&off(2, 100));
    wait_for_workers(&local, 2);
    // Sessions of the killed worker end where they are held; those of the other one are not held.
    local.rules("[]").await;
    send(doomed[0], Signal::KILL);
    let killed = Instant::now();
    assert_one_mail_each(&local, USERS).await;
    assert!(killed.elapsed() < MIN_LEASE_LEFT, "after {:?}:\n{}", killed.elapsed(), local.output());
}

/// Two workers, each amid a mail, of which none shall stay.
async fn two_busy_workers_too_many() -> (Local, Vec<i32>) {
    let local = Local::ready(&off(2, 1));
    let workers = wait_for_workers(&local, 2);
    local.rules(r#"[{"at": "data", "action": {"hold": "long"}, "times": 2}]"#).await;
    sign_up(&local, 2).await;
    local.wait_until_held("long", 2).await;
    local.edit(&off(0, 1));
    local.wait_for("workers: 2 -> 0 (worker.replicas is 0)");
    wait_until_logged(&local, 2, "asked to take no more tasks");
    assert_eq!(local.workers_that_logged("graceful shutdown"), 0, "none is stopped amid its mail");
    (local, workers)
}

fn wait_until_logged(local: &Local, workers: usize, text: &str) {
    let logged = || (local.workers_that_logged(text) == workers).then_some(());
    until(logged, || format!("`{text}` of {workers} workers:\n{}", local.output()));
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_workers_that_are_too_many_are_waited_for_and_no_mail_is_interrupted() {
    let (local, _) = two_busy_workers_too_many().await;
    local.release("long").await;
    wait_for_workers(&local, 0);
    assert_one_mail_each(&local, 2).await;
    assert!(!local.output().contains("WARN"), "{}", local.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_needed_again_before_they_were_idle_go_on() {
    let (local, workers) = two_busy_workers_too_many().await;
    local.edit(&off(2, 1));
    wait_until_logged(&local, 2, "free to take tasks again");
    local.release("long").await;
    sign_up_one(&local, "late").await;
    local.mail("late").await;
    assert_one_mail_each(&local, 2).await;
    assert_eq!(local.pids("/worker"), workers);
    assert_eq!(local.workers_that_logged("graceful shutdown"), 0);
}
