//! Requests that break a rule: the field is named, nothing is stored, the program lives on.

use crate::harness::{TestApi, client::form};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

/// The longest e-mail address that is accepted, and then some letters.
fn long_address(bytes: usize) -> String {
    format!("{}@{}.test", "a".repeat(60), "b.".repeat(200).get(..bytes.saturating_sub(66)).unwrap_or_default())
}

fn changed(field: &str, value: impl Into<Value>) -> String {
    let mut form = form("mallory");
    form[field] = value.into();
    form.to_string()
}

#[tokio::test]
async fn every_field_that_breaks_its_rule_is_named_and_nothing_is_stored() {
    let api = TestApi::spawn().await;
    let cases: [(&str, Vec<String>); 4] = [
        (
            "username",
            [
                "",
                "ab",
                "Mallory",
                "mal lory",
                "mallory\n",
                "mal\0lory",
                "mällory",
                "a\r\nb",
                "mallory'; --",
                "<b>x</b>",
            ]
            .map(String::from)
            .into_iter()
            .chain(["a".repeat(101), "é".repeat(51)])
            .collect(),
        ),
        ("password", ["", "five5", "nul\0nul"].map(String::from).into_iter().chain(["p".repeat(129)]).collect()),
        (
            "full_name",
            ["", "Al", "Al1ce", "Alice\r\nBcc: x@y.test", "Alice\nX", "Al\0ice", "<b>Alice</b>", "evil.example"]
                .map(String::from)
                .into_iter()
                .chain(["a".repeat(101)])
                .collect(),
        ),
        (
            "email",
            [
                "",
                "a@",
                "nobody",
                "a@@b.test",
                "Name <a@b.test>",
                "<a@b.test>",
                "a@b.test, c@d.test",
                "a..b@x.test",
                ".a@x.test",
                "a@b.test\r\nBcc: c@d.test",
                "a@b.test\n",
                "a\0@b.test",
                "a b@c.test",
                "a@[127.0.0.1]",
            ]
            .map(String::from)
            .into_iter()
            .chain([long_address(201)])
            .collect(),
        ),
    ];
    for (field, values) in cases {
        for value in values {
            let answer = api.post(changed(field, value.clone())).await;
            assert_eq!((answer.status, answer.fields()), (400, vec![field.to_owned()]), "{field} {value:?} {answer:?}");
            assert_eq!(answer.json()["message"], "invalid parameters");
        }
    }
    assert_eq!(api.stored(), (0, 0));
    assert_eq!(api.signup("mallory").await.status, 200, "and the program still works");
}

#[tokio::test]
async fn values_at_the_edge_of_a_rule_are_accepted() {
    let api = TestApi::spawn().await;
    let edges = [
        ("username", "abc".to_owned()),
        ("username", "_".repeat(100)),
        ("password", "sixsix".to_owned()),
        ("password", "p".repeat(128)),
        ("full_name", "Ali".to_owned()),
        ("full_name", "a".repeat(100)),
    ];
    for (number, (field, value)) in edges.into_iter().enumerate() {
        let mut form = form(&format!("edge_{number}"));
        form[field] = value.clone().into();
        let answer = api.post(form.to_string()).await;
        assert_eq!(answer.status, 200, "{field} {value:?} {answer:?}");
    }
    assert_eq!(api.stored(), (6, 6));
}

#[tokio::test]
async fn values_of_the_wrong_json_type_name_their_field() {
    let api = TestApi::spawn().await;
    for field in ["username", "password", "full_name", "email"] {
        for value in [json!(5), json!(true), json!(1.5), json!(["x"]), json!({"a": "b"})] {
            let answer = api.post(changed(field, value.clone())).await;
            assert_eq!((answer.status, answer.fields()), (400, vec![field.to_owned()]), "{field} {value} {answer:?}");
            assert!(answer.error().2.contains(field), "{answer:?}");
        }
    }
    assert_eq!(api.stored(), (0, 0));
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_and_the_program_lives_on() {
    let api = TestApi::spawn().await;
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat().into_bytes();
    let bodies: Vec<(Vec<u8>, &[&str])> = vec![
        (b"{".to_vec(), &[]),
        (b"[]".to_vec(), &[]),
        (b"null".to_vec(), &[]),
        (b"username=mallory".to_vec(), &[]),
        (b"\0".to_vec(), &[]),
        (b"\xff\xfe".to_vec(), &[]),
        (b"{\"username\":\"mal\xfflory\"}".to_vec(), &["username"]),
        (b"{\"username\":\"mal\0lory\"}".to_vec(), &["username"]),
        (b"{\"full_name\":\"Mal\r\nlory\"}".to_vec(), &["full_name"]),
        (br#"{"email":"\ud800@b.test"}"#.to_vec(), &["email"]),
        (br#"{"password":"#.to_vec(), &["password"]),
        (br#"{"full_name":"a","fullName":"b"}"#.to_vec(), &["full_name"]),
        (b"{\"x\":\"\xff\"}".to_vec(), &[]),
        (deep("[", "]"), &[]),
        (deep("{\"a\":", "}"), &[]),
        ([br#"{"username":"#.to_vec(), deep("[", "]")].concat(), &[]),
    ];
    for (body, fields) in bodies {
        let text = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = api.post(body).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (400, fields.iter().map(|&field| field.to_owned()).collect()),
            "{text}"
        );
        assert_eq!(answer.json()["code"], 3, "{text}");
    }
    assert_eq!(api.stored(), (0, 0));
    assert_eq!(api.signup("mallory").await.status, 200, "and the program still works");
}

#[tokio::test]
async fn a_body_above_64_kib_is_refused_by_its_size_and_memory_stays_flat() {
    let api = TestApi::spawn().await;
    let resident = || api.resident_kib();
    api.signup("warm_up").await;
    let before = resident();
    for bytes in [64 * 1024 + 1, 1024 * 1024, 10 * 1024 * 1024, 10 * 1024 * 1024] {
        let answer = api.post(changed("full_name", "a".repeat(bytes))).await;
        assert_eq!(answer.error(), (413, 8, "request body is larger than 64 KiB".into()), "{bytes}");
    }
    assert_eq!(api.stored(), (1, 1));
    assert!(resident() < before + 8 * 1024, "{} KiB became {} KiB", before, resident());
}

#[test]
fn no_value_of_any_field_breaks_the_program_or_is_stored_against_the_rules() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let api = runtime.block_on(TestApi::spawn());
    let field = prop_oneof![Just("username"), Just("full_name"), Just("email"), Just("password")];
    let value = prop_oneof![any::<String>(), "[ -~]{0,120}", "[a-z@.<>\"\\r\\n\\x00é ]{0,40}", ".{0,5}"];
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() });
    let result = runner.run(&(field, value), |(field, value)| {
        let answer = runtime.block_on(api.post(changed(field, value)));
        match answer.status {
            200 => runtime.block_on(async { api.sql("DELETE FROM verify_emails; DELETE FROM users") }),
            400 => {
                prop_assert_eq!(answer.fields(), vec![field.to_owned()]);
                String::new()
            }
            status => return Err(TestCaseError::fail(format!("{status}: {answer:?}"))),
        };
        Ok(())
    });
    result.expect("every value is accepted or refused by name");
    assert_eq!(api.sql("SELECT count(*) FROM users"), "0");
}
