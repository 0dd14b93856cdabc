//! Pages: whose address, in which language, and what a browser may do with them.

use crate::harness::{CANARY, Setup, TestApi, client::form};
use reqwest::Method;
use serde_json::json;

/// Tag, direction, and words of the page behind a link.
const LANGUAGES: [(&str, &str, &str, &str); 6] = [
    ("", "en", "ltr", "Verify my email address"),
    ("de-AT,de;q=0.9,en;q=0.5", "de", "ltr", "E-Mail-Adresse bestätigen"),
    ("vi", "vi", "ltr", "Xác minh địa chỉ email của tôi"),
    ("ar-EG", "ar", "rtl", "تأكيد عنوان بريدي الإلكتروني"),
    ("ja, ar;q=0.1", "ar", "rtl", "تأكيد عنوان بريدي الإلكتروني"),
    ("xx", "en", "ltr", "Verify my email address"),
];

#[tokio::test]
async fn every_page_is_in_the_readers_language_and_says_so() {
    let api = TestApi::spawn_with(Setup::new().with(|document| document.signup.page = true)).await;
    assert_eq!(api.signup("alice").await.status, 200);
    let (id, code) = api.link("alice");
    for (header, tag, direction, button) in LANGUAGES {
        for path in [
            format!("/verify_email?email_id={id}&secret_code={code}"),
            "/signup".into(),
            "/verify_code".into(),
            "/resend_verification".into(),
        ] {
            let page = api.page(&path, header).await;
            assert_eq!((page.status, page.header("content-language")), (200, tag), "{path}");
            assert_eq!(page.header("vary"), "Accept-Language");
            assert!(page.text.contains(&format!(r#"<html lang="{tag}" dir="{direction}">"#)), "{}", page.text);
        }
        let page = api.page(&format!("/verify_email?email_id={id}&secret_code={code}"), header).await;
        assert!(page.text.contains(button), "{header}: {}", page.text);
    }
    let two = [("accept-language", "ja"), ("accept-language", "de;q=0.5")];
    let page = api.send_with(Method::GET, "/verify_code", &two, "").await;
    assert_eq!(page.header("content-language"), "de", "two headers are one list");
}

#[tokio::test]
async fn a_signup_may_name_a_language_and_nothing_else_in_its_place() {
    let api = TestApi::spawn().await;
    for (username, locale, stored) in
        [("alice", json!("de_AT"), "de-AT"), ("bobby", json!(""), ""), ("carol", json!(null), "")]
    {
        let mut form = form(username);
        form["locale"] = locale;
        assert_eq!(api.post(form.to_string()).await.status, 200);
        let found = format!("SELECT coalesce(locale, '') FROM email_intents WHERE username = '{username}'");
        assert_eq!(api.sql(&found), stored);
    }
    for wrong in [json!("German"), json!("de AT"), json!("de\r\nBcc: x@y.test"), json!(7)] {
        let mut form = form("mallory");
        form["locale"] = wrong;
        let answer = api.post(form.to_string()).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["locale".to_owned()]), "{form}");
    }
    assert_eq!(api.stored(), (3, 3));
}

#[tokio::test]
async fn the_page_says_whose_address_it_is_about_and_shows_no_more_of_it_than_that() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let (id, code) = api.link("alice");
    let path = format!("/verify_email?email_id={id}&secret_code={code}");
    let page = api.get(&path).await;
    assert!(page.text.contains(r#"<bdi dir="ltr">a***@c***.test</bdi>"#), "{}", page.text);
    assert!(!page.text.contains(CANARY), "{}", page.text);
    let page = api.get(&format!("/verify_email?email_id={id}&secret_code={}", "a".repeat(32))).await;
    assert!(page.status == 200 && !page.text.contains("bdi dir"), "an unknown link tells nothing: {}", page.text);

    // A link that verifies nothing any more says so before anybody presses a button.
    api.sql("UPDATE verify_emails SET expired_at = now()");
    let page = api.get(&path).await;
    assert!(page.status == 410 && page.text.contains("This link has expired"), "{}", page.text);
    assert!(page.text.contains(r#"<form method="post" action="resend_verification">"#), "{}", page.text);
    api.sql("UPDATE verify_emails SET is_used = true; UPDATE users SET is_email_verified = true");
    let page = api.get(&path).await;
    assert!(page.status == 200 && page.text.contains("Your email address is verified"), "{}", page.text);
}

#[tokio::test]
async fn a_browser_runs_loads_and_sends_nothing_and_applies_the_one_style() {
    let api = TestApi::spawn_with(Setup::new().with(|document| document.signup.page = true)).await;
    for path in ["/signup", "/verify_email", "/verify_email/", "/verify_code", "/resend_verification"] {
        let page = api.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        let style = page.text.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
        let hash = openssl_sha256_base64(style);
        assert!(policy.contains(&hash), "{policy} does not allow the style with {hash}");
        for forbidden in ["<script", "style=\"", " onclick", " onload", " src=", "http:", "https:"] {
            assert!(!page.text.contains(forbidden), "{path} has {forbidden}");
        }
    }
    let page = api.get("/verify_email/?email_id=1").await;
    assert!(page.text.contains(r#"action="../resend_verification""#), "{}", page.text);
}

/// By another program than ours.
fn openssl_sha256_base64(text: &str) -> String {
    let script = "printf %s \"$1\" | openssl dgst -sha256 -binary | base64";
    let output = std::process::Command::new("sh").args(["-c", script, "sh", text]).output().expect("sh runs");
    String::from_utf8(output.stdout).expect("ASCII").trim().to_owned()
}
