//! `operator local` as a black box: real api, worker, inbox, PostgreSQL and Redis.

mod harness;
mod leaving;
mod neighbours;

use harness::{Local, MINIMAL, send, until};
use rustix::process::Signal;
use std::net::TcpListener;

/// The minimal sample with more fields of the spec.
fn with(fields: &str) -> String {
    let (sample, _page) = MINIMAL.split_once("  signup:").expect("its last field");
    format!("{sample}{fields}")
}

#[tokio::test]
async fn a_signup_becomes_one_mail_whose_link_leads_to_the_api() {
    let local = Local::ready(&with("  task: {delay: 1s}\n"));
    assert_eq!(local.sign_up("alice").await, 200);
    let mail = local.mail("alice").await;
    let text = mail["text"].as_str().expect("a text part");
    assert!(text.contains(&format!("{}/verify_email?", local.url("api"))), "{text}");
    // due, scheduled, retry, active, archived, sent, workers
    let row = ["0", "0", "0", "0", "0", "1", "1"];
    let shown = || local.output().lines().any(|line| line.split_whitespace().eq(row)).then_some(());
    until(shown, || format!("the row {row:?} in:\n{}", local.output()));
    assert_eq!(local.mails("alice").await.len(), 1);
}

#[tokio::test]
async fn what_stands_in_and_what_has_no_effect_is_said() {
    let local = Local::ready(&with("  api: {replicas: 3}\n"));
    let output = local.output();
    for line in [
        "PostgreSQL is started here, empty, because the Secret app-db is not given",
        "Redis is started here, empty, because the Secret app-redis is not given",
        "the inbox takes the mails instead of smtp.example.com",
        "without effect on one machine: api.replicas",
    ] {
        assert!(output.contains(line), "{line} in:\n{output}");
    }
}

#[tokio::test]
async fn an_edit_of_the_delay_is_applied_live_to_new_signups_only() {
    let local = Local::ready(&with("  task: {delay: 1h}\n"));
    assert_eq!(local.sign_up("early").await, 200);
    local.edit(&with("  task: {delay: 0s}\n"));
    local.wait_for("applied: spec.task.delay: 1h -> 0s");
    assert_eq!(local.sign_up("late").await, 200);
    local.mail("late").await;
    assert!(local.mails("early").await.is_empty(), "an early signup keeps its delay");
}

#[tokio::test]
async fn an_edit_of_what_processes_read_at_their_start_is_not_called_applied() {
    let local = Local::ready(&with("  task: {delay: 1h}\n"));
    let edited = with("  task: {delay: 0s}\n");
    local.edit(&edited.replace("{name: app-db}}", "{name: app-db}, maxConnectionsPerPod: 20}"));
    local.wait_for("from a new start on: spec.database.maxConnectionsPerPod: 10 -> 20; what runs keeps the old value");
    local.wait_for("applied: spec.task.delay: 1h -> 0s");
    let output = local.output();
    assert!(!output.contains("applied: spec.database"), "{output}");
}

#[tokio::test]
async fn an_invalid_edit_is_reported_and_kept_out() {
    let local = Local::ready(&with("  task: {delay: 0s}\n"));
    local.edit(&with("  task: {delay: 1e9h, maxRetrys: 3}\n"));
    local.wait_for("the edit is not applied; what ran before runs on");
    let output = local.output();
    assert!(output.contains("spec.task.maxRetrys: is not a known field"), "{output}");
    assert_eq!(local.sign_up("alice").await, 200);
    local.mail("alice").await;
}

#[tokio::test]
async fn a_killed_worker_is_started_again_and_works() {
    let local = Local::ready(&with("  task: {delay: 0s}\n"));
    let [worker] = local.pids("/worker")[..] else { panic!("one worker: {:?}", local.left()) };
    send(worker, Signal::KILL);
    local.wait_for("worker-1 ended (signal: 9 (SIGKILL)) and is started again");
    until(|| local.pids("/worker").first().copied().filter(|again| *again != worker), || "another worker".to_owned());
    assert_eq!(local.sign_up("alice").await, 200);
    local.mail("alice").await;
}

#[tokio::test]
async fn a_killed_redis_is_started_again_and_the_mail_still_comes() {
    let local = Local::ready(&with("  task: {delay: 1s}\n"));
    let [redis] = local.pids("redis-server")[..] else { panic!("one Redis: {:?}", local.left()) };
    assert_eq!(local.sign_up("alice").await, 200);
    send(redis, Signal::KILL);
    local.wait_for("Redis ended and was started again");
    local.mail("alice").await;
}

#[tokio::test]
async fn an_edit_of_the_worker_count_starts_and_stops_workers() {
    let off = |count: u32| with(&format!("  worker: {{replicas: {count}, autoscaling: {{mode: \"Off\"}}}}\n"));
    let local = Local::ready(&off(1));
    let wait_for_workers = |count: usize| {
        until(|| (local.pids("/worker").len() == count).then_some(()), || format!("{count} workers"));
    };
    local.edit(&off(3));
    local.wait_for("workers: 1 -> 3 (worker.replicas is 3)");
    wait_for_workers(3);
    local.edit(&off(0));
    local.wait_for("workers: 3 -> 0 (worker.replicas is 0)");
    wait_for_workers(0);
}

#[tokio::test]
async fn given_secrets_are_used_and_never_shown() {
    let (postgres, redis) = (servers::postgres(), servers::redis());
    let (database, queue) = (postgres.create_database().expect("a database"), redis.fresh_database());
    let secret = |name: &str, uri: &str| {
        format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{uri: \"{uri}\"}}\n")
    };
    let file =
        format!("{}{}{}", with("  task: {delay: 0s}\n"), secret("app-db", &database), secret("app-redis", &queue));
    let local = Local::ready(&file);
    assert!(local.pids("redis-server").is_empty() && local.pids("/postgres").is_empty(), "{:?}", local.left());
    assert_eq!(local.sign_up("alice").await, 200);
    local.mail("alice").await;
    let other = redis.fresh_database();
    local.edit(&file.replace(&queue, &other));
    local.wait_for("the edit changes where Redis is (the Secrets of spec.redis), which needs a new start");
    let output = local.output();
    for uri in [database, queue, other] {
        let (credentials, _) = uri.rsplit_once('@').expect("it has a password");
        let (_, password) = credentials.rsplit_once(':').expect("it has a password");
        assert!(!output.contains(password), "{output}");
    }
}

#[test]
fn a_taken_address_is_named_with_the_variable_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut local = Local::spawn(MINIMAL, &["--api-addr", &address, "--inbox-addr", &address]);
    assert!(!local.ended().success());
    local.wait_for(&format!("the address {address} for HTTP of api is taken by another program; set API_ADDR="));
    local.wait_for(&format!("the address {address} for the inbox page is taken by another program; set INBOX_ADDR="));
    assert_eq!(local.left(), (vec![], vec![]));
    assert!(!local.output().contains("is started here"), "{}", local.output());
}

#[test]
fn an_invalid_file_is_refused_with_every_mistake() {
    let mut local = Local::spawn(&with("  task: {maxRetries: 500}\n  signup: {passwordMinLength: 3}\n"), &[]);
    assert!(!local.ended().success());
    local.wait_for("spec.task.maxRetries: 500 must be 0 to 100");
    local.wait_for("spec.signup.passwordMinLength: 3 must be 6 to 128");
    assert_eq!(local.left(), (vec![], vec![]));
}

#[test]
fn a_secret_without_the_key_names_the_keys_that_are_there() {
    let secret = "---\n{apiVersion: v1, kind: Secret, metadata: {name: app-db}, stringData: {url: a, password: b}}\n";
    let mut local = Local::spawn(&with(secret), &[]);
    assert!(!local.ended().success());
    local.wait_for(
        "Secret app-db has no key `uri`, which spec.database.secretRef names; add it (keys there: password, url)",
    );
}

#[test]
fn sigterm_ends_everything_in_order_and_leaves_nothing() {
    let mut local = Local::ready(MINIMAL);
    local.signal(Signal::TERM);
    assert!(local.ended().success(), "{}", local.output());
    local.wait_for("stopped; nothing is left");
    assert_eq!(local.left(), (vec![], vec![]));
}

#[test]
fn a_signal_while_it_starts_leaves_nothing() {
    let mut local = Local::spawn(MINIMAL, &[]);
    local.wait_for("PostgreSQL is started here");
    local.signal(Signal::INT);
    assert!(local.ended().success(), "{}", local.output());
    local.wait_until_nothing_is_left();
}

#[test]
fn a_second_signal_ends_what_does_not_end_by_itself() {
    let mut local = Local::ready(MINIMAL);
    let [api] = local.pids("/api")[..] else { panic!("one api: {:?}", local.left()) };
    send(api, Signal::STOP);
    local.signal(Signal::INT);
    local.wait_for("stopping: api, workers");
    local.signal(Signal::INT);
    assert!(local.ended().success(), "{}", local.output());
    assert_eq!(local.left(), (vec![], vec![]));
}

#[test]
fn when_the_operator_is_killed_everything_ends_with_it() {
    let mut local = Local::ready(MINIMAL);
    local.signal(Signal::KILL);
    assert!(!local.ended().success());
    local.wait_until_nothing_is_left();
}
