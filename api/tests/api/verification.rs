//! Links: what verifies, what does not, and the reasons clients can act on.

use crate::harness::TestApi;
use reqwest::Method;
use serde_json::json;

const UNKNOWN_CODE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn reason(answer: &crate::harness::client::Answer) -> (u16, i64, String) {
    let body = answer.json();
    let detail = &body["details"][0];
    assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{body}");
    (answer.status, body["code"].as_i64().expect("a code"), detail["reason"].as_str().expect("a reason").to_owned())
}

async fn signed_up(api: &TestApi, username: &str) -> (i64, String) {
    assert_eq!(api.signup(username).await.status, 200);
    api.link(username)
}

pub(crate) fn is_verified(api: &TestApi, username: &str) -> bool {
    api.sql(&format!("SELECT is_email_verified FROM users WHERE username = '{username}'")) == "t"
}

#[tokio::test]
async fn get_and_form_post_verify_in_either_spelling_and_a_second_click_is_the_same_answer() {
    let api = TestApi::spawn().await;
    let (id, code) = signed_up(&api, "alice").await;
    for _ in 0..2 {
        let answer = api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}&utm=x")).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"is_verified": true})));
    }
    assert!(is_verified(&api, "alice"));
    let (id, code) = signed_up(&api, "bobby").await;
    let answer = api.post_form("/v1/verify_email", format!("emailId={id}&secretCode={code}")).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"is_verified": true})));
    let (id, code) = signed_up(&api, "carol").await;
    let answer = api.post_form(&format!("/v1/verify_email?email_id={id}"), format!("secret_code={code}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(is_verified(&api, "bobby") && is_verified(&api, "carol"));
}

#[tokio::test]
async fn head_does_not_verify() {
    let api = TestApi::spawn().await;
    let (id, code) = signed_up(&api, "alice").await;
    for path in ["/v1/verify_email", "/verify_email"] {
        api.send(Method::HEAD, &format!("{path}?email_id={id}&secret_code={code}"), "", "").await;
    }
    assert!(!is_verified(&api, "alice"));
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let api = TestApi::spawn().await;
    let verify = async |id: i64, code: &str| {
        reason(&api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}")).await)
    };
    let (id, code) = signed_up(&api, "alice").await;
    assert_eq!(verify(id, UNKNOWN_CODE).await, (404, 5, "LINK_NOT_FOUND".into()));
    assert_eq!(verify(id + 1000, &code).await, (404, 5, "LINK_NOT_FOUND".into()));
    api.sql("UPDATE verify_emails SET expired_at = now() - interval '1 second'");
    assert_eq!(verify(id, &code).await, (410, 9, "LINK_EXPIRED".into()));

    let (id, code) = signed_up(&api, "bobby").await;
    api.sql("UPDATE users SET email = 'new@canary.test', email_canonical = 'new@canary.test' WHERE username = 'bobby'");
    assert_eq!(verify(id, &code).await, (410, 9, "ADDRESS_CHANGED".into()));

    let (id, code) = signed_up(&api, "carol").await;
    api.sql("UPDATE verify_emails SET is_used = true WHERE username = 'carol'");
    assert_eq!(verify(id, &code).await, (400, 9, "LINK_USED".into()));
    assert_eq!(api.sql("SELECT count(*) FROM users WHERE is_email_verified"), "0");
}

#[tokio::test]
async fn parameters_that_break_a_rule_are_named() {
    let api = TestApi::spawn().await;
    let long = "a".repeat(129);
    for (query, fields) in [
        (String::new(), vec!["email_id", "secret_code"]),
        (format!("email_id=0&secret_code={UNKNOWN_CODE}"), vec!["email_id"]),
        (format!("email_id=-1&secret_code={UNKNOWN_CODE}"), vec!["email_id"]),
        (format!("email_id=abc&secret_code={UNKNOWN_CODE}"), vec!["email_id"]),
        (format!("email_id=99999999999999999999&secret_code={UNKNOWN_CODE}"), vec!["email_id"]),
        ("email_id=1&secret_code=short".into(), vec!["secret_code"]),
        (format!("email_id=1&secret_code={long}"), vec!["secret_code"]),
        (format!("email_id=1&secret_code={UNKNOWN_CODE}%00"), vec!["secret_code"]),
        (format!("email_id=1&secret_code={UNKNOWN_CODE}%ff"), vec!["secret_code"]),
        (format!("email_id=1&emailId=1&secret_code={UNKNOWN_CODE}"), vec!["email_id"]),
        (format!("email_id=1&secret_code={UNKNOWN_CODE}&secret_code={UNKNOWN_CODE}"), vec!["secret_code"]),
    ] {
        for answer in [
            api.get(&format!("/v1/verify_email?{query}")).await,
            api.post_form("/v1/verify_email", query.clone()).await,
        ] {
            assert_eq!(
                (answer.status, answer.fields()),
                (400, fields.iter().map(ToString::to_string).collect()),
                "{query}"
            );
            assert_eq!(answer.json()["code"], 3);
        }
    }
    let answer = api.get(&format!("/v1/verify_email?email_id=abc&secret_code={UNKNOWN_CODE}")).await;
    assert!(answer.error().2.starts_with("parsing field \"email_id\":"), "{answer:?}");
}

#[tokio::test]
async fn the_mails_page_asks_and_only_its_button_verifies() {
    let api = TestApi::spawn().await;
    let (id, code) = signed_up(&api, "alice").await;
    let page = api.get(&format!("/verify_email?email_id={id}&secret_code={code}")).await;
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(page.text.contains(r#"<form method="post" action="verify_email">"#), "{}", page.text);
    assert!(page.text.contains(&format!(r#"name="secret_code" value="{code}""#)), "{}", page.text);
    assert!(!is_verified(&api, "alice"), "GET must not verify");

    for _ in 0..2 {
        let answer = api.post_form("/verify_email", format!("email_id={id}&secret_code={code}")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.contains("Your email address is verified"), "{}", answer.text);
        assert!(!answer.text.contains(&code));
    }
    assert!(is_verified(&api, "alice"));
}

#[tokio::test]
async fn a_link_works_as_peoples_programs_hand_it_over() {
    let api = TestApi::spawn().await;
    let (id, code) = signed_up(&api, "alice").await;
    let whole = format!("email_id={id}&secret_code={code}");
    let broken = format!("email_id={id}&secret_code={}=%0D%0A{}", &code[..9], &code[9..]);
    let queries = ["&amp;secret", ".", "%3E", ")", "%20", "/"].map(|change| match change {
        "&amp;secret" => whole.replace("&secret", change),
        end => format!("{whole}{end}"),
    });
    for query in queries.into_iter().chain([broken]) {
        for (path, action) in [("/verify_email", "verify_email"), ("/verify_email/", "../verify_email")] {
            api.sql("UPDATE users SET is_email_verified = false");
            api.sql("UPDATE verify_emails SET is_used = false");
            let page = api.get(&format!("{path}?{query}")).await;
            assert_eq!(page.status, 200, "{query}");
            assert!(page.text.contains(&format!(r#"name="secret_code" value="{code}""#)), "{query}: {}", page.text);
            assert!(page.text.contains(&format!(r#"action="{action}""#)), "{}", page.text);
            assert_eq!(api.post_form(path, query.clone()).await.status, 200, "{query}");
            assert!(is_verified(&api, "alice"), "{query}");
        }
    }
}

#[tokio::test]
async fn a_link_that_is_beyond_repair_is_told_what_is_wrong_with_it() {
    let api = TestApi::spawn().await;
    for (query, words) in [
        (String::new(), "Its end is missing"),
        (format!("email_id=x&secret_code={UNKNOWN_CODE}"), "The number after email_id="),
        ("email_id=1&secret_code=abc".into(), "The 32 letters after secret_code="),
        (format!("email_id=1&email_id=2&secret_code={UNKNOWN_CODE}"), "is there twice"),
    ] {
        for page in
            [api.get(&format!("/verify_email?{query}")).await, api.post_form("/verify_email", query.clone()).await]
        {
            assert!(page.status == 400 && page.text.contains(words), "{query}: {}", page.text);
        }
    }
    let page = api.post_form("/verify_email", format!("email_id=1&secret_code={UNKNOWN_CODE}")).await;
    assert!(page.status == 404 && page.text.contains("no email of ours has this one"), "{}", page.text);
}

#[tokio::test]
async fn the_page_tells_why_a_link_does_not_work_and_never_runs_what_it_is_given() {
    let api = TestApi::spawn().await;
    let (id, code) = signed_up(&api, "alice").await;
    let script = "%22%3E%3Cscript%3Ealert(1)%3C/script%3Eaaaaaaaaaaaaaaaa";
    let page = api.get(&format!("/verify_email?email_id={id}&secret_code={script}")).await;
    assert!(page.status == 200 && !page.text.contains("<script>"), "{}", page.text);
    let page = api.get("/verify_email?email_id=1").await;
    assert!(page.status == 400 && page.text.contains("This link is not valid"), "{}", page.text);
    let page = api.post_form("/verify_email", format!("email_id={id}&secret_code={UNKNOWN_CODE}")).await;
    assert!(page.status == 404 && page.text.contains("This link is not valid"), "{}", page.text);
    api.sql("UPDATE verify_emails SET expired_at = now() - interval '1 second'");
    let page = api.post_form("/verify_email", format!("email_id={id}&secret_code={code}")).await;
    assert!(page.status == 410 && page.text.contains("This link has expired"), "{}", page.text);
}
