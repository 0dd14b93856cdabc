//! Connections that go from the statement of one mail to that of the next.

use crate::fixture::{Fixture, LEASE, store};
use servers::{Cut, Cutter};
use signup::{LeaseOutcome, Leased, Store};
use std::time::Duration;
use uuid::Uuid;

async fn lease(store: &Store, id: Uuid) -> Box<Leased> {
    match store.lease(id, "worker", LEASE).await.expect("answered") {
        LeaseOutcome::Leased(leased) => leased,
        other => panic!("owed, due and free, but {other:?}"),
    }
}

impl Fixture {
    async fn owe(&self, mails: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for number in 0..mails {
            ids.push(self.sign_up(&format!("user_{number}")).await.intent.id);
        }
        ids
    }

    /// Sessions of everybody but this fixture's own pools.
    async fn sessions(&self, name: &str) -> i64 {
        let counting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = $1";
        sqlx::query_scalar(counting).bind(name).fetch_one(&self.sql).await.expect("counted")
    }

    /// A store whose sessions bear a name.
    fn store_called(&self, name: &str, connections: u32) -> Store {
        store(&format!("{}?application_name={name}", self.uri), connections)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_a_mail_is_one_message_to_postgresql() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe(30).await;
    let cutter = Cutter::before(&fixture.uri).await.expect("a place before PostgreSQL");
    let store = store(cutter.uri(), 5);
    let mut statements = 0;
    for (at, id) in ids.into_iter().enumerate() {
        if at == 5 {
            // From here on the connection is open and the statements are prepared.
            cutter.cut(Cut::Before(usize::MAX));
            statements = 0;
        }
        let leased = lease(&store, id).await;
        store.record_sent(id, leased.epoch, "250 ok").await.expect("recorded");
        statements += 2;
    }
    let messages = cutter.messages();
    // Tested after each statement, by the pool and by the driver, it would be three for one.
    assert!(messages < 2 * statements, "{messages} messages for {statements} statements");
}

#[tokio::test]
async fn a_connection_is_kept_from_nobody_who_waits_for_one() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe(20).await;
    // One connection for statements, one for signs of life.
    let store = store(&fixture.uri, 2);
    let one = async |id: &Uuid| {
        let leased = lease(&store, *id).await;
        store.record_release(*id, leased.epoch).await.expect("by a statement of the pool's");
        let leased = lease(&store, *id).await;
        let mut work = store.extend_lease(*id, leased.epoch, LEASE).await;
        assert!(matches!(work, Ok(true)), "{work:?}");
        work = store.extend_lease(*id, leased.epoch + 1, LEASE).await;
        assert!(matches!(work, Ok(false)), "{work:?}");
        store.record_sent(*id, leased.epoch, "250 ok").await.expect("recorded");
    };
    futures::future::join_all(ids.iter().map(one)).await;
}

#[tokio::test]
async fn a_connection_whose_server_ended_is_found_out_by_one_statement() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe(2).await;
    let store = fixture.store_called("kept", 2);
    let leased = lease(&store, ids[0]).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kept'";
    sqlx::raw_sql(kill).execute(&fixture.sql).await.expect("killed");
    // Whichever statement finds it out fails: whether it was carried out is not known to anybody but PostgreSQL.
    let recorded = store.record_sent(ids[0], leased.epoch, "250 ok").await;
    if recorded.is_err() {
        store.record_sent(ids[0], leased.epoch, "250 ok").await.expect("by another connection");
    }
    lease(&store, ids[1]).await;
}

#[tokio::test]
async fn none_is_kept_after_the_end() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe(1).await;
    let store = fixture.store_called("ended", 2);
    lease(&store, ids[0]).await;
    tokio::time::timeout(Duration::from_secs(30), store.close()).await.expect("nothing is waited for");
    servers::until("no session is left", Duration::from_secs(30), async || match fixture.sessions("ended").await {
        0 => Ok(()),
        left => Err(format!("{left} sessions")),
    })
    .await;
}

#[test]
fn a_store_may_outlive_the_runtime_that_it_was_used_in() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(async {
        let fixture = Fixture::new().await;
        let ids = fixture.owe(1).await;
        let store = store(&fixture.uri, 2);
        lease(&store, ids[0]).await;
        store
    });
    drop(runtime);
    drop(store);
}
