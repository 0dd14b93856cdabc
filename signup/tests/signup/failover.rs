//! A name that moves from a primary to its standby while signups go on, and a server that takes no writes.

use crate::fixture::{Fixture, keys, new_user, policy};
use pipeline::Unready;
use servers::Failover;
use signup::{CreateError, Store};
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::spawn_blocking;

/// Signs users up one after the other until told to stop; gives those that were created.
async fn clients(store: Store, client: usize, stop: Arc<AtomicBool>, created: Arc<parking_lot::Mutex<Vec<String>>>) {
    let (policy, keys) = (policy(), keys(b'k'));
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let username = format!("user_{client}_{number}");
        match store.create_user(&new_user(&username, &format!("{username}@example.com")), &policy, &keys).await {
            Ok(one) => {
                created.lock().push(username);
                // On a connection of another kind; what becomes of it is not looked at.
                drop(store.lease(one.intent.id, "worker", Duration::from_secs(60)).await);
            }
            Err(CreateError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signups_follow_a_name_that_moves_and_none_is_lost() {
    let (failover, uri) = spawn_blocking(|| {
        let failover = Failover::start().expect("two servers and a name");
        let uri = failover.create_database().expect("a database");
        (failover, uri)
    })
    .await
    .expect("it does not panic");
    let store = Store::connect(&uri, None, 5).expect("a URI");
    store.migrate().await.expect("migrated");
    let (stop, created) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let load: Vec<_> = (0..4)
        .map(|client| tokio::spawn(clients(store.clone(), client, Arc::clone(&stop), Arc::clone(&created))))
        .collect();
    let until_created = async |number: usize| {
        servers::until("signups go on", Duration::from_secs(30), async || {
            let seen = created.lock().len();
            if seen >= number { Ok(()) } else { Err(format!("{seen} signups")) }
        })
        .await;
    };
    until_created(50).await;

    let failover = Arc::new(failover);
    let blocking = |order: fn(&Failover)| {
        let failover = Arc::clone(&failover);
        spawn_blocking(move || order(&failover))
    };
    blocking(|failover| failover.demote().expect("read only")).await.expect("no panic");
    let before = created.lock().len();
    store.ping().await.expect("alive, and nobody is told that it is not ready for a moment");
    blocking(|failover| failover.promote().expect("promoted and moved")).await.expect("no panic");
    until_created(before + 200).await;
    stop.store(true, Ordering::Relaxed);
    for client in load {
        client.await.expect("no client fails");
    }
    store.ping().await.expect("a sign of life of the new server");

    let new = PgPool::connect(&failover.on_standby(&uri)).await.expect("the new server");
    let kept: Vec<String> = sqlx::query_scalar("SELECT username FROM users").fetch_all(&new).await.expect("users");
    let created = created.lock();
    let lost: Vec<_> = created.iter().filter(|username| !kept.contains(username)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), created.len());
}

#[tokio::test]
async fn a_server_that_takes_no_writes_for_long_is_told_as_such() {
    let fixture = Fixture::new().await;
    let (_, name) = fixture.uri.rsplit_once('/').expect("a URI");
    fixture.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let store = Store::connect(&fixture.uri, None, 2).expect("a URI");
    store.ping().await.expect("a moment without writes is none of its business");
    let refused = store.create_user(&new_user("alice", "alice@example.com"), &fixture.policy, &fixture.keys).await;
    let Err(CreateError::Unavailable(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.unready(), Unready::ReadOnly);
    let told = servers::until("told", Duration::from_secs(30), async || match store.ping().await {
        Ok(()) => Err("alive".to_owned()),
        Err(error) => Ok(error.unready()),
    });
    assert_eq!(told.await, Unready::ReadOnly);
}
