//! The statements through PgBouncer, which lends servers to many clients.

use crate::fixture::{LEASE, keys, new_user, policy, store};
use futures::{StreamExt as _, future::join_all, stream};
use servers::{PgBouncer, PoolMode};
use signup::{LeaseOutcome, State, Store};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::time::Duration;

/// Fewer servers than clients, so that statements of one client meet another server each.
const FEW_SERVERS: &str = "default_pool_size = 3";

/// A pooler before the server of this process, and the URI of an empty database through it.
async fn pooled(mode: PoolMode, more: &'static str) -> (PgBouncer, String) {
    let starting = tokio::task::spawn_blocking(move || {
        let server = servers::postgres();
        let uri = server.create_database().expect("a database");
        let pooler = PgBouncer::start(server, mode, more).expect("PgBouncer starts");
        let through = pooler.before(&uri);
        (pooler, through)
    });
    starting.await.expect("it does not panic")
}

/// Four replicas that start at once, and the life of many mails in each, with every kind of statement.
async fn lives(uri: &str) {
    let replicas = (0..4).map(|replica| {
        // Together as many as PgBouncer has servers by default: one of sessions lends each of them one.
        let store = store(uri, 5);
        tokio::spawn(async move {
            store.migrate().await.expect("migrated");
            assert!(store.schema_ready().await.expect("asked"));
            let lives = (0..40).map(|number| life(&store, format!("user_{replica}_{number}")));
            // Twice as many as have connections, so that none waits for long on a busy machine either.
            stream::iter(lives).buffer_unordered(8).collect::<()>().await;
            store.ping().await.expect("a sign of life");
            store
        })
    });
    let stores = join_all(replicas.collect::<Vec<_>>()).await;
    let store = stores.into_iter().map(|store| store.expect("no replica fails")).next().expect("four replicas");
    let counts = store.counts().await.expect("counted");
    assert_eq!((counts.by_state[&State::Sent], counts.by_state[&State::Dispatched]), (80, 80), "{counts:?}");
}

async fn life(store: &Store, username: String) {
    let (policy, keys) = (policy(), keys(b'k'));
    let new = new_user(&username, &format!("{username}@example.com"));
    let created = store.create_user(&new, &policy, &keys).await.expect("signed up");
    assert!(store.create_user(&new, &policy, &keys).await.is_err(), "the name is taken");
    let claim = store.claim_waiting(5, Duration::ZERO).await.expect("claimed");
    claim.dispatched("redis-1").await.expect("marked");
    let LeaseOutcome::Leased(leased) = store.lease(created.intent.id, "worker", LEASE).await.expect("asked") else {
        panic!("owed, due and free")
    };
    if username.ends_with(['0', '2', '4', '6', '8']) {
        store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("recorded");
        let code = keys.code(&leased.key_id, leased.intent.id).expect("the key");
        store.verify_email(leased.email_id, code.as_str()).await.expect("verified");
    } else {
        let later = Duration::from_secs(60);
        store.record_retry(leased.intent.id, leased.epoch, "transient", "", true, later).await.expect("recorded");
    }
}

/// As somebody's application wants its transactions.
async fn make_serializable(uri: &str) {
    let mut connection = PgConnection::connect(uri).await.expect("a connection");
    let altering = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
                                               current_database()); END $$";
    connection.execute(altering).await.expect("altered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_transactions_are_serializable_fails_nobody_straight_or_through_a_pooler() {
    let uris = tokio::task::spawn_blocking(|| [(); 2].map(|()| servers::postgres().create_database().expect("one")));
    let [straight, behind] = uris.await.expect("it does not panic");
    for uri in [&straight, &behind] {
        make_serializable(uri).await;
    }
    lives(&straight).await;
    let pooler = PgBouncer::start(servers::postgres(), PoolMode::Transaction, FEW_SERVERS).expect("PgBouncer starts");
    lives(&pooler.before(&behind)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_runs_through_a_pooler_that_lends_a_server_for_a_transaction() {
    let (pooler, uri) = pooled(PoolMode::Transaction, FEW_SERVERS).await;
    lives(&uri).await;
    let log = pooler.log();
    let refused = log.lines().filter(|line| line.contains("closing because: unsupported startup parameter")).count();
    assert!((1..=8).contains(&refused), "the first connections alone ask: {refused} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_runs_through_a_pooler_that_lends_a_server_for_a_session() {
    let (_pooler, uri) = pooled(PoolMode::Session, "").await;
    lives(&uri).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_takes_parameters_and_drops_them_is_found_out() {
    let more = "default_pool_size = 3\nignore_startup_parameters = options, extra_float_digits";
    let (_pooler, uri) = pooled(PoolMode::Transaction, more).await;
    lives(&uri).await;
}
