//! `signup.page`: people sign up without an application of their own. (In a real browser: tests/tests/browser.rs.)

use crate::harness::{CANARY, Setup, TestApi, client::Answer};
use reqwest::Method;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Who clicks, where clients are limited.
pub(crate) const CLIENT: (&str, &str) = ("x-forwarded-for", "192.0.2.1");

pub(crate) fn setup() -> Setup {
    Setup::new().with(|document| document.signup.page = true)
}

/// With so many signups at once for each client.
pub(crate) fn limited(setup: Setup, signups: u32) -> Setup {
    setup.with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = signups;
    })
}

pub(crate) fn form(username: &str, more: &str) -> String {
    format!(
        "username={username}&full_name=Alice+Liddell&email={username}%40{CANARY}.test&password={CANARY}+secret{more}"
    )
}

pub(crate) async fn post(api: &TestApi, headers: &[(&str, &str)], form: String) -> Answer {
    api.send_with(Method::POST, "/signup", &[&[FORM], headers].concat(), form).await
}

/// The key that the page made for its form.
pub(crate) fn key(page: &Answer) -> String {
    let value = page.text.split(r#"name="key" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    value.filter(|key| key.len() == 32).expect("a key of 128 bits").to_owned()
}

/// The page with as many dots as the token has signs: whose it is differs, and nobody else can read it.
fn without_token(page: &Answer) -> String {
    let (before, rest) = page.text.split_once("data-token=\"").expect("a token");
    let (token, after) = rest.split_once('"').expect("its end");
    format!("{before}{}{after}", ".".repeat(token.len()))
}

#[tokio::test]
async fn the_page_is_there_when_the_field_says_so_and_an_edit_is_taken_at_once() {
    let mut api = TestApi::spawn().await;
    for is_there in [false, true, false] {
        let shown = api.get("/signup").await;
        let sent = post(&api, &[], form(if is_there { "alice" } else { "nobody" }, "")).await;
        if is_there {
            assert!(shown.status == 200 && sent.status == 200, "{shown:?} {sent:?}");
            assert_ne!(key(&shown), key(&api.get("/signup").await));
        } else {
            assert_eq!((shown.error().0, sent.error().0), (404, 404));
        }
        api.edit(|document| document.signup.page = !is_there).await;
    }
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test]
async fn a_signup_says_where_the_mail_goes_and_the_mail_is_in_the_language_of_the_page() {
    let api = TestApi::spawn_with(setup()).await;
    let key = key(&api.get("/signup").await);
    let page = post(&api, &[("accept-language", "de-AT")], form("alice", &format!("&key={key}"))).await;
    assert_eq!(self::key(&page), key, "it is the button's, too");
    assert_eq!((page.status, page.header("content-language"), page.header("cache-control")), (200, "de", "no-store"));
    assert!(page.text.contains("Bitte sehen Sie in Ihr Postfach"), "{}", page.text);
    assert!(page.text.contains(&format!("<bdi dir=\"ltr\">alice@{CANARY}.test</bdi>")), "{}", page.text);
    assert!(!page.text.contains("secret"), "{}", page.text);
    assert_eq!(api.sql("SELECT username, locale FROM email_intents"), "alice|de");

    // Its two forms do what they say.
    for _ in 0..2 {
        let again = api.post_form("/resend_verification", format!("email=alice%40{CANARY}.test&key={key}")).await;
        assert!(again.status == 200 && again.text.contains("Please look into your inbox"), "{again:?}");
    }
    let verified = api.post_form("/verify_code", format!("username=alice&code={}", api.digits("alice"))).await;
    assert!(verified.status == 200 && verified.text.contains("is verified"), "{verified:?}");
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_all_but_the_password_is_kept() {
    let api = TestApi::spawn_with(setup().with(|document| {
        document.signup.password.refuse_common = true;
        document.signup.email_domains.deny = vec!["denied.test".to_owned().into()];
    }))
    .await;
    assert_eq!(post(&api, &[], form("alice", "")).await.status, 200);
    let whole = |username: &str, name: &str, email: &str, password: &str| {
        format!("username={username}&full_name={name}&email={email}&password={password}")
    };
    let (email, password) = (format!("b%40{CANARY}.test"), format!("{CANARY}+tea+party"));
    for (status, field, sentence, form) in [
        (400, "username", "3 to 100 small letters", whole("A", "Bob", &email, &password)),
        (400, "username", "belongs to the site", whole("admin", "Bob", &email, &password)),
        (409, "username", "is taken", whole("alice", "Bob", &email, &password)),
        (400, "full_name", "enter your name", whole("bobby", "7", &email, &password)),
        (400, "email", "not a valid email address", whole("bobby", "Bob", "b", &password)),
        (400, "email", "may not sign up here", whole("bobby", "Bob", "b%40denied.test", &password)),
        (
            409,
            "email",
            "an account with this address",
            whole("bobby", "Bob", &format!("alice%40{CANARY}.test"), &password),
        ),
        (400, "password", "At least 6 characters", whole("bobby", "Bob", &email, "short")),
        (400, "password", "easy to guess", whole("bobby", "Bob", &email, "password1")),
    ] {
        let page = post(&api, &[], form.clone()).await;
        assert_eq!(page.status, status, "{form}: {}", page.text);
        let beside = page.text.split(&format!("id=\"{field}-wrong\">")).nth(1).and_then(|rest| rest.split('<').next());
        assert!(beside.is_some_and(|said| said.contains(sentence)), "{form}: {beside:?}");
        assert_eq!(page.text.matches("aria-invalid=\"true\"").count(), 1, "{form}: {}", page.text);
        assert!(page.text.contains(r#"value="Bob""#) || field == "full_name", "{}", page.text);
        assert!(!page.text.contains("tea party") && !page.text.contains("password1"), "{}", page.text);
    }
    let page = post(&api, &[], "username=%22%3E%3Cscript%3E&email=%22+autofocus".into()).await;
    assert!(!page.text.contains("<script>") && !page.text.contains("\" autofocus\""), "{}", page.text);
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test]
async fn the_form_of_another_site_signs_nobody_up() {
    let api = TestApi::spawn_with(setup()).await;
    for site in ["cross-site", "same-site"] {
        let page = post(&api, &[("sec-fetch-site", site), ("origin", "https://evil.test")], form("alice", "")).await;
        assert!(page.status == 403 && page.text.contains("from another site"), "{page:?}");
        assert!(page.text.contains(r#"value="alice""#) && !page.text.contains("secret"), "{page:?}");
    }
    assert_eq!(api.stored(), (0, 0));
    let page = post(&api, &[("sec-fetch-site", "same-origin"), ("origin", "null")], form("alice", "")).await;
    assert_eq!((page.status, page.header("set-cookie")), (200, ""));
}

#[tokio::test]
async fn a_taken_address_that_is_hidden_is_answered_like_a_free_one() {
    let api = TestApi::spawn_with(setup().with(|document| document.signup.hide_existing_accounts = true)).await;
    assert_eq!(post(&api, &[], form("alice", "")).await.status, 200);
    // The page has the key of its form.
    let taken = form("bobby", "&key=k").replace("bobby%40", "alice%40");
    let (taken, free) = (post(&api, &[], taken).await, post(&api, &[], form("carol", "&key=k")).await);
    assert_eq!((taken.status, free.status), (200, 200));
    let same = without_token(&taken).replace("bobby", "NAME").replace("alice@", "ADDRESS@");
    assert_eq!(same, without_token(&free).replace("carol@", "ADDRESS@").replace("carol", "NAME"));
}

#[tokio::test]
async fn who_has_to_wait_is_told_so_and_keeps_the_form() {
    let api = TestApi::spawn_with(limited(setup(), 1)).await;
    assert_eq!(post(&api, &[CLIENT], form("alice", "")).await.status, 200);
    let page = post(&api, &[CLIENT], form("bobby", "")).await;
    assert!(page.status == 429 && page.text.contains("try again"), "{page:?}");
    assert!(page.text.contains(r#"value="bobby""#) && !page.header("retry-after").is_empty(), "{page:?}");
    let mut away = setup();
    away.database = "postgres://nobody@127.0.0.1:1/none".into();
    let api = TestApi::start(away).await;
    let page = post(&api, &[], form("alice", "")).await;
    assert!(page.status == 503 && page.text.contains(r#"value="alice""#), "{page:?}");
    assert_eq!(api.get("/signup").await.status, 200);
}
