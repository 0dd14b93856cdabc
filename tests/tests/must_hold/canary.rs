//! No secret, code, password or full address in any log line or metric, when everything that can go wrong does.
//!
//! Every test of this suite searches the output of its programs; this one makes them say as much as they can.

use inbox::{Phase, Rule};
use pipeline_tests::{Options, PATIENCE, Pipeline, until};

#[tokio::test]
async fn nothing_secret_is_shown_however_much_goes_wrong() {
    let options = Options::new().own_postgres().with(|document| document.observability.log_level = "debug".into());
    let mut pipeline = Pipeline::start(options).await;
    let url = format!("http://{}", pipeline.apis[0].address("http"));
    pipeline.edit(|document| document.verification.public_url.clone_from(&url)).await;

    // A server that repeats the address, refuses our credentials, and breaks off.
    let replies = [
        Rule::reply(Phase::Auth, 535, "5.7.8 bad password canary-of-the-smtp-password").times(1),
        Rule::reply(Phase::Rcpt, 451, "4.7.1 <canary.0@example.com> is greylisted").times(2),
        Rule::reply(Phase::Dot, 554, "5.7.1 <canary.1@example.com> canary").times(1),
    ];
    pipeline.inbox.rules(replies).expect("rules");
    let first = pipeline.sign_up(6, 2).await;
    pipeline.settle(PATIENCE).await;

    // Links that work, that do not, and forms that nobody can read.
    let client = reqwest::Client::new();
    let mails = pipeline.inbox.messages();
    let text = mails[0].text.clone().expect("a text part");
    let link = text.split_whitespace().find(|word| word.starts_with(&url)).expect("a link");
    let api_link = link.replace("/verify_email?", "/v1/verify_email?");
    for (method, address) in [("GET", link), ("GET", &api_link), ("POST", link), ("PUT", link), ("GET", &api_link)] {
        let method = method.parse().expect("a method");
        client.request(method, address).send().await.expect("an answer");
    }
    for body in [
        r#"{"username":"canary","password":"canary-of-the-password""#.to_owned(),
        r#"{"username":"user_0","full_name":"Canary","email":"canary@example","password":"canary"}"#.to_owned(),
        format!(
            r#"{{"username":"{}","full_name":"Canary Name","email":"{}","password":"canary-0"}}"#,
            first[0].username, first[1].email
        ),
        r#"{"email":["canary@example.com"]}"#.to_owned(),
    ] {
        client.post(format!("{url}/v1/create_user")).body(body).send().await.expect("an answer");
    }

    let digits = text.lines().map(str::trim).find(|line| line.len() == 6).expect("six digits");
    for (method, path, body) in [
        ("POST", "verify_code", format!(r#"{{"username":"canary","code":"{digits}"}}"#)),
        ("POST", "verify_code", format!(r#"{{"username":"{}","code":"{digits}"#, first[0].username)),
        ("GET", &format!("verify_code?code={digits}&password=canary-of-the-password"), String::new()),
        ("POST", "resend_verification", r#"{"email":"canary.of.nobody@example.com"}"#.to_owned()),
        ("POST", "resend_verification", r#"{"email":"canary@example"}"#.to_owned()),
        (
            "PATCH",
            "users/me/email",
            r#"{"username":"user_2","password":"canary","email":"canary@example.com"}"#.to_owned(),
        ),
    ] {
        let method = method.parse().expect("a method");
        client.request(method, format!("{url}/v1/{path}")).body(body).send().await.expect("an answer");
    }

    // The servers go away, with connection URIs in everybody's hands.
    pipeline.redis.kill();
    pipeline.postgres.as_mut().expect("an own server").stop();
    pipeline.sign_up(2, 2).await;
    until("the worker says what is missing", PATIENCE, async || {
        pipeline.workers[0].admin("/readyz").await.is_some_and(|ready| ready.contains("neither"))
    })
    .await;
    pipeline.redis.start_again().expect("Redis starts again");
    pipeline.postgres.as_mut().expect("an own server").start_again().expect("PostgreSQL starts again");
    pipeline.until_ready().await;
    pipeline.sign_up(2, 2).await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_sound();
    assert!(report.leaks.is_empty(), "{report}");
    for program in [&pipeline.apis[0], &pipeline.workers[0]] {
        assert!(!program.log().contains("panicked at"), "{}", program.log());
    }
}
