//! Another application in the same database: what is its own stays as it is, and what it does finds our tables.

use crate::fixture::{ANOTHER_APPLICATION, Fixture, LEASE, new_user};
use pipeline::Unready;
use servers::postgres;
use signup::{State, Store};
use sqlx::{Connection as _, PgConnection, migrate::Migrator};
use std::path::Path;

const SCHEMA: &str = "\"Sign-Up\"";

#[tokio::test]
async fn the_thread_of_a_signup_leaves_the_neighbours_schema_as_it_is() {
    let fixture = Fixture::without_schema().await;
    let before = fixture.everything("public").await;
    assert!(before.iter().any(|line| line.starts_with("users: ") && line.contains("a@example.com")), "{before:?}");
    fixture.store.migrate().await.expect("beside it");
    let leased = fixture.leased("alice").await;
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("recorded");
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
    assert_eq!(fixture.state(leased.intent.id).await, State::Sent);
    assert_eq!(fixture.everything("public").await, before);
}

#[tokio::test]
async fn a_session_with_another_search_path_fires_our_triggers() {
    let fixture = Fixture::new().await;
    let (gone, moved) = (fixture.sign_up("gone").await.intent.id, fixture.sign_up("moved").await.intent.id);
    let mut session = PgConnection::connect(&fixture.uri).await.expect("the neighbour's own path");
    sqlx::raw_sql(
        "DELETE FROM \"Sign-Up\".users WHERE username = 'gone';
         UPDATE \"Sign-Up\".users SET email = 'new@example.com' WHERE username = 'moved';
         INSERT INTO \"Sign-Up\".users (username, hashed_password, full_name, email)
         VALUES ('go', '$2a$10$x', 'Go', 'Go <Go@Example.com>')",
    )
    .execute(&mut session)
    .await
    .expect("the triggers find their tables");
    for id in [gone, moved] {
        assert_eq!(fixture.state(id).await, State::Cancelled);
    }
    let taken = fixture.store.create_user(&new_user("other", "go@example.com"), &fixture.policy, &fixture.keys).await;
    assert!(matches!(taken, Err(signup::CreateError::EmailTaken)), "{taken:?}");
}

#[tokio::test]
async fn a_role_whose_search_path_leads_elsewhere_is_served_all_the_same() {
    let fixture = Fixture::without_schema().await;
    let store = fixture.store_of("wanderer").await;
    fixture.execute("ALTER ROLE wanderer SET search_path = nowhere").await;
    let Unready::Forbidden { what, needs } = store.migrate().await.expect_err("refused").unready() else {
        panic!("it may make a schema")
    };
    assert_eq!(what, format!("make the schema {SCHEMA}"));
    let (grant, _) = needs.split_once(", or ").expect("two ways");
    let (_, database) = fixture.uri.rsplit_once('/').expect("a database");
    fixture.execute(&grant.replace("<database>", database).replace("<role>", "wanderer")).await;
    store.migrate().await.expect("it may now");
    let created = store.create_user(&new_user("alice", "a@example.com"), &fixture.policy, &fixture.keys).await;
    store.lease(created.expect("a user").intent.id, "worker", LEASE).await.expect("a lease");
    let elsewhere = store.in_schema(None).migrate().await.expect_err("the path leads nowhere").unready();
    assert!(elsewhere.to_string().contains("may not use a schema of its search_path"), "{elsewhere}");
}

#[tokio::test]
async fn migrations_that_somebody_applies_with_a_search_path_are_found() {
    let fixture = Fixture::with_schema_alone().await;
    assert!(!fixture.store.schema_ready().await.expect("asked"));
    // What `sqlx migrate run` does.
    let migrator = Migrator::new(Path::new("../migrations")).await.expect("the files");
    migrator.run(&fixture.sql).await.expect("applied");
    assert!(fixture.store.schema_ready().await.expect("asked"));
    fixture.leased("alice").await;
    fixture.store.migrate().await.expect("nothing is left to do");
}

#[tokio::test]
async fn two_pipelines_share_a_database_each_in_its_own_schema() {
    let fixture = Fixture::new().await;
    let other = fixture.another_store().in_schema(Some("other"));
    other.migrate().await.expect("beside the first");
    fixture.sign_up("alice").await;
    let created = other.create_user(&new_user("alice", "alice@example.com"), &fixture.policy, &fixture.keys).await;
    assert!(created.is_ok(), "{created:?}");
    assert_eq!(other.counts().await.expect("counted").by_state[&State::Waiting], 1);
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_told_by_its_encoding() {
    let uri = postgres().create_database().expect("a database");
    let (server, name) = uri.rsplit_once('/').expect("a URI");
    let mut session = PgConnection::connect(&format!("{server}/postgres")).await.expect("a connection");
    let make = format!("CREATE DATABASE {name}_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut session).await.expect("a database");
    let store = Store::connect(&format!("{server}/{name}_latin"), None, 2).expect("a URI");
    assert_eq!(store.migrate().await.expect_err("refused").unready(), Unready::Encoding("LATIN1".to_owned()));
}

#[tokio::test]
async fn a_neighbour_that_takes_the_place_itself_is_told() {
    let fixture = Fixture::without_schema().await;
    fixture.execute(&format!("CREATE SCHEMA {SCHEMA}; {ANOTHER_APPLICATION}")).await;
    let error = fixture.store.migrate().await.expect_err("taken");
    assert!(matches!(error.unready(), Unready::Foreign(_)));
    let in_public = fixture.another_store().in_schema(None).migrate().await.expect_err("taken as well");
    assert!(matches!(in_public.unready(), Unready::Foreign(_)));
}
