//! The signup page clicked twice, gone back to, and filled in otherwise.

use crate::{
    harness::{CANARY, Setup, TestApi, client::Answer},
    signup_page::{CLIENT, form, key, limited, post, setup},
};
use std::sync::Arc;
use tokio::task::JoinHandle;

#[tokio::test]
async fn a_second_click_is_the_same_signup_and_a_form_that_was_changed_is_another() {
    let api = TestApi::spawn_with(setup()).await;
    let key = format!("&key={}", key(&api.get("/signup").await));
    let first = post(&api, &[], form("alice", &key)).await;
    let second = post(&api, &[], form("alice", &key)).await;
    assert_eq!((first.status, second.status, &first.text), (200, 200, &second.text));
    for (name, address) in [("bobby", "bobby"), ("carol", "other")] {
        let changed = || form(name, &key).replace(&format!("{name}%40"), &format!("{address}%40"));
        let (first, second) = (post(&api, &[], changed()).await, post(&api, &[], changed()).await);
        assert_eq!((first.status, second.status, &first.text), (200, 200, &second.text), "{name}");
    }
    let password = post(&api, &[], form("alice", &key).replace("+secret", "+another")).await;
    assert!(password.status == 409 && password.text.contains("is taken"), "{password:?}");
    let blank = post(&api, &[], form("alice", &key).replace("username=alice", "username=alice+")).await;
    assert_eq!((blank.status, &first.text), (200, &blank.text), "as a phone completes it");
    let other = post(&api, &[], form("alice", "&key=another")).await;
    assert!(other.status == 409 && other.text.contains("is taken"), "{other:?}");
    assert_eq!(api.stored(), (3, 3));
}

#[tokio::test]
async fn a_form_without_a_key_that_can_be_used_leads_to_one_that_has() {
    let api = TestApi::spawn_with(setup()).await;
    for (name, more) in [("alice", ""), ("bobby", "&key=a+b"), ("carol", "&key=")] {
        let page = post(&api, &[], form(name, more)).await;
        assert_eq!(page.status, 200, "{page:?}");
        let again = post(&api, &[], form(name, &format!("&key={}", key(&page)))).await;
        assert!(again.status == 409 && key(&again) == key(&page), "{again:?}");
        for _ in 0..2 {
            let form = format!("email={name}%40{CANARY}.test&key={}", key(&page));
            assert_eq!(api.post_form("/resend_verification", form).await.status, 200, "{more}");
        }
    }
}

/// A click that is under way.
fn click(api: &Arc<TestApi>, key: &str) -> JoinHandle<Answer> {
    let (api, form) = (Arc::clone(api), form("alice", key));
    tokio::spawn(async move { post(&api, &[CLIENT], form).await })
}

/// Both clicks sign up, and show the same page.
async fn both_are_answered_alike(first: JoinHandle<Answer>, second: JoinHandle<Answer>) {
    let (first, second) = (first.await.expect("no panic"), second.await.expect("no panic"));
    assert_eq!((first.status, second.status, first.text), (200, 200, second.text));
}

/// Until a second click has looked whether the first one is over. One that is answered before does not wait for it.
async fn until_it_waits(api: &TestApi, second: &mut JoinHandle<Answer>) {
    let looks = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%AS signup_under_way%'";
    tokio::select! {
        early = second => panic!("it does not wait: {early:?}"),
        () = api.until("the second click waits", async || api.sql(looks) != "0") => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_click_while_the_first_is_under_way_is_answered_as_the_first() {
    let api = Arc::new(TestApi::spawn_with(limited(setup(), 2)).await);
    let (lock, key) = (api.lock_users().await, format!("&key={}", key(&api.get("/signup").await)));
    let first = click(&api, &key);
    api.until_a_signup_waits().await;
    let mut second = click(&api, &key);
    until_it_waits(&api, &mut second).await;
    lock.release();
    both_are_answered_alike(first, second).await;
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_click_after_the_browser_broke_off_the_first_signs_up() {
    // Each click uses one of the two up, however often the second one asks.
    let api = Arc::new(TestApi::spawn_with(limited(setup(), 2)).await);
    let (lock, key) = (api.lock_users().await, format!("&key={}", key(&api.get("/signup").await)));
    let first = click(&api, &key);
    api.until_a_signup_waits().await;
    first.abort();
    // PostgreSQL goes on with the first one, which nobody waits for any more, as long as the table is locked.
    let mut second = click(&api, &key);
    until_it_waits(&api, &mut second).await;
    lock.release();
    let second = second.await.expect("no panic");
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_click_at_another_replica_waits_there_and_counts_once() {
    let database = servers::postgres().create_database().expect("a database");
    let replica = || {
        let setup = Setup::on(database.clone()).with(|document| document.signup.page = true);
        TestApi::spawn_with(limited(setup, 1))
    };
    let (one, other) = tokio::join!(replica(), replica());
    let (one, other) = (Arc::new(one), Arc::new(other));
    let (lock, key) = (one.lock_users().await, format!("&key={}", key(&one.get("/signup").await)));
    let first = click(&one, &key);
    one.until_a_signup_waits().await;
    let mut second = click(&other, &key);
    until_it_waits(&other, &mut second).await;
    lock.release();
    both_are_answered_alike(first, second).await;
    assert_eq!(one.stored(), (1, 1));
}
