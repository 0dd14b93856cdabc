//! How PostgreSQL carries out the statements of which each mail costs two, and one that runs every few seconds.

use super::*;
use crate::batch::Request;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// PostgreSQL plans a statement five times for its values, before it judges whether a plan for any would do.
const FOR_VALUES: i64 = 5;

/// How often the statement that holds a text was planned for its values, and how often it was carried out without.
async fn plans(store: &Store, text: &str) -> (i64, i64) {
    let counting = "SELECT custom_plans, generic_plans FROM pg_prepared_statements
                    WHERE strpos(statement, $1) > 0 AND statement NOT LIKE '%pg_prepared_statements%'";
    sqlx::query_as(counting).bind(text).fetch_one(&store.pool).await.expect("the session is the one that prepared it")
}

/// So many mails that reading all of them costs more than looking ten up.
const MAILS: &str = "
INSERT INTO users (username, hashed_password, full_name, email)
SELECT 'user_' || number, 'none', 'Test User', number || '@example.com' FROM generate_series(1, 2000) AS number;
INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries, deadline, timeout,
                           public_url, link_ttl, message_id, key_id)
SELECT gen_random_uuid(), 'verification', username, email, 1, '0', now(), 'critical', 10, now() + interval '1 day',
       '30 s', 'https://app.example.com', '1 day', username, 'current' FROM users;
INSERT INTO verify_emails (username, email, intent_id, secret_hash)
SELECT username, email, id, '' FROM email_intents;
ANALYZE users, email_intents, verify_emails";

#[tokio::test]
async fn the_statements_of_a_mail_are_not_planned_anew_each_time() {
    let uri = servers::postgres().create_database().expect("a database");
    // One connection for statements.
    let store = Store::connect(&uri, None, 2).expect("a URI");
    store.migrate().await.expect("migrated");
    sqlx::raw_sql(MAILS).execute(&store.pool).await.expect("owed");
    // As in a process that found the database to be its own.
    store.term.store(1, Ordering::Relaxed);
    for round in 0u8..12 {
        // Of as many as come at once where connections to a mail server are few.
        let ids = || (0..2 + round % 3).map(|id| Uuid::from_u128(id.into()));
        let length = Duration::from_secs(60);
        let leases: Vec<_> = ids().map(|id| LeaseRequest { id, owner: "worker".to_owned(), length }).collect();
        assert!(LeaseRequest::together(&store, &leases).await.expect("asked").is_empty());
        let sent: Vec<_> = ids().map(|id| SentRequest { id, epoch: 1, reply: "250 ok".to_owned() }).collect();
        assert!(SentRequest::together(&store, &sent).await.expect("asked").is_empty());
    }
    for id in (0..12).map(Uuid::from_u128) {
        assert_eq!(store.lease(id, "worker", Duration::from_secs(60)).await.expect("asked"), LeaseOutcome::Unknown);
        assert!(store.record_sent(id, 1, "250 ok").await.is_err());
    }
    for text in [
        "AS asked (id, owner, length)",
        "AS asked (id, epoch, reply)",
        "WHERE intent.id = $1 AND intent.kind = 'verification'",
        "WHERE intent.id = $1 AND intent.lease_epoch = $2",
    ] {
        assert_eq!(plans(&store, text).await, (FOR_VALUES, 12 - FOR_VALUES), "{text}");
    }
}

/// Mails that wait, none of them for long.
const WAITING: &str = "
INSERT INTO users (username, hashed_password, full_name, email) VALUES ('alice', 'none', 'Alice', 'alice@example.com');
INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries, deadline, timeout,
                           public_url, link_ttl, message_id, key_id)
SELECT gen_random_uuid(), 'verification', username, email, number, '0', now(), 'critical', 10,
       now() + interval '1 day', '30 s', 'https://app.example.com', '1 day', number, 'current'
FROM users, generate_series(1, 10000) AS number;
ANALYZE email_intents";

#[tokio::test]
async fn the_sweep_is_planned_for_a_thousand_mails_however_many_wait() {
    let uri = servers::postgres().create_database().expect("a database");
    let store = Store::connect(&uri, None, 2).expect("a URI");
    store.migrate().await.expect("migrated");
    sqlx::raw_sql(WAITING).execute(&store.pool).await.expect("owed");
    let sweep = sweeper::BURY_EXPIRED.replace("schema.", "public.").replace("$1", "1000");
    let explain = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN {sweep}")));
    let plan: Vec<String> = explain.fetch_all(&store.pool).await.expect("planned");
    // Without a limit it would expect a third of all, and with more mails read each of them for that.
    let late = plan.iter().find(|line| line.contains("Subquery Scan on late")).expect("what is late is chosen first");
    assert!(late.contains(" rows=1000 "), "{plan:#?}");
}
