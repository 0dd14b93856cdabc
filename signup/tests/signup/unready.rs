//! Why the database cannot be used, as real servers answer.

use pipeline::Unready;
use servers::{Authority, PgBouncer, PoolMode, Postgres};
use signup::Store;
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::path::Path;

async fn unready(uri: &str, ca: Option<&Path>) -> Option<Unready> {
    let store = Store::connect(uri, ca, 1).expect("a valid URI");
    store.ping().await.err().map(|error| error.unready())
}

fn database() -> String {
    servers::postgres().create_database().expect("a database")
}

fn with_password(uri: &str, password: &str) -> String {
    let (_, place) = uri.split_once('@').expect("our servers have passwords");
    format!("postgres://postgres:{password}@{place}")
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_credentials() {
    let uri = database();
    assert_eq!(unready(&uri, None).await, None);
    assert_eq!(unready(&with_password(&uri, "wrong"), None).await, Some(Unready::Credentials));
    let nobody = uri.replace("postgres://postgres:", "postgres://nobody:");
    assert_eq!(unready(&nobody, None).await, Some(Unready::Credentials));
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_told_as_such() {
    let uri = database();
    let (server, _) = uri.rsplit_once('/').expect("a URI");
    assert_eq!(unready(&format!("{server}/absent"), None).await, Some(Unready::NoDatabase));
}

#[tokio::test]
async fn nobody_at_the_address_is_silence() {
    assert_eq!(unready("postgres://app:secret@127.0.0.1:1/app", None).await, Some(Unready::Silent));
}

#[tokio::test]
async fn tls_that_is_demanded_of_a_server_without_it_is_not_offered() {
    let uri = database();
    assert_eq!(unready(&format!("{uri}?sslmode=require"), None).await, Some(Unready::TlsNotOffered));
    let authority =
        tokio::task::spawn_blocking(|| Authority::make().expect("openssl")).await.expect("it does not panic");
    assert_eq!(unready(&uri, Some(&authority.ca())).await, Some(Unready::TlsNotOffered), "a CA file demands it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_trusted_by_its_authority_alone_and_may_demand_it() {
    let (ours, other) = (Authority::make().expect("openssl"), Authority::make().expect("openssl"));
    let server = Postgres::start_with_tls(&ours, true).expect("a server of its own");
    let uri = server.create_database().expect("a database");
    assert_eq!(unready(&uri, Some(&ours.ca())).await, None);
    assert_eq!(unready(&uri, Some(&other.ca())).await, Some(Unready::Certificate));
    assert_eq!(unready(&format!("{uri}?sslmode=verify-full"), None).await, Some(Unready::Certificate));
    assert_eq!(unready(&format!("{uri}?sslmode=disable"), None).await, Some(Unready::TlsDemanded));
}

#[tokio::test]
async fn what_a_pooler_refuses_is_told_as_if_it_were_the_server() {
    let uri = database();
    let pooler = PgBouncer::start(servers::postgres(), PoolMode::Statement, "").expect("PgBouncer starts");
    let store = Store::connect(&pooler.before(&uri), None, 1).expect("a valid URI");
    let refused = store.migrate().await.expect_err("it is a transaction");
    assert_eq!(refused.unready(), Unready::StatementPooling, "{refused:?}");
    let (server, _) = uri.rsplit_once('/').expect("a URI");
    let absent = pooler.before(&format!("{server}/absent"));
    assert_eq!(unready(&absent, None).await, Some(Unready::NoDatabase));
    let stranger = with_password(&pooler.before(&uri), "wrong");
    assert_eq!(unready(&stranger, None).await, Some(Unready::Credentials));
}

#[tokio::test]
async fn a_parameter_of_the_uri_that_a_pooler_does_not_know_is_told_as_such() {
    let pooler = PgBouncer::start(servers::postgres(), PoolMode::Transaction, "").expect("PgBouncer starts");
    let uri = pooler.before(&database());
    assert_eq!(unready(&uri, None).await, None);
    let with_options = format!("{uri}?options=-c%20search_path%3Dapp");
    assert_eq!(unready(&with_options, None).await, Some(Unready::ParameterRefused));
}

#[tokio::test]
async fn a_server_without_room_for_another_connection_is_told_as_such() {
    let uri = database();
    let role = "CREATE ROLE narrow LOGIN PASSWORD 'secret' CONNECTION LIMIT 1";
    let mut connection = PgConnection::connect(&uri).await.expect("a connection");
    connection.execute(role).await.expect("a role");
    let narrow = with_password(&uri, "secret").replacen("postgres:secret", "narrow:secret", 1);
    let _held = PgConnection::connect(&narrow).await.expect("there is room for one");
    assert_eq!(unready(&narrow, None).await, Some(Unready::Full));
}

#[tokio::test]
async fn a_pooler_without_room_for_another_connection_is_told_as_such() {
    let uri = database();
    let pooler = PgBouncer::start(servers::postgres(), PoolMode::Transaction, "max_client_conn = 1");
    let through = pooler.as_ref().expect("PgBouncer starts").before(&uri);
    let first = Store::connect(&through, None, 1).expect("a valid URI");
    first.ping().await.expect("there is room for one");
    let second = Store::connect(&through, None, 1).expect("a valid URI").ping().await.expect_err("there is no more");
    assert_eq!(second.unready(), Unready::Full, "{second:?}");
}
