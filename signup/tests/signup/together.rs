//! Leases and accepted mails that are asked for at once: one statement, and each its own answer.
//!
//! What makes them come at once: the first waits for a lock that a test holds, and the others gather behind it.

use crate::fixture::{Fixture, LEASE};
use signup::{LeaseOutcome, Leased, RecordError, State, Store, StoreError};
use sqlx::{Postgres, Transaction};
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

type Asked = JoinHandle<Result<LeaseOutcome, StoreError>>;
type Recorded = JoinHandle<Result<(), RecordError>>;

/// Asks in a task of its own, as everybody who is spawned here before the test awaits something does at once.
fn lease(store: &Store, id: Uuid, owner: &str) -> Asked {
    let (store, owner) = (store.clone(), owner.to_owned());
    tokio::spawn(async move { store.lease(id, &owner, LEASE).await })
}

fn record(store: &Store, id: Uuid, epoch: i64, reply: &str) -> Recorded {
    let (store, reply) = (store.clone(), reply.to_owned());
    tokio::spawn(async move { store.record_sent(id, epoch, &reply).await })
}

async fn outcome(asked: Asked) -> LeaseOutcome {
    asked.await.expect("joined").expect("answered")
}

async fn leased(asked: Asked) -> Box<Leased> {
    match outcome(asked).await {
        LeaseOutcome::Leased(leased) => leased,
        other => panic!("not leased but {other:?}"),
    }
}

impl Fixture {
    async fn owe_all(&self, names: &[&str]) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.sign_up(name).await.intent.id);
        }
        ids
    }

    /// Locks rows of intents until the transaction ends.
    async fn lock(&self, ids: &[Uuid]) -> Transaction<'static, Postgres> {
        let mut work = self.sql.begin().await.expect("begun");
        let locking = sqlx::query("SELECT FROM email_intents WHERE id = ANY($1) FOR UPDATE").bind(ids);
        locking.execute(&mut *work).await.expect("locked");
        work
    }

    /// Makes every lease and every record wait until the transaction ends.
    async fn lock_all(&self) -> Transaction<'static, Postgres> {
        let mut work = self.sql.begin().await.expect("begun");
        sqlx::raw_sql("LOCK TABLE refusals").execute(&mut *work).await.expect("locked");
        work
    }

    /// Waits until a statement for several waits for a lock; its backend.
    async fn backend_of_several(&self) -> i32 {
        let question = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                        AND wait_event_type = 'Lock' AND query LIKE '%unnest($1::uuid[]%'";
        loop {
            if let Some(pid) = sqlx::query_scalar(question).fetch_optional(&self.sql).await.expect("asked") {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many transactions wrote the rows.
    async fn writers(&self, ids: &[Uuid]) -> i64 {
        let counting = "SELECT count(DISTINCT xmin::text) FROM email_intents WHERE id = ANY($1)";
        sqlx::query_scalar(counting).bind(ids).fetch_one(&self.sql).await.expect("counted")
    }
}

#[tokio::test]
async fn i4_those_who_ask_at_once_are_leased_by_one_statement_and_each_gets_its_own_answer() {
    let mut fixture = Fixture::new().await;
    let ids = fixture.owe_all(&["first", "alice", "bobby", "carol", "locked", "linkless"]).await;
    let [first, alice, bobby, carol, locked, linkless] = ids[..] else { unreachable!() };
    let (held, sent) = (fixture.leased("held").await, fixture.leased("sent").await);
    fixture.store.record_sent(sent.intent.id, sent.epoch, "250 ok").await.expect("recorded");
    fixture.policy.delay = Duration::from_secs(3600);
    let delayed = fixture.sign_up("delayed").await.intent.id;
    sqlx::query("DELETE FROM verify_emails WHERE intent_id = $1")
        .bind(linkless)
        .execute(&fixture.sql)
        .await
        .expect("gone");

    let lock = fixture.lock(&[first, locked]).await;
    let ask = |id| lease(&fixture.store, id, &format!("owner of {id}"));
    let [first, locked] = [ask(first), ask(locked)];
    let asked = [bobby, alice, held.intent.id, sent.intent.id, delayed, linkless, Uuid::from_u128(7), carol, carol];
    let [of_bobby, of_alice, of_held, of_sent, of_delayed, of_linkless, of_nobody, one, another] = asked.map(ask);
    for (asked, id) in [(of_bobby, bobby), (of_alice, alice)] {
        let leased = leased(asked).await;
        assert_eq!((leased.intent.id, leased.attempts), (id, 1));
        assert_eq!(leased.email, format!("{}@example.com", leased.intent.username));
        assert_eq!(fixture.value::<String>("lease_owner", id).await, format!("owner of {id}"));
        assert_eq!(fixture.value::<i64>("lease_epoch", id).await, leased.epoch);
    }
    assert_eq!(fixture.writers(&[alice, bobby]).await, 1, "one statement");
    let of_carol = [outcome(one).await, outcome(another).await];
    let leases = of_carol.iter().filter(|outcome| matches!(outcome, LeaseOutcome::Leased(_))).count();
    assert!(leases == 1 && of_carol.iter().any(|outcome| matches!(outcome, LeaseOutcome::Held(_))), "{of_carol:?}");
    assert!(matches!(outcome(of_held).await, LeaseOutcome::Held(_)));
    assert_eq!(outcome(of_sent).await, LeaseOutcome::Settled(State::Sent));
    assert!(matches!(outcome(of_delayed).await, LeaseOutcome::NotDue(_)));
    assert_eq!(outcome(of_linkless).await, LeaseOutcome::LinkMissing);
    assert_eq!(outcome(of_nobody).await, LeaseOutcome::Unknown);
    assert!(!first.is_finished() && !locked.is_finished(), "they wait for the lock, and nobody waits for them");
    lock.rollback().await.expect("unlocked");
    leased(first).await;
    leased(locked).await;
}

#[tokio::test]
async fn i10_of_mails_recorded_at_once_each_is_recorded_under_its_own_lease() {
    let fixture = Fixture::new().await;
    let mut mails = Vec::new();
    for name in ["first", "alice", "bobby", "stale", "later", "again"] {
        mails.push(fixture.leased(name).await);
    }
    let ids: Vec<Uuid> = mails.iter().map(|mail| mail.intent.id).collect();
    fixture.store.record_sent(ids[5], mails[5].epoch, "reply 5").await.expect("recorded");
    let lock = fixture.lock(&[ids[0], ids[4]]).await;
    let epoch = |at: usize| mails[at].epoch - i64::from(at == 3);
    let mut recorded: Vec<_> =
        (0..6).map(|at| record(&fixture.store, ids[at], epoch(at), &format!("reply {at}"))).collect();
    let later = [recorded.remove(4), recorded.remove(0)];
    for (recording, at) in recorded.into_iter().zip([1, 2, 3, 5]) {
        let recording = recording.await.expect("joined");
        match at {
            3 => assert!(matches!(recording, Err(RecordError::Stale)), "{recording:?}"),
            _ => {
                recording.expect("recorded");
                assert_eq!(fixture.state(ids[at]).await, State::Sent, "committed when it is told");
                assert_eq!(fixture.value::<String>("last_reply", ids[at]).await, format!("reply {at}"));
            }
        }
    }
    assert_eq!(fixture.writers(&[ids[1], ids[2], ids[5]]).await, 1, "one statement");
    assert_eq!(fixture.state(ids[3]).await, State::Sending);
    lock.rollback().await.expect("unlocked");
    for (recording, at) in later.into_iter().zip([4, 0]) {
        recording.await.expect("joined").expect("recorded");
        assert_eq!(fixture.value::<String>("last_reply", ids[at]).await, format!("reply {at}"));
    }
    let counting = "SELECT count(*) FROM verify_emails WHERE expired_at <> 'infinity'";
    let started: i64 = sqlx::query_scalar(counting).fetch_one(&fixture.sql).await.expect("counted");
    assert_eq!(started, 5, "links of mails that are out");
}

#[tokio::test]
async fn those_who_have_time_share_a_statement_although_nothing_is_under_way() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe_all(&["alice", "bobby", "carol", "daisy"]).await;
    let time = Duration::from_millis(20);
    let lease = |id: &Uuid| {
        let (store, id) = (fixture.store.clone(), *id);
        tokio::spawn(async move { store.lease_with_others(id, "worker", LEASE, time).await })
    };
    let mut mails = Vec::new();
    for asked in ids.iter().map(lease).collect::<Vec<_>>() {
        mails.push(leased(asked).await);
    }
    assert_eq!(fixture.writers(&ids).await, 1, "one statement");
    let record = |mail: Box<Leased>| {
        let store = fixture.store.clone();
        tokio::spawn(async move { store.record_sent_with_others(mail.intent.id, mail.epoch, "250 ok", time).await })
    };
    for recorded in mails.into_iter().map(record).collect::<Vec<_>>() {
        recorded.await.expect("joined").expect("recorded");
    }
    assert_eq!(fixture.writers(&ids).await, 1, "one statement");
    for id in ids {
        assert_eq!(fixture.state(id).await, State::Sent);
    }
}

#[tokio::test]
async fn who_breaks_a_rule_of_the_table_takes_nobody_along() {
    let fixture = Fixture::new().await;
    fixture.execute("ALTER TABLE email_intents ADD CONSTRAINT broken CHECK (lease_owner <> 'broken')").await;
    let ids = fixture.owe_all(&["first", "alice", "broken", "carol"]).await;
    let lock = fixture.lock(&ids[..1]).await;
    let owners = ["first", "alice", "broken", "carol"];
    let mut asked: Vec<_> = ids.iter().zip(owners).map(|(id, owner)| lease(&fixture.store, *id, owner)).collect();
    let first = asked.remove(0);
    let [alice, broken, carol] = asked.try_into().expect("three");
    assert!(broken.await.expect("joined").is_err());
    assert_eq!([leased(alice).await.intent.id, leased(carol).await.intent.id], [ids[1], ids[3]]);
    lock.rollback().await.expect("unlocked");
    leased(first).await;
}

#[tokio::test]
async fn i7_a_lease_whose_caller_left_amid_the_statement_is_given_back() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe_all(&["first", "alice", "gone"]).await;
    let lock = fixture.lock_all().await;
    let asked: Vec<_> = ids.iter().map(|id| lease(&fixture.store, *id, "worker")).collect();
    fixture.backend_of_several().await;
    asked[2].abort();
    lock.rollback().await.expect("unlocked");
    for asked in asked.into_iter().take(2) {
        leased(asked).await;
    }
    while fixture.value::<i64>("lease_epoch", ids[2]).await == 0 || fixture.state(ids[2]).await == State::Sending {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fixture.value::<i32>("attempts", ids[2]).await, 0, "no attempt was made");
    fixture.lease(ids[2]).await;
}

#[tokio::test]
async fn when_the_backend_is_killed_amid_the_statement_each_is_answered_all_the_same() {
    let fixture = Fixture::new().await;
    let ids = fixture.owe_all(&["first", "alice", "bobby"]).await;
    let kill = async || {
        let killing = sqlx::query("SELECT pg_terminate_backend($1)").bind(fixture.backend_of_several().await);
        killing.execute(&fixture.sql).await.expect("killed");
    };
    let lock = fixture.lock_all().await;
    let asked: Vec<_> = ids.iter().map(|id| lease(&fixture.store, *id, "worker")).collect();
    kill().await;
    lock.rollback().await.expect("unlocked");
    let mut mails = Vec::new();
    for asked in asked {
        mails.push(leased(asked).await);
    }
    let lock = fixture.lock_all().await;
    let record = |mail: &Leased| record(&fixture.store, mail.intent.id, mail.epoch, mail.email.as_str());
    let recorded: Vec<_> = mails.iter().map(|mail| record(mail)).collect();
    kill().await;
    lock.rollback().await.expect("unlocked");
    for (recorded, mail) in recorded.into_iter().zip(mails) {
        recorded.await.expect("joined").expect("recorded");
        assert_eq!(fixture.value::<String>("last_reply", mail.intent.id).await, mail.email);
        assert_eq!(fixture.value::<i32>("attempts", mail.intent.id).await, 1);
    }
}

/// Every mail is asked for by two workers at once, each worker's statements are for many, callers leave at random
/// moments, and a backend is killed now and then. Whatever happens, a lease is of one caller, and a record its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_answers_are_never_mixed_up() {
    const MAILS: usize = 60;
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for number in 0..MAILS {
        ids.push(fixture.sign_up(&format!("user{number}")).await.intent.id);
    }
    let stores = [fixture.store.clone(), crate::fixture::store(&fixture.uri, 4)];
    let mut senders = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        for (number, store) in stores.iter().enumerate() {
            let (store, id, owner) = (store.clone(), *id, format!("worker{number} of mail {at}"));
            let leave = (at % 4 == number).then(|| Duration::from_micros(200 * at as u64));
            senders.push(tokio::spawn(send(store, id, owner, leave)));
        }
    }
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%unnest($1::uuid[]%'
                LIMIT 1";
    for _ in 0..5 {
        sqlx::raw_sql(kill).execute(&fixture.sql).await.expect("killed, if there was one");
    }
    for sender in senders {
        sender.await.expect("no answer was somebody else's");
    }
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM email_intents JOIN verify_emails AS code ON code.intent_id = email_intents.id
         WHERE state <> 'sent' OR last_reply NOT LIKE '250 % of mail ' || substr(email_intents.username, 5)
            OR expired_at = 'infinity'",
    )
    .fetch_one(&fixture.sql)
    .await
    .expect("counted");
    assert_eq!(wrong, 0);
}

/// Asks for a mail until it is sent, by whomever; leaves its first call after a while.
async fn send(store: Store, id: Uuid, owner: String, leave: Option<Duration>) {
    if let Some(after) = leave {
        let _ = tokio::time::timeout(after, store.lease(id, &owner, LEASE)).await;
    }
    loop {
        match store.lease(id, &owner, LEASE).await {
            Ok(LeaseOutcome::Leased(leased)) => {
                assert_eq!(leased.intent.id, id);
                let reply = format!("250 {owner}");
                loop {
                    match store.record_sent(id, leased.epoch, &reply).await {
                        Ok(()) => return,
                        Err(RecordError::Stale) => panic!("nobody else can have the lease of {owner}"),
                        // The backend was killed.
                        Err(RecordError::Unavailable(_)) => {}
                    }
                }
            }
            Ok(LeaseOutcome::Settled(State::Sent)) => return,
            // A call that was left, or whose backend was killed, may have taken it: as if its worker had vanished.
            Ok(LeaseOutcome::Held(_)) => {
                store.end_leases(&owner).await.ok();
            }
            Ok(LeaseOutcome::NotDue(_) | LeaseOutcome::Changing) | Err(_) => {}
            Ok(other) => panic!("{owner}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
