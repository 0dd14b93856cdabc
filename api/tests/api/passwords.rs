//! `signup.password`: what is refused beside short passwords, and the range protocol of Have I Been Pwned.

use crate::harness::{Setup, TestApi, client::Answer, client::form};
use axum::{Router, extract::Path, http::HeaderMap, routing::get};
use parking_lot::Mutex;
use pipeline::document::BreachCheck;
use std::{net::SocketAddr, sync::Arc, time::Duration};

async fn signup(api: &TestApi, username: &str, password: &str) -> Answer {
    let mut form = form(username);
    form["password"] = password.into();
    api.post(form.to_string()).await
}

fn refusal(answer: &Answer) -> (u16, String, String) {
    let violation = answer.json()["details"][0]["field_violations"][0].clone();
    let text = |name: &str| violation[name].as_str().map(str::to_owned).unwrap_or_default();
    (answer.status, text("field"), text("description"))
}

#[tokio::test]
async fn common_passwords_and_those_that_hold_the_name_are_refused_only_where_an_edit_says_so() {
    let mut api = TestApi::spawn().await;
    assert_eq!(signup(&api, "user_1", "canary").await.status, 200, "the Go program's rule is the default");
    api.edit(|document| {
        document.signup.password.refuse_common = true;
        document.signup.password.refuse_own = true;
    })
    .await;
    let common = (400, "password".to_owned(), "is too easy to guess; choose another one".to_owned());
    for password in ["123456", "password1", "qwertyuiop", "canary"] {
        assert_eq!(refusal(&signup(&api, "user_2", password).await), common, "{password}");
    }
    let own = (400, "password".to_owned(), "must not contain your username or email address".to_owned());
    assert_eq!(refusal(&signup(&api, "user_2", "my canary USER_2 battery").await), own);
    assert_eq!(signup(&api, "user_2", "canary horse battery staple").await.status, 200);
    assert_eq!(api.stored(), (2, 2));
}

/// A service of the range protocol that lists `password` and pads its answers; it notes what it was asked.
async fn service(asked: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let range = move |Path(prefix): Path<String>, headers: HeaderMap| {
        let padding = headers.get("add-padding").and_then(|value| value.to_str().ok()).unwrap_or_default();
        asked.lock().push(format!("{prefix} {padding}"));
        // The rest of the digest of `password` between another one and padding.
        std::future::ready(
            "0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n1E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n\
             00000000000000000000000000000000000:0\r\n",
        )
    };
    let routes = Router::new()
        .route("/range/{prefix}", get(range))
        .route("/broken/{prefix}", get(|| async { axum::http::StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/silent/{prefix}", get(std::future::pending::<()>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn asks(url: String) -> Setup {
    Setup::new().with(|document| document.signup.password.breach_check = Some(BreachCheck { url }))
}

async fn counted(api: &TestApi, result: &str, times: u32) {
    let line = format!("signup_breach_checks_total{{result=\"{result}\"}} {times}");
    let metrics = api.admin("/metrics").await.text;
    assert!(metrics.contains(&line), "{line}: {metrics}");
}

#[tokio::test]
async fn a_breached_password_is_refused_and_only_five_digits_of_its_digest_are_sent() {
    let asked = Arc::default();
    let address = service(Arc::clone(&asked)).await;
    let api = TestApi::spawn_with(asks(format!("http://{address}/range/"))).await;
    let breached =
        (400, "password".to_owned(), "is known from a breach of another site; choose another one".to_owned());
    assert_eq!(refusal(&signup(&api, "user_1", "password").await), breached);
    assert_eq!(signup(&api, "user_1", "canary horse battery staple").await.status, 200);
    let asked = asked.lock().clone();
    assert_eq!((asked.len(), asked[0].as_str()), (2, "5BAA6 true"));
    counted(&api, "breached", 1).await;
    counted(&api, "unknown", 1).await;
}

#[tokio::test]
async fn a_service_that_is_silent_broken_or_away_stops_no_signup_and_is_counted() {
    let address = service(Arc::default()).await;
    for path in
        [format!("http://{address}/silent"), format!("http://{address}/broken"), "http://127.0.0.1:1/".to_owned()]
    {
        let api = TestApi::spawn_with(asks(path.clone())).await;
        let start = tokio::time::Instant::now();
        assert_eq!(signup(&api, "user_1", "password").await.status, 200, "{path}");
        assert!(start.elapsed() < Duration::from_secs(5), "{path}");
        counted(&api, "failed", 1).await;
        let told = "the breach check (signup.password.breachCheck) fails; passwords are taken without it";
        assert_eq!(api.lines(told).len(), 1);
    }
}
