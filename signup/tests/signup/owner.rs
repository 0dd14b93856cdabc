//! Whose a database is: claimed once, kept from everybody else, handed over by name.

use crate::fixture::{Fixture, LEASE, keys, new_user};
use pipeline::Unready;
use signup::{Claimant, LeaseOutcome, State, Store, StoreError};

/// Pipeline `shop/NAME` of a cluster, made in that second, with the keys of that letter.
fn claimant(name: &str, cluster: &str, second: i64, letter: u8) -> Claimant {
    Claimant {
        pipeline: format!("shop/{name}"),
        namespace_uid: Some(cluster.to_owned()),
        created_at: Some(jiff::Timestamp::from_second(second).expect("a time")),
        take_over_from: None,
        keys: Vec::new(),
    }
    .with_keys(&keys(letter))
}

/// Whose the database is, as whoever may not have it is told.
fn owner(refused: Result<(), StoreError>) -> String {
    match refused.expect_err("it is another's").unready() {
        Unready::Shared(owner) => owner,
        other => panic!("{other:?}"),
    }
}

async fn owners(fixture: &Fixture) -> Vec<(String, Option<String>)> {
    let statement = "SELECT pipeline, namespace_uid FROM pipeline_owner";
    sqlx::query_as(statement).fetch_all(&fixture.sql).await.expect("the table is there")
}

/// As a program of the version before left it: tables and rows, and no owner.
async fn of_the_version_before() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.execute("DROP TABLE pipeline_owner; DELETE FROM _sqlx_migrations WHERE version = 12").await;
    fixture
}

#[tokio::test]
async fn the_first_to_migrate_has_the_database_and_the_second_is_told_whose_it_is() {
    let fixture = Fixture::without_schema().await;
    let (a, b) = (claimant("a", "1", 10, b'k'), claimant("b", "1", 5, b'b'));
    fixture.store.migrate_for(&a).await.expect("it is nobody's");
    let store = fixture.another_store();
    assert_eq!(owner(store.migrate_for(&b).await), "shop/a");
    assert_eq!(owner(store.claim(&b).await), "shop/a");
    assert_eq!(owner(store.demand_ownership(&b).await), "shop/a");
    let namesake = claimant("a", "2", 5, b'k');
    let told = "shop/a of another cluster, or of an earlier namespace of that name";
    assert_eq!(owner(store.claim(&namesake).await), told);
    let made_again = Claimant { created_at: None, ..claimant("a", "1", 99, b'n') };
    fixture.another_store().migrate_for(&made_again).await.expect("deleted and made again, it is the same");
    assert_eq!(owners(&fixture).await, [("shop/a".to_owned(), Some("1".to_owned()))]);
}

#[tokio::test]
async fn of_many_that_start_at_once_one_has_it() {
    let fixture = Fixture::without_schema().await;
    let claims = (0..4).map(|number| {
        let store = fixture.another_store();
        let claimant = claimant(&format!("p{number}"), "1", number, b'k');
        tokio::spawn(async move { store.migrate_for(&claimant).await.is_ok() })
    });
    let mut claimed = 0;
    for claim in claims.collect::<Vec<_>>() {
        claimed += usize::from(claim.await.expect("no panic"));
    }
    assert_eq!(claimed, 1);
}

#[tokio::test]
async fn what_is_refused_changes_nothing_also_where_migrations_are_missing() {
    let fixture = of_the_version_before().await;
    let a = claimant("a", "1", 10, b'k');
    fixture.store.migrate_for(&a).await.expect("it is nobody's");
    let missing =
        "ALTER TABLE email_intents DROP COLUMN claimed_until; DELETE FROM _sqlx_migrations WHERE version = 11";
    fixture.execute(missing).await;
    let before = fixture.everything(&Fixture::schema()).await;
    assert_eq!(owner(fixture.another_store().migrate_for(&claimant("b", "1", 20, b'b')).await), "shop/a");
    assert_eq!(fixture.everything(&Fixture::schema()).await, before);
}

#[tokio::test]
async fn with_migrations_by_hand_the_first_api_claims_with_rights_on_rows_alone() {
    let fixture = of_the_version_before().await;
    let (schema, store) = (Fixture::schema(), fixture.store_of("tenant").await);
    fixture
        .execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO tenant; GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO tenant;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO tenant"
        ))
        .await;
    fixture.store.migrate().await.expect("by hand");
    assert!(store.schema_ready().await.expect("asked"));
    let a = claimant("a", "1", 10, b'k');
    let unclaimed = store.demand_ownership(&a).await.expect_err("nobody claimed it");
    assert_eq!(unclaimed.unready(), Unready::Unclaimed);
    store.claim(&a).await.expect("the new table has the rights of the old ones");
    store.usable().await.expect("all is there");
    store.demand_ownership(&a).await.expect("it is ours");
    assert_eq!(owner(store.claim(&claimant("b", "1", 5, b'b')).await), "shop/a");
}

#[tokio::test]
async fn of_two_that_shared_a_database_the_older_keeps_it_whoever_comes_first() {
    let fixture = of_the_version_before().await;
    let (a, b) = (claimant("a", "1", 10, b'k'), claimant("b", "1", 20, b'b'));
    fixture.sign_up("alice").await;
    let bobby = new_user("bobby", "bobby@example.com");
    fixture.store.create_user(&bobby, &fixture.policy, &keys(b'b')).await.expect("signed up");
    let store = fixture.another_store();
    store.migrate_for(&b).await.expect("it is nobody's yet");
    let stranger = claimant("c", "1", 1, b'c');
    let refused = fixture.another_store().migrate_for(&stranger).await;
    assert_eq!(owner(refused), "shop/b", "older, and none of it is its own");
    fixture.store.migrate_for(&a).await.expect("it is older, and the first mails are its own");
    assert_eq!(owner(store.demand_ownership(&b).await), "shop/a");
    assert_eq!(owner(store.migrate_for(&b).await), "shop/a");
}

#[tokio::test]
async fn an_older_pipeline_takes_nothing_from_a_database_that_had_an_owner_from_the_beginning() {
    let fixture = Fixture::without_schema().await;
    fixture.store.migrate_for(&claimant("a", "1", 20, b'k')).await.expect("it is nobody's");
    fixture.sign_up("alice").await;
    let same_keys = claimant("b", "1", 10, b'k');
    assert_eq!(owner(fixture.another_store().migrate_for(&same_keys).await), "shop/a");
}

#[tokio::test]
async fn a_namespace_that_was_not_known_is_written_down_when_it_is() {
    let fixture = Fixture::without_schema().await;
    let known = claimant("a", "1", 10, b'k');
    let unknown = Claimant { namespace_uid: None, created_at: None, ..known.clone() };
    for claimant in [&unknown, &known, &unknown] {
        fixture.store.migrate_for(claimant).await.expect("it is its own");
    }
    assert_eq!(owners(&fixture).await, [("shop/a".to_owned(), Some("1".to_owned()))]);
    assert_eq!(owner(fixture.store.claim(&claimant("a", "2", 10, b'k')).await).split(' ').next(), Some("shop/a"));
}

#[tokio::test]
async fn whoever_handed_the_database_over_leases_nothing_before_it_knows() {
    let fixture = Fixture::without_schema().await;
    let (a, b) = (claimant("a", "1", 10, b'k'), claimant("b", "2", 20, b'k'));
    fixture.store.migrate_for(&a).await.expect("it is nobody's");
    let owed = fixture.sign_up("alice").await.intent.id;
    let successor = fixture.another_store();
    let from = |name: &str| Claimant { take_over_from: Some(name.to_owned()), ..b.clone() };
    assert_eq!(owner(successor.claim(&from("shop/x")).await), "shop/a", "another one is named");
    successor.claim(&from("shop/a")).await.expect("it is handed over");
    let leased = |store: &Store| {
        let store = store.clone();
        async move { matches!(store.lease(owed, "worker", LEASE).await.expect("asked"), LeaseOutcome::Leased(_)) }
    };
    assert!(!leased(&fixture.store).await, "its term is over");
    assert!(leased(&successor).await);
    assert_eq!(owner(fixture.store.demand_ownership(&a).await), "shop/b");
    successor.claim(&b).await.expect("the field is taken away, and the database stays");
}

/// The line of docs/deploying.md that cancels what a copy owes.
fn cancelling() -> &'static str {
    let page = include_str!("../../../docs/deploying.md");
    let (_, statement) = page.split_once("psql \"$COPY_URI\" -c \"").expect("the line is there");
    statement.split('"').next().expect("it ends")
}

#[tokio::test]
async fn a_copy_whose_mails_were_cancelled_as_the_page_says_is_handed_over_and_owes_none() {
    let fixture = Fixture::without_schema().await;
    let (a, b) = (claimant("a", "1", 10, b'k'), claimant("a", "2", 20, b'k'));
    fixture.store.migrate_for(&a).await.expect("it is nobody's");
    let waiting = fixture.sign_up("alice").await.intent.id;
    let sending = fixture.leased("bobby").await.intent.id;
    fixture.execute(cancelling()).await;
    for id in [waiting, sending] {
        assert_eq!(fixture.state(id).await, State::Cancelled);
    }
    let store = fixture.another_store();
    store.claim(&Claimant { take_over_from: Some("shop/a".into()), ..b.clone() }).await.expect("its record names it");
    assert!(store.claim_waiting(10, LEASE).await.expect("asked").intents().is_empty());
    assert_eq!(owners(&fixture).await, [("shop/a".to_owned(), Some("2".to_owned()))]);
}
