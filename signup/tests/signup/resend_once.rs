//! Requests for another mail under a key: counted once, whatever of the connection to PostgreSQL breaks.

use crate::fixture::{Fixture, store};
use crate::once::once;
use servers::{Cut, Cutter};
use signup::{Admission, AskError, AskedOnce, EmailAddress, Once, Store};

async fn ask(store: &Store, address: &str, once: &Once) -> Result<AskedOnce, AskError> {
    store.ask_for_mail_once(&EmailAddress::parse(address).expect("an address"), once).await
}

fn is_admitted(asked: &Result<AskedOnce, AskError>) -> bool {
    matches!(asked, Ok(AskedOnce::Now(Admission::Admitted)))
}

async fn counted(fixture: &Fixture) -> i64 {
    let counted = "SELECT coalesce(sum(cardinality(made_at)), 0)::bigint FROM email_requests";
    sqlx::query_scalar(counted).fetch_one(&fixture.sql).await.expect("a count")
}

#[tokio::test]
async fn a_key_counts_once_and_is_free_the_moment_a_request_is_answered() {
    let fixture = Fixture::new().await;
    assert!(is_admitted(&ask(&fixture.store, "a@example.com", &once("first")).await));
    for _ in 0..20 {
        let early = ask(&fixture.store, "a@example.com", &once("k")).await.expect("asked");
        assert!(matches!(early, AskedOnce::Now(Admission::After(_))), "{early:?}");
    }
    for address in ["a@example.com", "b@example.com"].repeat(10) {
        let before = ask(&fixture.store, address, &once("first")).await.expect("asked");
        assert!(matches!(before, AskedOnce::Before(_)), "{before:?}");
    }
    assert_eq!(counted(&fixture).await, 1);
}

#[tokio::test]
async fn keys_of_yesterday_are_forgotten_in_steps_and_are_free_before() {
    let fixture = Fixture::new().await;
    for key in ["a", "b", "c"] {
        assert!(is_admitted(&ask(&fixture.store, &format!("{key}@example.com"), &once(key)).await), "{key}");
    }
    assert_eq!(fixture.store.forget_answers(10).await.expect("swept"), 0);
    fixture.execute("UPDATE resend_keys SET expires_at = now() - interval '1 second'").await;
    assert!(is_admitted(&ask(&fixture.store, "d@example.com", &once("a")).await), "the key is free");
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        forgotten.push(fixture.store.forget_answers(1).await.expect("swept"));
    }
    assert_eq!(forgotten, [1, 1, 0]);
    assert!(matches!(ask(&fixture.store, "d@example.com", &once("a")).await, Ok(AskedOnce::Before(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_connection_breaks_the_same_request_again_is_counted_exactly_once() {
    let fixture = Fixture::new().await;
    let cutter = Cutter::before(&fixture.uri).await.expect("a place before PostgreSQL");
    let each = (0..).flat_map(|number| [Cut::Before(number), Cut::After(number)]);
    for (number, cut) in std::iter::once(Cut::AfterText(b"COMMIT\0")).chain(each).enumerate() {
        // A store of its own, so that the cuts fall on its first statements.
        let store = store(cutter.uri(), 2);
        let (address, key) = (format!("a{number}@example.com"), once(&number.to_string()));
        let before = counted(&fixture).await;
        cutter.cut(cut.clone());
        let first = ask(&store, &address, &key).await;
        if !cutter.has_cut() {
            assert!(is_admitted(&first), "{cut:?}: {first:?}");
            assert!(number > 8, "begin, lock, look, count, keep and commit are cut: {number}");
            break;
        }
        let was_counted = counted(&fixture).await > before;
        match first {
            Ok(_) => assert!(was_counted, "{cut:?}"),
            Err(AskError::OutcomeUnknown(_)) => assert!(was_counted || cut != Cut::AfterText(b"COMMIT\0")),
            Err(error) => assert!(!was_counted, "{cut:?}: {error:?}"),
        }
        let again = loop {
            match ask(&store, &address, &key).await.expect("asked") {
                // PostgreSQL has not noticed yet that the first client is gone.
                AskedOnce::Running => tokio::task::yield_now().await,
                done => break done,
            }
        };
        let expected =
            if was_counted { matches!(again, AskedOnce::Before(_)) } else { is_admitted(&Ok(again.clone())) };
        assert!(expected, "{cut:?}: {again:?}, counted before: {was_counted}");
        assert_eq!(counted(&fixture).await, before + 1, "{cut:?}");
        store.close().await;
    }
}
