//! What goes wrong: the mail server, the database, a panic, a stop; what it costs the mail, and what the queue is told.

use super::*;

/// The time of the link has not begun.
const LINK_IS_ENDLESS: &str = "(SELECT expired_at = 'infinity' FROM verify_emails WHERE intent_id = email_intents.id)";

/// The time of the link began a moment ago.
const LINK_LIVES_FROM_NOW: &str =
    "(SELECT expired_at - link_ttl BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp()
      FROM verify_emails WHERE intent_id = email_intents.id)";

#[tokio::test]
async fn i2_and_the_table_of_classes_each_failure_is_recorded_and_told_to_the_queue() {
    let fixture = Fixture::new().await;
    // What happens, class, state afterwards, counted failures, whether the wait is a minute at least.
    let rows = [
        (Rule::new(Phase::Connect, Action::Close), "relay_down", "dispatched", 0, false),
        (Rule::reply(Phase::MailFrom, 421, "busy"), "limited", "dispatched", 0, false),
        (Rule::new(Phase::Rcpt, Action::Close), "relay_down", "dispatched", 0, false),
        (Rule::reply(Phase::MailFrom, 550, "5.7.1 sender"), "misconfigured", "dispatched", 0, false),
        (Rule::reply(Phase::Rcpt, 451, "4.7.1 greylisted"), "transient", "dispatched", 1, true),
        (Rule::reply(Phase::Dot, 452, "4.3.1 full"), "transient", "dispatched", 1, true),
        (Rule::reply(Phase::Rcpt, 550, "5.1.1 unknown"), "permanent", "refused", 0, false),
        (Rule::reply(Phase::Dot, 554, "5.6.0 refused"), "misconfigured", "dispatched", 0, false),
        (Rule::new(Phase::Dot, Action::Close), "unknown", "dispatched", 1, true),
    ];
    for (number, (rule, class, state, failures, waits)) in rows.into_iter().enumerate() {
        let created = fixture.sign_up(&format!("user{number}")).await;
        let id = created.intent.id;
        fixture.inbox.rules([rule.clone()]).expect("a good rule");
        let result = fixture.run(&created).await;
        let recorded = fixture.value("last_class || ' ' || state || ' ' || failures || ' ' || attempts", id).await;
        assert_eq!(recorded, format!("{class} {state} {failures} 1"), "{rule:?}");
        if state == "refused" {
            assert!(matches!(result, Err(TaskError::GiveUp { .. })), "{rule:?}: {result:?}");
            assert!(fixture.value("last_reply", id).await.starts_with('5'), "{rule:?}");
        } else {
            let (after, counted, _) = retry(result);
            assert_eq!(counted, failures == 1, "{rule:?}");
            assert_eq!(after.is_some_and(|after| after >= MINUTE), waits, "{rule:?}: {after:?}");
        }
    }
}

#[tokio::test]
async fn a_mail_server_that_stays_down_never_uses_up_a_retry() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.stop();
    for attempts in 1..=20 {
        assert!(!retry(fixture.run(&created).await).1);
        let recorded = fixture.value("state || ' ' || failures || ' ' || attempts", created.intent.id).await;
        assert_eq!(recorded, format!("dispatched 0 {attempts}"));
        fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    }
    fixture.inbox.start_again().expect("the same port");
    assert_eq!(fixture.run(&created).await, Ok(()));
}

#[tokio::test]
async fn the_last_counted_failure_is_the_end_and_the_queue_archives() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 451, "4.7.1 later")]).expect("a good rule");
    for _ in 0..2 {
        assert!(retry(fixture.run(&created).await).1);
        fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    }
    assert_eq!(fixture.value(LINK_IS_ENDLESS, created.intent.id).await, "true");
    assert!(matches!(fixture.run(&created).await, Err(TaskError::GiveUp { .. })));
    assert_eq!(fixture.value("state || ' ' || attempts", created.intent.id).await, "dead 3");
    assert_eq!(fixture.value(LINK_LIVES_FROM_NOW, created.intent.id).await, "true", "a copy may be out");
}

#[tokio::test]
async fn a_mail_that_is_out_is_sent_though_its_worker_was_given_up_and_its_link_ends() {
    let timing = Timing { extend_every: MINUTE, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    fixture.set("lease_until = clock_timestamp(), max_retries = 0", created.intent.id).await;
    assert_eq!(fixture.store.expire_leases().await.expect("the database answers"), 1);
    assert_eq!(fixture.value("state", created.intent.id).await, "dead");
    fixture.inbox.release("dot");
    assert_eq!(running.await.expect("no panic"), Ok(()));
    assert_eq!(fixture.value("state", created.intent.id).await, "sent");
    assert_eq!(fixture.value(LINK_LIVES_FROM_NOW, created.intent.id).await, "true");
}

#[tokio::test]
async fn a_worker_that_stops_gives_the_lease_back_unless_the_mail_is_out() {
    let fixture = Fixture::new().await;
    for (at, name, expected) in [(Phase::Rcpt, "rcpt", "dispatched 0"), (Phase::Dot, "dot", "sent 1")] {
        let created = fixture.sign_up(name).await;
        fixture.inbox.rules([Rule::new(at, Action::Hold(name.into()))]).expect("a good rule");
        let job = job(task(&created));
        let cancelled = job.cancelled.clone();
        let running = fixture.start(job);
        fixture.inbox.wait_until_held(name, 1, SOON).await.expect("the phase is reached");
        fixture.draining.cancel();
        cancelled.cancel();
        if at == Phase::Dot {
            fixture.inbox.release(name);
        }
        let result = running.await.expect("no panic");
        assert_eq!(result.is_ok(), at == Phase::Dot, "{result:?}");
        assert_eq!(fixture.value("state || ' ' || attempts", created.intent.id).await, expected);
    }
}

#[tokio::test]
async fn a_panic_in_the_dialogue_is_counted_recorded_and_survived() {
    // The breaker chooses a wait at the fifth failure in a row: here, inside the dialogue of the fifth mail.
    let fixture = Fixture::with_breaker(Breaker::new(|_, _| panic!("a fault of the program"))).await;
    fixture.inbox.stop();
    for number in 0..5 {
        let created = fixture.sign_up(&format!("user{number}")).await;
        let (_, counted, cause) = retry(fixture.run(&created).await);
        assert_eq!(counted, number == 4, "{cause}");
        let (class, failures) = if number == 4 { ("internal", 1) } else { ("relay_down", 0) };
        let recorded = fixture.value("last_class || ' ' || state || ' ' || failures", created.intent.id).await;
        assert_eq!(recorded, format!("{class} dispatched {failures}"));
    }
    fixture.inbox.start_again().expect("the same port");
    assert_eq!(fixture.run(&fixture.sign_up("alice1").await).await, Ok(()));
}

#[tokio::test]
async fn a_missing_key_waits_for_the_operator_and_nothing_is_used_up() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.set("key_id = 'deadbeef'", created.intent.id).await;
    let (_, counted, cause) = retry(fixture.run(&created).await);
    assert!(!counted && cause.contains("key"), "{cause}");
    assert_eq!(fixture.value("last_class || ' ' || failures", created.intent.id).await, "misconfigured 0");
}

#[tokio::test]
async fn a_key_that_stays_missing_is_replaced_and_the_new_link_verifies() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.set("key_id = 'deadbeef'", created.intent.id).await;
    retry(fixture.run(&created).await);
    fixture.set("next_attempt_at = NULL", created.intent.id).await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let mail = fixture.inbox.messages().pop().expect("it is sent");
    let text = mail.text.as_deref().expect("it has a text");
    let code = text.split("secret_code=").nth(1).expect("a link").split_whitespace().next().expect("a code");
    let hash = "encode(sha256(convert_to($1, 'UTF8')), 'hex') = encode(secret_hash, 'hex')";
    let known = format!("SELECT {hash} FROM verify_emails WHERE intent_id = $2 AND key_id <> 'deadbeef'");
    let known: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(known))
        .bind(code)
        .bind(created.intent.id)
        .fetch_one(&fixture.sql)
        .await
        .expect("a row");
    assert!(known);
}

#[tokio::test]
async fn i6_a_missing_key_is_waited_for_while_a_copy_may_be_out() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Accepted, Action::Close).times(1)]).expect("a good rule");
    retry(fixture.run(&created).await);
    for _ in 0..2 {
        fixture.set("key_id = 'deadbeef', next_attempt_at = NULL", created.intent.id).await;
        let (_, counted, _) = retry(fixture.run(&created).await);
        assert!(!counted);
    }
    assert_eq!(fixture.value("last_class || ' ' || key_id", created.intent.id).await, "misconfigured deadbeef");
    assert_eq!(fixture.inbox.messages().len(), 1);
}

#[tokio::test]
async fn causes_for_the_queue_hold_no_address_even_if_the_server_repeats_it() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "5.1.1 <alice1@example.com> unknown")]).expect("a good rule");
    let result = fixture.run(&created).await;
    assert_eq!(result, Err(TaskError::GiveUp { cause: "mail server answered 550 5.1.1 at rcpt".into() }));
    assert!(fixture.value("last_reply", created.intent.id).await.contains("alice1@example.com"));
}

#[tokio::test]
async fn a_deleted_user_gets_no_mail_even_if_the_dialogue_has_begun() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Data, Action::Hold("data".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("data", 1, SOON).await.expect("DATA arrives");
    sqlx::query("DELETE FROM users WHERE username = 'alice1'").execute(&fixture.sql).await.expect("deletion works");
    running.await.expect("no panic").expect_err("withheld");
    assert!(fixture.inbox.messages().is_empty());
}

#[tokio::test]
async fn a_mail_that_is_out_is_recorded_when_the_database_comes_back() {
    let mut postgres = servers::Postgres::start().expect("a server of its own");
    let fixture = Fixture::on(&postgres, inbox::Settings::default(), timing(), "").await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    postgres.kill();
    fixture.inbox.release("dot");
    fixture.inbox.wait_for(|_| true, SOON).await.expect("the mail arrives");
    postgres.start_again().expect("the same data");
    assert_eq!(running.await.expect("no panic"), Ok(()));
    until("the record", || async {
        let state = sqlx::query_scalar::<_, String>("SELECT state FROM email_intents").fetch_one(&fixture.sql).await;
        state.is_ok_and(|state| state == "sent")
    })
    .await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_costs_the_mail_nothing() {
    let mut postgres = servers::Postgres::start().expect("a server of its own");
    let fixture = Fixture::on(&postgres, inbox::Settings::default(), timing(), "").await;
    let created = fixture.sign_up("alice1").await;
    postgres.kill();
    let (after, counted, _) = retry(fixture.run(&created).await);
    assert!(!counted && after.is_some_and(|after| after < MINUTE));
    assert_eq!(fixture.inbox.connections(), 0);
}
