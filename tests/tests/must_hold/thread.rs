//! The thread from HTTP to mailbox and back, with nothing broken.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};

#[tokio::test]
async fn i1_every_signup_becomes_exactly_one_mail_and_none_is_early() {
    let pipeline = Pipeline::start(Options::new().apis(2).workers(2)).await;
    let attempts = pipeline.sign_up(40, 4).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, 40);
}

#[tokio::test]
async fn the_button_of_the_mail_verifies_the_address_and_fetching_the_link_does_not() {
    let mut pipeline = Pipeline::start(Options::new()).await;
    let url = format!("http://{}", pipeline.apis[0].address("http"));
    pipeline.edit(|document| document.verification.public_url.clone_from(&url)).await;
    pipeline.sign_up(1, 1).await;
    let mail = pipeline.inbox.wait_for(|_| true, PATIENCE).await.expect("the mail");
    let text = mail.text.as_deref().expect("a text part");
    let link = text.split_whitespace().find(|word| word.starts_with(&url)).expect("a link");

    let page = reqwest::get(link).await.expect("the page").text().await.expect("a text");
    assert!(!pipeline.rows().await[0].is_verified, "a scanner that fetches the link verifies nothing");

    let value = |name: &str| {
        let field = page.split(&format!(r#"name="{name}" value=""#)).nth(1).expect("a hidden field");
        field.split('"').next().expect("a value").to_owned()
    };
    let form = [("email_id", value("email_id")), ("secret_code", value("secret_code"))];
    let press = || async {
        let client = reqwest::Client::new();
        client.post(format!("{url}/verify_email")).form(&form).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(press().await, 200);
    assert!(pipeline.rows().await[0].is_verified);
    assert_eq!(press().await, 200, "a second press is no error");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn another_mail_is_sent_and_the_digits_of_the_first_one_still_verify() {
    let pipeline = Pipeline::start(Options::new()).await;
    let signed_up = pipeline.sign_up(1, 1).await.remove(0);
    let first = pipeline.inbox.wait_for(|_| true, PATIENCE).await.expect("the mail");
    pipeline.settle(PATIENCE).await;
    // Two mails to one address are a minute apart.
    let a_while_ago = "WITH moved AS (UPDATE email_intents SET sent_at = sent_at - interval '1 minute' RETURNING 1)
                       SELECT count(*) FROM moved";
    assert_eq!(pipeline.number(a_while_ago).await, Some(1));

    let (client, url) = (reqwest::Client::new(), format!("http://{}/v1", pipeline.apis[0].address("http")));
    let post = async |path: &str, body: serde_json::Value| {
        client.post(format!("{url}/{path}")).json(&body).send().await.expect("an answer").status().as_u16()
    };
    let resend = serde_json::json!({"email": signed_up.email});
    assert_eq!(post("resend_verification", resend.clone()).await, 200);
    assert_eq!(post("resend_verification", resend).await, 429);
    let second = pipeline.inbox.wait_for(|mail| mail.text != first.text, PATIENCE).await.expect("another mail");
    assert_eq!(second.to, first.to);
    pipeline.settle(PATIENCE).await;

    let text = first.text.as_deref().expect("a text part");
    let is_six_digits = |line: &&str| line.len() == 6 && line.bytes().all(|letter| letter.is_ascii_digit());
    let digits = text.lines().map(str::trim).find(is_six_digits).expect("six digits");
    let typed = serde_json::json!({"username": signed_up.username, "code": digits});
    assert_eq!(post("verify_code", typed).await, 200);
    assert_eq!(pipeline.number("SELECT count(*) FROM users WHERE is_email_verified").await, Some(1));
}

#[tokio::test]
async fn i9_a_signup_waits_neither_for_redis_nor_for_the_mail_server() {
    let mut pipeline =
        Pipeline::start(Options::new().with(|document| document.task.delay = std::time::Duration::ZERO)).await;
    pipeline.redis.pause();
    pipeline.inbox.stop();
    let attempts = pipeline.sign_up(10, 2).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    let ready = pipeline.apis[0].admin("/readyz").await.expect("an answer");
    assert!(!ready.contains("Redis"), "the api can do its job without Redis: {ready}");
    pipeline.redis.resume();
    pipeline.redis.kill();
    let attempts = pipeline.sign_up(10, 2).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    pipeline.redis.start_again().expect("Redis starts again");
    pipeline.inbox.start_again().expect("the same port");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_are_replaced_one_by_one_under_load_lose_and_double_nothing() {
    let mut pipeline = Pipeline::start(Options::new().apis(2).workers(2)).await;
    let load = pipeline.load(2);
    for round in 1..=2 {
        for index in 0..2 {
            pipeline.workers[index].terminate();
            pipeline.workers[index].start().await;
            pipeline.apis[index].terminate();
            pipeline.apis[index].start().await;
        }
        pipeline.until_acknowledged(40 * round).await;
    }
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}
