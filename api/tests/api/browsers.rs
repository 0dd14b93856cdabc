//! `signup.allowedOrigins`: what a browser lets a page of another origin do, as its rules (the Fetch standard) read the
//! answers.

use crate::harness::{Setup, TestApi, client::Answer, client::form};
use reqwest::Method;

const APP: &str = "https://app.example.com";

async fn open_to(origins: &[&str]) -> TestApi {
    TestApi::spawn_with(setup(origins)).await
}

fn setup(origins: &[&str]) -> Setup {
    let origins = origins.iter().map(|origin| origin.parse().expect("an origin")).collect();
    Setup::new().with(|document| document.signup.allowed_origins = origins)
}

async fn preflight(api: &TestApi, path: &str, origin: &str) -> Answer {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,idempotency-key"),
    ];
    api.send_with(Method::OPTIONS, path, &asked, "").await
}

/// Whether a script of a page of `origin` is shown the answer.
fn is_shown(answer: &Answer, origin: &str) -> bool {
    let varies = answer.headers.get_all("vary").iter().any(|value| {
        let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        names.into_iter().any(|name| name.eq_ignore_ascii_case("origin"))
    });
    assert!(varies, "a cache would give one origin's answer to another: {answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    answer.header("access-control-allow-origin") == origin
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_signs_up_after_a_preflight_that_is_kept_for_two_hours() {
    let api = open_to(&[APP, "https://*.example.org"]).await;
    for origin in [APP, "https://a.example.org", "https://a.b.example.org"] {
        let answer = preflight(&api, "/v1/create_user", origin).await;
        assert!(answer.status == 200 && is_shown(&answer, origin), "{answer:?}");
        assert_eq!(answer.header("access-control-max-age"), "7200");
        assert!(answer.header("access-control-allow-methods").split(',').any(|method| method.trim() == "POST"));
        assert_eq!(answer.header("access-control-allow-headers"), "content-type,idempotency-key");
    }
    let headers = [("origin", APP), ("content-type", "application/json")];
    let answer = api.send_with(Method::POST, "/v1/create_user", &headers, form("alice").to_string()).await;
    assert!(answer.status == 200 && is_shown(&answer, APP), "{answer:?}");
    assert_eq!(answer.json()["user"]["username"], "alice");
}

#[tokio::test]
async fn a_page_of_any_other_origin_is_shown_nothing() {
    let api = open_to(&[APP, "https://*.example.org"]).await;
    for origin in [
        "https://evil.test",
        "http://app.example.com",
        "https://app.example.com.evil.test",
        "https://example.org",
        "https://evilexample.org",
        "null",
    ] {
        let answer = preflight(&api, "/v1/create_user", origin).await;
        assert!(!is_shown(&answer, origin) && answer.header("access-control-allow-origin").is_empty(), "{answer:?}");
        let answer = api.send_with(Method::POST, "/v1/create_user", &[("origin", origin)], "{}").await;
        assert!(answer.header("access-control-allow-origin").is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn errors_are_shown_like_answers_with_the_time_to_wait() {
    let api = TestApi::spawn_with(setup(&[APP]).with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = 2;
    }))
    .await;
    let post = async |body: Vec<u8>, more: (&str, &str)| {
        let headers = [("origin", APP), ("x-forwarded-for", "192.0.2.1"), more];
        api.send_with(Method::POST, "/v1/create_user", &headers, body).await
    };
    let (none, json) = (("x-nothing", "1"), |username| form(username).to_string().into_bytes());
    assert_eq!(post(json("alice"), none).await.status, 200);
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000)).into_bytes();
    for (status, answer) in [
        (409, post(json("alice"), none).await),
        (429, post(json("bobby"), none).await),
        (400, post(b"{".to_vec(), none).await),
        (413, post(large, none).await),
        (415, post(json("bobby"), ("content-encoding", "gzip")).await),
        (404, api.send_with(Method::GET, "/v1/nothing", &[("origin", APP)], "").await),
        (501, api.send_with(Method::DELETE, "/v1/create_user", &[("origin", APP)], "").await),
        (400, api.send_with(Method::GET, "/v1/verify_email", &[("origin", APP)], "").await),
    ] {
        assert!(answer.status == status && is_shown(&answer, APP), "{status}: {answer:?}");
        let exposed = answer.header("access-control-expose-headers").to_owned();
        assert!(exposed.split(',').any(|name| name == "retry-after"), "{exposed}");
        assert!(status != 429 || !answer.header("retry-after").is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn without_a_database_the_503_is_shown_too() {
    let mut setup = setup(&[APP]);
    setup.database = "postgres://nobody@127.0.0.1:1/none".into();
    let api = TestApi::start(setup).await;
    let answer = api.send_with(Method::POST, "/v1/create_user", &[("origin", APP)], form("alice").to_string()).await;
    assert!(answer.status == 503 && is_shown(&answer, APP), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn without_the_field_nothing_is_said_to_browsers_and_an_edit_is_taken_at_once() {
    let mut api = TestApi::spawn().await;
    let silent = async |api: &TestApi| {
        let answer = preflight(api, "/v1/create_user", APP).await;
        assert_eq!(answer.error(), (501, 12, "Method Not Allowed".to_owned()));
        let signup = api.send_with(Method::POST, "/v1/create_user", &[("origin", APP)], "{}").await;
        for answer in [answer, signup] {
            let names = answer.headers.keys().map(|name| name.as_str());
            assert!(!names.into_iter().any(|name| name == "vary" || name.starts_with("access-")), "{answer:?}");
        }
    };
    silent(&api).await;
    api.edit(|document| document.signup.allowed_origins = vec![APP.parse().expect("an origin")]).await;
    assert!(is_shown(&preflight(&api, "/v1/create_user", APP).await, APP));
    api.edit(|document| document.signup.allowed_origins.clear()).await;
    silent(&api).await;
}

#[tokio::test]
async fn the_pages_behind_links_are_no_scripts_to_read_and_an_options_without_origin_is_a_method_like_any() {
    let api = open_to(&[APP]).await;
    let page = api.send_with(Method::GET, "/verify_email?email_id=1", &[("origin", APP)], "").await;
    assert_eq!(page.header("access-control-allow-origin"), "");
    let answer = preflight(&api, "/verify_email", APP).await;
    assert_eq!(answer.error().0, 501);
    let answer = api.send_with(Method::OPTIONS, "/v1/create_user", &[("origin", APP)], "").await;
    assert_eq!(answer.error().0, 501);
}
