//! The number of intents by state is true whatever changed them.

use crate::{
    fixture::{Fixture, LEASE},
    migrations::{apply, sign_up_as_before},
};
use signup::State;
use std::time::Duration;

/// The sum that is kept, and what reading all rows gives.
async fn both(fixture: &Fixture) -> (Vec<(String, i64)>, Vec<(String, i64)>) {
    let kept =
        "SELECT state, sum(change)::bigint FROM email_intent_counts GROUP BY 1 HAVING sum(change) <> 0 ORDER BY 1";
    let read = "SELECT state, count(*) FROM email_intents GROUP BY 1 ORDER BY 1";
    let ask = async |statement| sqlx::query_as(statement).fetch_all(&fixture.sql).await.expect("counted");
    (ask(kept).await, ask(read).await)
}

async fn rows(fixture: &Fixture) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM email_intent_counts").fetch_one(&fixture.sql).await.expect("a number")
}

#[tokio::test]
async fn every_change_of_state_is_counted_and_none_that_was_taken_back() {
    let fixture = Fixture::new().await;
    let sent = fixture.leased("sent").await;
    fixture.store.record_sent(sent.intent.id, sent.epoch, "250 ok").await.expect("sent");
    let lost = fixture.leased("lost").await;
    fixture.let_lease_expire(lost.intent.id).await;
    fixture.store.expire_leases().await.expect("expired");
    fixture.leased("sending").await;
    let claim = fixture.store.claim_waiting(10, Duration::from_secs(60)).await.expect("claimed");
    claim.dispatched("a redis").await.expect("marked");
    fixture.sign_up("gone").await;
    fixture.execute("DELETE FROM users WHERE username = 'gone'").await;
    let mut taken_back = fixture.sql.begin().await.expect("a transaction");
    sqlx::raw_sql(
        "UPDATE email_intents SET state = 'dead' WHERE state = 'dispatched'; DELETE FROM verify_emails;
                   DELETE FROM email_intents WHERE state = 'cancelled'",
    )
    .execute(&mut *taken_back)
    .await
    .expect("changed");
    taken_back.rollback().await.expect("as a crash does");
    let (kept, read) = both(&fixture).await;
    assert_eq!(kept, read);
    assert_eq!(read.len(), 4, "{read:?}");
    fixture.execute("TRUNCATE email_intents CASCADE").await;
    assert_eq!(both(&fixture).await, (vec![], vec![]));
}

#[tokio::test]
async fn many_rows_of_the_sum_become_few_while_signups_and_mails_go_on() {
    let fixture = Fixture::new().await;
    fixture.execute("INSERT INTO email_intent_counts SELECT 'sent', n % 3 - 1 FROM generate_series(1, 300) AS n").await;
    let before = rows(&fixture).await;
    let signups = async {
        for number in 0..20 {
            let leased = fixture.leased(&format!("user{number}")).await;
            fixture.store.extend_lease(leased.intent.id, leased.epoch, LEASE).await.expect("extended");
            fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
        }
    };
    let other = fixture.another_store();
    let adding = async {
        for _ in 0..20 {
            let (one, two) = tokio::join!(fixture.store.add_counts_together(), other.add_counts_together());
            one.and(two).expect("added");
        }
    };
    tokio::join!(signups, adding);
    let (kept, read) = both(&fixture).await;
    assert_eq!(kept, read);
    assert!(before >= 300 && rows(&fixture).await <= 161, "{before}");
    assert_eq!(fixture.store.counts().await.expect("counted").by_state[&State::Sent], 20);
}

#[tokio::test]
async fn counting_reads_no_intent_that_is_over() {
    let fixture = Fixture::new().await;
    fixture.sign_up("owed").await;
    fixture
        .execute(
            "INSERT INTO email_intents (id, kind, email, generation, delay, run_at, queue, max_retries, deadline,
                                        timeout, public_url, link_ttl, message_id, key_id, state, sent_at)
             SELECT gen_random_uuid(), 'verification', '', 1, '0', now() + interval '1 hour', 'critical', 10,
                    now(), '30 s', '', '24 h', '', '', 'sent', now() FROM generate_series(1, 5000);
             ANALYZE email_intents",
        )
        .await;
    let lone = fixture.another_store();
    assert_eq!(lone.counts().await.expect("counted").by_state[&State::Sent], 5000);
    lone.close().await;
    let (_, of_waiting) = fixture.index_reads("email_intents_waiting_idx").await;
    let (others, rows): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                 WHERE indexrelname = 'email_intents_state_idx'),
                (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'email_intents'::regclass)",
    )
    .fetch_one(&fixture.sql)
    .await
    .expect("numbers");
    assert!(of_waiting < 10 && others < 10 && rows < 10, "read {of_waiting}, {others} and {rows} of 5001 rows");
}

#[tokio::test]
async fn a_database_of_the_version_before_is_counted_whole_and_keeps_its_mails() {
    let fixture = Fixture::with_schema_alone().await;
    apply(&fixture, |number| number < 16).await;
    sign_up_as_before(&fixture, "sent", "sent").await;
    sign_up_as_before(&fixture, "owed", "waiting").await;
    apply(&fixture, |number| number >= 16).await;
    // What a replica of that version goes on to write.
    sign_up_as_before(&fixture, "sent_later", "sent").await;
    sign_up_as_before(&fixture, "owed_later", "waiting").await;
    let counts = fixture.store.counts().await.expect("counted");
    assert_eq!((counts.by_state[&State::Sent], counts.by_state[&State::Waiting]), (2, 2));
    assert!(!fixture.store.removes_settled_by_default().await.expect("asked"));
    fixture.store.usable().await.expect("whole");
}
