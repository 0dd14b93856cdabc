//! Documents that work, documents that are refused with the field named, and edits that reach a running process.

use pipeline::{Document, Live, sample::TEXT};
use std::path::Path;

fn in_full(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn a_document_survives_printing_and_parsing() {
    let document = Document::sample();
    let printed = document.to_yaml().expect("printable");
    assert_eq!(Document::parse(&printed).expect("valid"), document);
    assert_eq!(Document::parse(&printed).expect("valid").to_yaml().expect("printable"), printed);
}

/// Pods of an older image refuse a key that they do not know.
#[test]
fn what_is_not_set_is_not_written() {
    let printed = Document::sample().to_yaml().expect("printable");
    let empty = printed.lines().find(|line| line.ends_with(": null") || line.ends_with(": []") || line.ends_with("{}"));
    assert_eq!(empty, None);
}

#[test]
fn mail_servers_are_greeted_with_a_name_that_has_a_dot() {
    for (public_url, from, set, expected) in [
        ("https://app.example.com", "no-reply@example.org", None, "app.example.com"),
        ("https://app.example.com:8443/signup", "no-reply@example.org", None, "app.example.com"),
        ("http://localhost:8080", "Example <no-reply@example.org>", None, "example.org"),
        ("http://127.0.0.1:8080", "no-reply@example.org", None, "example.org"),
        ("https://app.example.com", "no-reply@example.org", Some("mail.example.net"), "mail.example.net"),
    ] {
        let mut document = Document::sample();
        document.verification.public_url = public_url.to_owned();
        document.mail.from = from.to_owned();
        document.mail.smtp.hello_name = set.map(str::to_owned);
        assert_eq!(document.hello_name(), expected, "{public_url} {from}");
    }
}

#[test]
fn mistakes_are_refused_with_the_field_named() {
    for (right, wrong, named) in [
        ("maxRetries: 10", "maxRetries: 101", "task.maxRetries"),
        ("queue: critical", "queue: nowhere", "task.queue"),
        ("priority: 10", "priority: 0", "queues[].priority"),
        ("name: default", "name: \"de}fault\"", "queues[].name"),
        ("name: default", "name: critical", "queues[].name: `critical`"),
        ("delay: 10s", "delay: 25h", "task.delay: `25h`"),
        ("passwordMinLength: 6", "passwordMinLength: 129", "signup.passwordMinLength"),
        ("passwordMinLength: 6", "passwordMinLength: 5", "signup.passwordMinLength"),
        ("https://app.example.com", "app.example.com", "verification.publicURL"),
        ("maxConnectionsPerPod: 10", "maxConnectionsPerPod: 1", "database.maxConnectionsPerPod"),
        ("migrations: Auto", "migrations: Auto, schema: pg_signup", "database.schema: `pg_signup`"),
        ("migrations: Auto", "migrations: Auto, schema: \"1\"", "database.schema: `1`"),
        ("migrations: Auto", "migrations: Auto, schema: information_schema", "database.schema"),
        ("migrations: Auto", "migrations: Auto, schema: a b", "database.schema: `a b`"),
        ("concurrency: 16", "concurrency: 0", "worker.concurrency"),
        ("delay: 10s", "delay: -10s", "`-10s`"),
        ("delay: 10s", "dealy: 10s", "dealy"),
        ("tls: StartTLS", "tls: None, authDir: /run/secrets/smtp", "mail.smtp.tls"),
        ("from: ", "from: nobody, ", "mail.from"),
        ("port: 587", "port: 99999", "99999"),
        (
            "from: no-reply@example.com",
            "from: no-reply@example.com\n  envelopeFrom: A <a@example.com>",
            "mail.envelopeFrom",
        ),
        ("from: no-reply@example.com", "from: no-reply@example.com\n  replyTo: nobody", "mail.replyTo: `nobody`"),
        ("port: 587", "port: 587, maxConnections: 0", "mail.smtp.maxConnections: `0`"),
        ("worker:", "webhooks: [{url: app.example.com, secretFile: a}]\nworker:", "webhooks[].url: `app.example.com`"),
        (
            "worker:",
            "webhooks: [{url: \"https://a.b\", secretFile: a}, {url: \"https://a.b\", secretFile: b}]\nworker:",
            "webhooks[].url: `https://a.b` is given twice",
        ),
        (
            "worker:",
            "webhooks: [{url: \"https://a.b\", secretFile: a, events: [user.deleted]}]\nworker:",
            "user.deleted",
        ),
        ("logLevel: info", "logLevel: warning", "observability.logLevel: `warning`"),
        ("logLevel: info", "logLevel: \"info,debug\"", "observability.logLevel"),
        ("logLevel: info", "logLevel: \"info,queue=loud\"", "observability.logLevel"),
        ("logLevel: info", "logLevel: \"queue=debug\"", "observability.logLevel"),
    ] {
        assert!(TEXT.contains(right), "{right}");
        let error = in_full(&Document::parse(&TEXT.replace(right, wrong)).expect_err(wrong));
        assert!(error.contains(named), "{wrong}: {error}");
    }
}

fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).expect("written");
    std::fs::rename(next, path).expect("renamed");
}

#[tokio::test]
async fn a_broken_edit_keeps_the_previous_document_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    write(&path, TEXT);
    let mut live = Live::open(&path).expect("valid");
    let first = live.now().hash;

    write(&path, &TEXT.replace("  delay: 10s", "  colour: red\n  delay: 10s"));
    while live.now().refused.is_none() {
        tokio::task::yield_now().await;
    }
    let refused = live.now().refused.unwrap_or_default();
    assert!(refused.contains("colour"), "the field is named: {refused}");
    assert_eq!(live.now().hash, first);
    assert_eq!(live.document().task.max_retries, 10);

    write(&path, &TEXT.replace("maxRetries: 10", "maxRetries: 2"));
    let loaded = live.changed().await.expect("a change");
    assert_eq!((loaded.document.task.max_retries, loaded.refused), (2, None));
}

#[tokio::test]
async fn a_rotated_secret_is_a_change_although_the_document_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).expect("a folder");
    write(&path, &TEXT.replace("/run/secrets/keys", &keys.display().to_string()));
    let mut live = Live::open(&path).expect("valid");
    let first = live.now().hash;
    write(&keys.join("current"), "a new key");
    assert_eq!(live.changed().await.expect("a change").hash, first);
}
