//! When permanent verdicts are the mail server's state and no news about mailboxes.

use crate::fixture::{Fixture, new_user};
use signup::{Ground, Leased, RefusalOutcome, State};
use std::time::Duration;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

impl Fixture {
    /// Signs `local` up at `domain` and leases the mail.
    async fn leased_at(&self, local: &str, domain: &str) -> Leased {
        let new = new_user(local, &format!("{local}@{domain}"));
        let created = self.store.create_user(&new, &self.policy, &self.keys).await.expect("a new user");
        self.lease(created.intent.id).await
    }

    async fn record(&self, leased: &Leased, ground: Ground) -> RefusalOutcome {
        let id = leased.intent.id;
        self.store.record_refused(id, leased.epoch, "permanent", "550 no", ground, HOUR).await.expect("recorded")
    }

    /// A user of that name at that domain is refused.
    async fn refuse(&self, local: &str, domain: &str, ground: Ground) -> (Uuid, RefusalOutcome) {
        let leased = self.leased_at(local, domain).await;
        (leased.intent.id, self.record(&leased, ground).await)
    }

    async fn accept(&self, local: &str, domain: &str) {
        let leased = self.leased_at(local, domain).await;
        self.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("recorded");
    }
}

#[tokio::test]
async fn three_domains_in_a_row_are_owed_again_and_come_back_after_the_wait() {
    let fixture = Fixture::new().await;
    let (one, first) = fixture.refuse("alice", "one.example", Ground::Words).await;
    let (two, second) = fixture.refuse("bob", "two.example", Ground::Words).await;
    assert_eq!((first, second), (RefusalOutcome::Refused, RefusalOutcome::Refused));
    assert_eq!((fixture.state(one).await, fixture.state(two).await), (State::Refused, State::Refused));
    let (three, third) = fixture.refuse("carol", "three.example", Ground::Words).await;
    assert_eq!(third, RefusalOutcome::TakenBack { others: 2 });
    for id in [one, two, three] {
        let waits = "state = 'waiting' AND failures = 0 AND attempts = 1 AND last_reply = '550 no'
                     AND due_at - clock_timestamp() BETWEEN interval '59 minutes' AND interval '61 minutes'";
        assert!(fixture.value::<bool>(waits, id).await);
    }
}

#[tokio::test]
async fn verdicts_with_a_code_for_the_mailbox_need_ten_domains() {
    let fixture = Fixture::new().await;
    for number in 1..=9 {
        let (_, outcome) = fixture.refuse(&format!("user{number}"), &format!("d{number}.example"), Ground::Code).await;
        assert_eq!(outcome, RefusalOutcome::Refused, "{number}");
    }
    let (_, tenth) = fixture.refuse("user10", "d10.example", Ground::Code).await;
    assert_eq!(tenth, RefusalOutcome::TakenBack { others: 9 });
}

#[tokio::test]
async fn two_domains_prove_nothing_however_often_and_in_whatever_case() {
    let fixture = Fixture::new().await;
    for number in 1..=8 {
        let domain = ["one.example", "ONE.Example", "two.example", "Two.EXAMPLE"][number % 4];
        let (id, outcome) = fixture.refuse(&format!("user{number}"), domain, Ground::Words).await;
        assert_eq!((outcome, fixture.state(id).await), (RefusalOutcome::Refused, State::Refused), "{number}");
    }
}

#[tokio::test]
async fn addresses_that_this_side_cannot_write_to_say_nothing_of_the_server() {
    let fixture = Fixture::new().await;
    for number in 1..=12 {
        let (id, outcome) = fixture.refuse(&format!("user{number}"), &format!("d{number}.example"), Ground::Ours).await;
        assert_eq!((outcome, fixture.state(id).await), (RefusalOutcome::Refused, State::Refused), "{number}");
    }
}

#[tokio::test]
async fn an_accepted_mail_ends_the_row_so_that_bad_mailboxes_between_good_ones_stay_refused() {
    let fixture = Fixture::new().await;
    for number in 1..=6 {
        let (id, outcome) = fixture.refuse(&format!("bad{number}"), &format!("d{number}.example"), Ground::Words).await;
        assert_eq!((outcome, fixture.state(id).await), (RefusalOutcome::Refused, State::Refused), "{number}");
        if number % 2 == 0 {
            fixture.accept(&format!("good{number}"), "good.example").await;
        }
    }
}

#[tokio::test]
async fn every_verdict_is_taken_back_until_a_mail_is_accepted_and_then_it_stands() {
    let fixture = Fixture::new().await;
    for number in 1..=3 {
        fixture.refuse(&format!("user{number}"), &format!("d{number}.example"), Ground::Words).await;
    }
    let (_, again) = fixture.refuse("user4", "d1.example", Ground::Code).await;
    assert_eq!(again, RefusalOutcome::TakenBack { others: 0 });
    let (id, _) = fixture.refuse("user5", "d5.example", Ground::Words).await;
    fixture.set("next_attempt_at = clock_timestamp()", id).await;
    assert_eq!(fixture.record(&fixture.lease(id).await, Ground::Words).await, RefusalOutcome::TakenBack { others: 0 });
    fixture.accept("good", "good.example").await;
    fixture.set("next_attempt_at = clock_timestamp()", id).await;
    assert_eq!(fixture.record(&fixture.lease(id).await, Ground::Words).await, RefusalOutcome::Refused);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_taken_back() {
    let fixture = Fixture::new().await;
    let cases = [
        ("moved", "UPDATE users SET email = 'elsewhere@example.com' WHERE username = 'moved'"),
        ("verified", "UPDATE users SET is_email_verified = true WHERE username = 'verified'"),
        ("late", "UPDATE email_intents SET deadline = clock_timestamp() WHERE username = 'late'"),
        ("deleted", "DELETE FROM users WHERE username = 'deleted'"),
    ];
    let mut refused = Vec::new();
    for (number, (username, change)) in cases.into_iter().enumerate() {
        let (id, outcome) = fixture.refuse(username, &format!("d{}.example", number % 2), Ground::Words).await;
        assert_eq!(outcome, RefusalOutcome::Refused, "{username}");
        fixture.execute(change).await;
        refused.push((username, id));
    }
    fixture.refuse("waits", "d0.example", Ground::Words).await;
    fixture.refuse("waits1", "d1.example", Ground::Words).await;
    let (_, last) = fixture.refuse("waits2", "d2.example", Ground::Words).await;
    assert_eq!(last, RefusalOutcome::TakenBack { others: 2 });
    for (username, id) in refused {
        assert_eq!(fixture.state(id).await, State::Refused, "{username}");
    }
}

#[tokio::test]
async fn an_older_mail_is_not_taken_back_when_the_user_asked_for_another_one() {
    let fixture = Fixture::new().await;
    let (older, _) = fixture.refuse("alice", "one.example", Ground::Words).await;
    fixture
        .execute(
            "INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                        deadline, timeout, public_url, link_ttl, message_id, key_id)
             SELECT gen_random_uuid(), kind, username, email, generation + 1, delay, run_at, queue, max_retries,
                    deadline, timeout, public_url, link_ttl, message_id, key_id
             FROM email_intents",
        )
        .await;
    fixture.refuse("bob", "two.example", Ground::Words).await;
    let (_, third) = fixture.refuse("carol", "three.example", Ground::Words).await;
    assert_eq!(third, RefusalOutcome::TakenBack { others: 1 });
    assert_eq!(fixture.state(older).await, State::Refused);
}

/// Another worker's refusals, not committed yet.
const UNCOMMITTED: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(x'7265667573616c73'::bigint);
UPDATE email_intents SET state = 'refused', lease_owner = NULL, lease_until = NULL WHERE username LIKE 'other%';
INSERT INTO refusals SELECT id, false FROM email_intents WHERE username LIKE 'other%'";

#[tokio::test]
async fn workers_that_are_refused_at_once_see_each_other() {
    let fixture = Fixture::new().await;
    fixture.leased_at("other1", "one.example").await;
    fixture.leased_at("other2", "two.example").await;
    let leased = fixture.leased_at("alice", "three.example").await;
    let mut other = fixture.sql.acquire().await.expect("a connection");
    sqlx::raw_sql(UNCOMMITTED).execute(&mut *other).await.expect("refused");
    let (store, id, epoch) = (fixture.store.clone(), leased.intent.id, leased.epoch);
    let refusing = tokio::spawn(async move {
        store.record_refused(id, epoch, "permanent", "550 no", Ground::Words, HOUR).await.expect("recorded")
    });
    let waits =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory')";
    while !refusing.is_finished() {
        if sqlx::query_scalar::<_, bool>(waits).fetch_one(&fixture.sql).await.expect("asked") {
            break;
        }
    }
    sqlx::raw_sql("COMMIT").execute(&mut *other).await.expect("committed");
    assert_eq!(refusing.await.expect("no panic"), RefusalOutcome::TakenBack { others: 2 });
}

/// As many refusals as are remembered, of three domains, of users that are gone.
const REMEMBERED: &str = "
WITH refused AS (
    INSERT INTO email_intents (id, kind, email, generation, state, delay, run_at, queue, max_retries, deadline, timeout,
                               public_url, link_ttl, message_id, key_id)
    SELECT gen_random_uuid(), 'x', 'user@d' || number % 3 || '.example', 1, 'refused', '0', now(), 'critical', 1, now(),
           '1 second', '', '1 hour', '', ''
    FROM generate_series(1, 1000) AS number
    RETURNING id
)
INSERT INTO refusals SELECT id, false FROM refused";

#[tokio::test]
async fn what_is_remembered_is_bounded_and_the_verdict_after_it_is_taken_back_all_the_same() {
    let fixture = Fixture::new().await;
    fixture.execute(REMEMBERED).await;
    let (id, outcome) = fixture.refuse("alice", "four.example", Ground::Words).await;
    assert_eq!((outcome, fixture.state(id).await), (RefusalOutcome::TakenBack { others: 0 }, State::Waiting));
    let remembered = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM refusals").fetch_one(&fixture.sql).await;
    assert_eq!(remembered.expect("asked"), 1000);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_may_be_repeated() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased_at("alice", "one.example").await;
    for _ in 0..5 {
        assert_eq!(fixture.record(&leased, Ground::Words).await, RefusalOutcome::Refused);
    }
    fixture.refuse("bob", "two.example", Ground::Words).await;
    let leased = fixture.leased_at("carol", "three.example").await;
    assert_eq!(fixture.record(&leased, Ground::Words).await, RefusalOutcome::TakenBack { others: 2 });
    assert_eq!(fixture.record(&leased, Ground::Words).await, RefusalOutcome::TakenBack { others: 0 });
}

#[tokio::test]
async fn without_the_table_no_mail_is_leased_that_could_not_be_recorded_as_sent() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice").await;
    fixture.execute("DROP TABLE refusals").await;
    fixture.store.lease(created.intent.id, "worker", HOUR).await.expect_err("the schema is too old");
    assert!(fixture.value::<bool>("state = 'waiting' AND attempts = 0", created.intent.id).await);
}
