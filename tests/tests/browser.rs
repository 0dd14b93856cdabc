//! The pages in a real browser: Debian's Chromium, with axe (scripts: tests/browser).
//!
//! Takes: what `scripts/setup.sh test` installs. Shows: a person signs up and verifies on a phone, with the keyboard
//! alone, without scripts; and no page, in any state, language and colour, has what axe objects to.

use pipeline_tests::{Options, PATIENCE, Pipeline, until};
use serde_json::{Value, json};
use std::path::Path;

const PASSWORD: &str = "drink me, said the label";

async fn start() -> Pipeline {
    let options = Options::new().with(|document| {
        document.signup.page = true;
        document.task.delay = std::time::Duration::ZERO;
    });
    let mut pipeline = Pipeline::start(options).await;
    let url = api(&pipeline);
    pipeline.edit(|document| document.verification.public_url = url).await;
    pipeline
}

fn api(pipeline: &Pipeline) -> String {
    format!("http://{}", pipeline.apis[0].address("http"))
}

fn inbox(pipeline: &Pipeline) -> String {
    format!("http://{}", pipeline.inbox.http_addr())
}

/// Runs a script of tests/browser to its end.
async fn run(script: &str, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut node = servers::node();
    node.arg(folder.join(script)).args(arguments);
    let output = tokio::task::spawn_blocking(move || node.output().expect("Node is installed by `make setup`"));
    let output = output.await.expect("it does not panic");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {printed}");
    println!("{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_up_and_verifies_on_a_phone_with_the_keyboard_alone_and_without_scripts() {
    let pipeline = start().await;
    run("journey.mjs", &[&api(&pipeline), &inbox(&pipeline)]).await;
    let verified = pipeline.number("SELECT count(*) FROM users WHERE is_email_verified").await;
    assert_eq!((verified, pipeline.rows().await.len()), (Some(2), 2), "each person is one user");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_on_any_page_in_any_state_and_language_by_day_and_by_night() {
    let pipeline = start().await;
    let mut states = Vec::new();
    for (name, heading, statement) in LINKS {
        let (link, _) = sign_up(&pipeline, name).await;
        pipeline.run_sql(&statement.replace("{}", &format!("username = '{name}'"))).await;
        states.push(json!({"name": format!("link {name}"), "path": link, "heading": heading}));
    }
    for (name, statement) in CODES {
        let (_, code) = sign_up(&pipeline, name).await;
        pipeline.run_sql(&statement.replace("{}", &format!("username = '{name}'"))).await;
        let fields = json!({"username": name, "code": code});
        states.push(json!({"name": format!("code {name}"), "path": "/verify_code", "fields": fields,
                           "heading": "Enter the code of your email"}));
    }
    for wrong in ["000000", "111111", "222222", "333333", "444444", "555555"] {
        post(&pipeline, "/v1/verify_code", &json!({"username": "locked_code", "code": wrong})).await;
    }
    states.extend(other_states());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("states.json");
    let given = json!({"api": api(&pipeline), "inbox": inbox(&pipeline), "states": states});
    std::fs::write(&file, given.to_string()).expect("a file");
    run("pages.mjs", &[&file.to_string_lossy()]).await;
}

/// Of the link of a mail: whose it is, the heading of its page, and what happened to it.
const LINKS: [(&str, &str, &str); 5] = [
    ("waiting", "Verify your email address", ""),
    (
        "verified",
        "Your email address is verified",
        "UPDATE users SET is_email_verified = true WHERE {};
                                                    UPDATE verify_emails SET is_used = true WHERE {}",
    ),
    ("expired", "This link has expired", "UPDATE verify_emails SET expired_at = now() WHERE {}"),
    ("used", "This link was used before", "UPDATE verify_emails SET is_used = true WHERE {}"),
    ("moved", "This link is no longer valid", "UPDATE users SET email = 'other@example.com' WHERE {}"),
];

/// Of the code of a mail.
const CODES: [(&str, &str); 3] = [
    ("expired_code", "UPDATE verify_emails SET expired_at = now() WHERE {}"),
    ("used_code", "UPDATE verify_emails SET is_used = true WHERE {}"),
    ("locked_code", ""),
];

fn other_states() -> Vec<Value> {
    let signup = json!({"username": "waiting", "full_name": "Alice Liddell", "email": "alice@example.com",
                        "password": PASSWORD});
    let new = json!({"username": "new_{}", "full_name": "Alice Liddell", "email": "new_{}@example.com",
                     "password": PASSWORD});
    let wrong = json!({"username": "A", "full_name": "1", "email": "x", "password": "x"});
    let link = "This link is not valid";
    vec![
        json!({"name": "link unknown", "path": format!("/verify_email?email_id=1&secret_code={}", "a".repeat(32)),
               "fields": {}, "heading": link}),
        json!({"name": "link cut", "path": "/verify_email", "heading": link}),
        json!({"name": "link without its end", "path": "/verify_email?email_id=7&secret_code=abc", "heading": link}),
        json!({"name": "signup", "path": "/signup", "heading": "Sign up"}),
        json!({"name": "signup wrong", "path": "/signup", "fields": wrong, "heading": "Sign up"}),
        json!({"name": "signed up", "path": "/signup", "fields": new, "heading": "Please look into your inbox"}),
        json!({"name": "signup taken", "path": "/signup", "fields": signup, "heading": "Sign up"}),
        json!({"name": "code", "path": "/verify_code", "heading": "Enter the code of your email"}),
        json!({"name": "code wrong", "path": "/verify_code", "fields": {"username": "nobody", "code": "000000"},
               "heading": "Enter the code of your email"}),
        json!({"name": "resend", "path": "/resend_verification", "heading": "Send me a new email"}),
        json!({"name": "resend to nobody", "path": "/resend_verification", "fields": {"email": "a..b@example.com"},
               "heading": "Send me a new email"}),
    ]
}

/// Signs up; gives path and query of the link in the mail, and its code.
async fn sign_up(pipeline: &Pipeline, username: &str) -> (String, String) {
    let body = json!({"username": username, "full_name": "Alice Liddell", "email": format!("{username}@example.com"),
                      "password": PASSWORD});
    assert_eq!(post(pipeline, "/v1/create_user", &body).await, 200);
    let to = format!("{username}@example.com");
    let mail = || pipeline.inbox.messages().into_iter().find(|mail| mail.to.contains(&to));
    until("the mail arrives", PATIENCE, async || mail().is_some()).await;
    let text = mail().and_then(|mail| mail.text.clone()).expect("a mail with a text");
    let link = text.split_whitespace().find_map(|word| word.strip_prefix(&api(pipeline))).expect("a link");
    let digits = |line: &str| line.chars().filter(char::is_ascii_digit).collect::<String>();
    let code = text.lines().map(digits).find(|digits| digits.len() == 6).expect("six digits on a line");
    (link.to_owned(), code)
}

async fn post(pipeline: &Pipeline, path: &str, body: &Value) -> u16 {
    let answer = reqwest::Client::new().post(api(pipeline) + path).json(body).send().await;
    answer.expect("an answer").status().as_u16()
}
