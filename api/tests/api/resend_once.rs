//! The header `Idempotency-Key` on requests for another mail: one is asked for, however often the request is sent.

use crate::{
    grpc::call,
    harness::{CANARY, Setup, TestApi, client::Answer},
    idempotency::REUSED,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use servers::{Cut, Cutter};
use std::{collections::BTreeSet, sync::Arc};

/// Mails that were asked for, of all addresses.
const COUNTED: &str = "SELECT coalesce(sum(cardinality(made_at)), 0) FROM email_requests";

fn address(name: &str) -> String {
    format!("{name}@{CANARY}.test")
}

async fn resend(api: &TestApi, key: &str, name: &str) -> Answer {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    let body = json!({"email": address(name)}).to_string();
    api.send_with(Method::POST, "/v1/resend_verification", &headers, body).await
}

#[tokio::test]
async fn the_same_request_again_is_answered_alike_and_uses_nothing_up() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    api.sql("UPDATE email_intents SET state = 'sent', sent_at = now() - interval '2 minutes'");
    // The last is the address as somebody else writes it.
    for (key, name) in [("k", "alice"), ("k", "alice"), ("\"k\"", "alice"), ("k", "ALICE")] {
        let answer = resend(&api, key, name).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "{key} {name}");
    }
    assert_eq!(api.sql(COUNTED), "1");
    let owed = "SELECT count(*) FROM email_intents WHERE generation > 1";
    api.until("the mail is owed", async || api.sql(owed) == "1").await;
    assert_eq!(resend(&api, "k", "bobby").await.error(), (422, 3, REUSED.to_owned()));
    assert_eq!(api.sql(COUNTED), "1", "nothing is counted for the other address");
    let stored = api.sql("SELECT * FROM resend_keys");
    assert!(stored.lines().count() == 1 && !stored.contains(CANARY), "{stored}");
    api.sql("UPDATE resend_keys SET expires_at = now()");
    assert_eq!(resend(&api, "k", "alice").await.status, 429, "a day later it is another request");
    api.until("forgotten", async || api.sql("SELECT count(*) FROM resend_keys") == "0").await;
}

#[tokio::test]
async fn what_came_too_early_may_be_sent_again_under_its_key() {
    let api = TestApi::spawn().await;
    assert_eq!(resend(&api, "first", "nobody").await.status, 200);
    for _ in 0..3 {
        let early = resend(&api, "k", "nobody").await;
        assert_eq!(early.error().0, 429);
        assert!(early.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds <= 60), "{early:?}");
    }
    assert_eq!(resend(&api, "a b", "nobody").await.fields(), ["Idempotency-Key"]);
    api.sql("UPDATE email_requests SET made_at = ARRAY[now() - interval '61 seconds']");
    assert_eq!(resend(&api, "k", "nobody").await.status, 200);
    assert_eq!(resend(&api, "first", "nobody").await.status, 200, "as it was answered before");
    assert_eq!(api.sql(COUNTED), "2");
}

#[tokio::test]
async fn while_the_first_is_under_way_the_second_is_told_to_wait() {
    let api = TestApi::spawn().await;
    let lock = api.lock("email_requests").await;
    let (first, (second, signup)) = tokio::join!(resend(&api, "k", "nobody"), async {
        api.until_waited_for("email_requests").await;
        let second = resend(&api, "k", "nobody").await;
        let form = crate::harness::client::form("alice").to_string();
        let signup = api.send_with(Method::POST, "/v1/create_user", &[("idempotency-key", "k")], form).await;
        lock.release();
        (second, signup)
    });
    assert_eq!((second.error().0, second.json()["code"].clone()), (409, json!(10)), "{second:?}");
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(signup.status, 200, "a signup's keys are others: {signup:?}");
    assert_eq!((resend(&api, "k", "nobody").await.status, api.sql(COUNTED).as_str()), (200, "1"));
}

#[tokio::test]
async fn many_at_once_and_on_two_replicas_ask_for_one_mail() {
    let database = servers::postgres().create_database().expect("a database");
    let (one, other) = tokio::join!(
        TestApi::spawn_with(Setup::on(database.clone())),
        TestApi::spawn_with(Setup::on(database.clone()))
    );
    let all = join_all((0..16).map(|number| resend(if number % 2 == 0 { &one } else { &other }, "k", "nobody"))).await;
    let statuses: BTreeSet<u16> = all.iter().map(|answer| answer.status).collect();
    assert!(statuses.contains(&200) && statuses.is_subset(&BTreeSet::from([200, 409])), "{statuses:?}");
    for api in [&one, &other] {
        assert_eq!(resend(api, "k", "nobody").await.status, 200);
    }
    assert_eq!(one.sql(COUNTED), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_is_told_and_asks_for_one_mail() {
    let database = servers::postgres().create_database().expect("a database");
    let cutter = Cutter::before(&database).await.expect("a place before PostgreSQL");
    let api = TestApi::spawn_with(Setup::on(cutter.uri().to_owned())).await;
    cutter.cut(Cut::AfterText(b"COMMIT\0"));
    let lost = resend(&api, "k", "nobody").await;
    assert!(cutter.has_cut());
    let message = "outcome unknown: the mail may have been asked for; \
                   send the same request with the same Idempotency-Key again";
    assert_eq!((lost.error(), lost.header("retry-after")), ((503, 14, message.to_owned()), "1"));
    assert_eq!(resend(&api, "k", "nobody").await.status, 200);
    assert_eq!(resend(&api, "k", "somebody").await.status, 422);
    assert_eq!(api.sql(COUNTED), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_tells_nothing_of_an_address() {
    let setup = Setup::new().with(|document| document.signup.hide_existing_accounts = true);
    let api = TestApi::spawn_with(setup).await;
    for name in ["unverified", "verified", "hidden"] {
        assert_eq!(api.signup(name).await.status, 200);
    }
    api.sql("UPDATE users SET is_email_verified = true WHERE username = 'verified'");
    let mut form = crate::harness::client::form("other");
    form["email"] = address("hidden").into();
    assert_eq!(api.post(form.to_string()).await.status, 200, "a hidden signup with that address");
    let mut seen = BTreeSet::new();
    for name in ["unverified", "verified", "hidden", "nobody"] {
        let mut answers = Vec::new();
        for (key, name) in [(name, name), (name, name), (name, "another"), (&*format!("{name}2"), name)] {
            let answer = resend(&api, key, name).await;
            // How long to wait depends on the time that passed.
            let headers: BTreeSet<String> = answer.headers.keys().map(ToString::to_string).collect();
            answers.push((answer.status, answer.text, headers));
        }
        let row = "SELECT length(key), length(fingerprint), key_id FROM resend_keys ORDER BY expires_at DESC LIMIT 1";
        seen.insert((answers, api.sql(row)));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let statuses: Vec<u16> = seen.first().expect("one").0.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [200, 200, 422, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_holds_over_grpc_as_well() {
    let api = TestApi::spawn().await;
    let asked = |key: &str, name: &str| {
        let (request, metadata) = (json!({"email": address(name)}), json!({"idempotency-key": key}));
        json!({"call": "ResendVerification", "request": request, "metadata": metadata})
    };
    assert_eq!(resend(&api, "k", "nobody").await.status, 200);
    let answers = call(&api, &[asked("k", "nobody"), asked("k", "somebody"), asked("a b", "nobody")]);
    assert_eq!(answers[0], json!({"code": 0, "response": {}}));
    let told = |answer: &Value| (answer["code"].clone(), answer["message"].clone());
    assert_eq!(told(&answers[1]), (json!(3), json!(REUSED)));
    assert_eq!(answers[2]["details"]["field_violations"][0]["field"], "Idempotency-Key");
    assert_eq!(api.sql(COUNTED), "1");
}

/// The key in the form of a page that offers another mail.
async fn form_key(api: &TestApi) -> String {
    let page = api.get("/resend_verification").await;
    let value = page.text.split(r#"name="key" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    value.filter(|key| key.len() == 32).expect("a key of 128 bits").to_owned()
}

async fn press(api: &TestApi, key: &str, name: &str) -> (u16, bool) {
    let page = api.post_form("/resend_verification", format!("email={name}%40{CANARY}.test&key={key}")).await;
    (page.status, page.text.contains("Please look into your inbox"))
}

#[tokio::test]
async fn a_button_pressed_twice_asks_for_one_mail_and_a_minute_later_for_another() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    api.sql("UPDATE email_intents SET state = 'sent', sent_at = now() - interval '2 minutes'");
    let (key, other) = (form_key(&api).await, form_key(&api).await);
    assert_ne!(key, other);
    for _ in 0..3 {
        assert_eq!(press(&api, &key, "alice").await, (200, true));
    }
    assert_eq!(api.sql(COUNTED), "1");
    let owed = "SELECT count(*) FROM email_intents WHERE generation > 1";
    api.until("the mail is owed", async || api.sql(owed) == "1").await;
    assert_eq!(press(&api, &other, "alice").await, (429, false), "from another page");
    for name in ["bobby", "bobby", "BOBBY", "alice"] {
        assert_eq!(press(&api, &key, name).await, (200, true), "somebody went back and corrected the address: {name}");
    }
    assert_eq!(api.sql(COUNTED), "2");

    // A page that a browser kept, pressed again.
    api.sql("UPDATE resend_keys SET expires_at = expires_at - interval '62 seconds'");
    api.sql("UPDATE email_requests SET made_at = ARRAY[now() - interval '62 seconds']");
    for _ in 0..2 {
        assert_eq!(press(&api, &key, "alice").await, (200, true));
    }
    assert_eq!(api.sql(COUNTED), "3");
    for wait in [0, 62] {
        api.sql("UPDATE email_requests SET made_at = ARRAY[now() - interval '62 seconds']");
        api.sql(&format!("UPDATE resend_keys SET expires_at = expires_at - interval '{wait} seconds'"));
        let day = resend(&api, &key, "alice").await;
        let counted = if wait == 0 { "3" } else { "2" };
        assert_eq!((day.status, api.sql(COUNTED).as_str()), (200, counted), "a key in the header is known for a day");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_press_while_the_first_is_under_way_waits_and_counts_once() {
    let setup = Setup::new().with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = 2;
    });
    let api = Arc::new(TestApi::spawn_with(setup).await);
    let lock = api.lock("email_requests").await;
    let press = || {
        let (api, form) = (Arc::clone(&api), format!("email=nobody%40{CANARY}.test&key=pressed"));
        let headers = [("x-forwarded-for", "192.0.2.1"), ("content-type", "application/x-www-form-urlencoded")];
        tokio::spawn(async move { api.send_with(Method::POST, "/resend_verification", &headers, form).await })
    };
    let first = press();
    api.until_waited_for("email_requests").await;
    let refused = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND query = 'ROLLBACK' AND backend_type = 'client backend'";
    assert_eq!(api.sql(refused), "0");
    let mut second = press();
    tokio::select! {
        early = &mut second => panic!("it does not wait: {early:?}"),
        () = api.until("the second press met the key", async || api.sql(refused) != "0") => {}
    }
    lock.release();
    for pressed in [first, second] {
        let page = pressed.await.expect("no panic");
        assert!(page.status == 200 && page.text.contains("Please look into your inbox"), "{page:?}");
    }
    assert_eq!(api.sql(COUNTED), "1");
}
