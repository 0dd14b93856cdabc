//! The page and its JSON, as a browser and scripts use them.

use crate::client::{mail, plain, start};
use inbox::{Inbox, Settings};
use lettre::AsyncTransport;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

fn url(inbox: &Inbox, path: &str) -> String {
    format!("http://{}{path}", inbox.http_addr())
}

async fn json(inbox: &Inbox, path: &str) -> Value {
    reqwest::get(url(inbox, path)).await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test]
async fn mails_are_listed_with_their_parts() {
    let inbox = start(Settings::default());
    let transport = plain(&inbox);
    for to in ["alice@example.com", "bob@example.com", "carol@example.com"] {
        transport.send(mail(to, &format!("https://example.com/{to}"))).await.expect("accepted");
    }
    let all = json(&inbox, "/messages.json").await;
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    let first = &all[0];
    assert_eq!(first["id"], 1);
    assert_eq!(first["to"], json!(["alice@example.com"]));
    assert_eq!(first["from"], "no-reply@example.com");
    assert_eq!(first["subject"], "Grüße an dich");
    assert_eq!(first["message_id"], "alice@example.com");
    assert!(first["text"].as_str().is_some_and(|text| text.contains("https://example.com/alice@example.com")));
    assert!(first["html"].as_str().is_some_and(|html| html.contains("<p>")));
    assert!(first["received_at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert_eq!(json(&inbox, "/messages.json?after=1&limit=1").await[0]["id"], 3);
    assert_eq!(json(&inbox, "/messages.json?to=BOB@example.com").await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_inbox_can_be_emptied() {
    let inbox = start(Settings::default());
    plain(&inbox).send(mail("alice@example.com", "x")).await.expect("accepted");
    let answer = Client::new().delete(url(&inbox, "/messages")).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(json(&inbox, "/messages.json").await, json!([]));
}

#[tokio::test]
async fn rules_are_set_read_and_cleared_as_json() {
    let inbox = start(Settings::default());
    let (client, rules) = (Client::new(), url(&inbox, "/rules"));
    let rule = json!([{"at": "rcpt", "recipient": {"exact": "bad@example.com"},
                       "action": {"reply": {"code": 550, "text": "5.1.1 unknown"}}, "times": 2}]);
    let answer = client.post(&rules).json(&rule).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    plain(&inbox).send(mail("bad@example.com", "x")).await.expect_err("refused");
    assert_eq!(json(&inbox, "/rules").await[0]["times"], 1);
    client.delete(&rules).send().await.expect("an answer");
    assert_eq!(json(&inbox, "/rules").await, json!([]));
    plain(&inbox).send(mail("bad@example.com", "x")).await.expect("accepted");
}

#[tokio::test]
async fn a_rule_that_cannot_be_kept_is_refused_with_its_field() {
    let inbox = start(Settings::default());
    let (client, rules) = (Client::new(), url(&inbox, "/rules"));
    for (rule, field) in [
        (json!([{"at": "rcpt", "action": {"reply": {"code": 250, "text": "ok"}}}]), "action.reply.code"),
        (json!([{"at": "nowhere", "action": "hang"}]), "nowhere"),
        (json!([{"at": "rcpt", "action": "hang", "time": 1}]), "time"),
    ] {
        let answer = client.post(&rules).json(&rule).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{rule}");
        let text = answer.text().await.expect("a text");
        assert!(text.contains(field), "{text}");
    }
    assert_eq!(json(&inbox, "/rules").await, json!([]));
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_frames_mails_without_scripts() {
    let inbox = start(Settings::default());
    let answer = reqwest::get(url(&inbox, "/")).await.expect("an answer");
    let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = answer.text().await.expect("a text");
    let markup = page.split("<script>").next().expect("markup before the script");
    assert!(!markup.contains("http") && !page.contains("src="), "an asset from elsewhere");
    assert!(page.contains(r#"setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox")"#));
}

#[tokio::test]
async fn a_hold_is_seen_and_released_over_http() {
    let inbox = start(Settings::default());
    let rule = json!([{"at": "dot", "action": {"hold": "dot"}}]);
    Client::new().post(url(&inbox, "/rules")).json(&rule).send().await.expect("an answer");
    let transport = plain(&inbox);
    let sending = tokio::spawn(async move { transport.send(mail("alice@example.com", "x")).await });
    inbox.wait_until_held("dot", 1, crate::client::DEADLINE).await.expect("held");
    assert_eq!(json(&inbox, "/holds").await, json!({"dot": 1}));
    Client::new().post(url(&inbox, "/holds/dot/release")).send().await.expect("an answer");
    sending.await.expect("no panic").expect("accepted");
}
