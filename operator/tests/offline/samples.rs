//! The samples are valid, and become the configuration documents that they describe.

use super::golden;
use operator::{
    build::document::{MountedPaths, document},
    manifest,
};
use pipeline::Document;

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
const PRODUCTION: &str = include_str!("../../../samples/production.yaml");

fn paths(full: bool) -> MountedPaths {
    let when_full = |path: &str| full.then(|| path.into());
    MountedPaths {
        database_uri: "/etc/signup/database/uri".into(),
        database_ca: when_full("/etc/signup/database-ca/ca.crt"),
        migrations_uri: None,
        redis_uri: "/etc/signup/redis/uri".into(),
        redis_ca: when_full("/etc/signup/redis-ca/ca.crt"),
        smtp_auth: when_full("/etc/signup/smtp"),
        smtp_ca: when_full("/etc/signup/smtp-ca/ca.crt"),
        templates: when_full("/etc/signup/templates"),
        denied_domains: None,
        webhooks: "/etc/signup/webhooks".into(),
        keys: "/etc/signup/keys".into(),
    }
}

fn build(text: &str, paths: &MountedPaths) -> Document {
    let manifest = manifest::parse(text).expect("the sample is valid");
    let name = manifest.pipeline.metadata.name.as_deref().unwrap_or_default();
    document(name, "default", &manifest.pipeline.spec, paths)
}

fn assert_golden(name: &str, document: &Document) {
    let printed = document.to_yaml().expect("the document has a YAML form");
    golden::assert_golden(&format!("tests/golden/{name}"), &printed);
}

#[test]
fn the_minimal_sample_has_nine_lines_and_every_default() {
    assert_eq!(MINIMAL.lines().filter(|line| !line.starts_with('#')).count(), 9);
    assert_golden("minimal.document.yaml", &build(MINIMAL, &paths(false)));
}

#[test]
fn the_production_sample_becomes_its_document() {
    assert_golden("production.document.yaml", &build(PRODUCTION, &paths(true)));
}

#[test]
fn the_documents_of_both_samples_are_accepted_by_the_processes() {
    for (text, full) in [(MINIMAL, false), (PRODUCTION, true)] {
        let document = build(text, &paths(full));
        let printed = document.to_yaml().expect("the document has a YAML form");
        assert_eq!(Document::parse(&printed).expect("the processes accept it"), document);
    }
}

#[test]
fn the_processes_read_that_domains_must_take_mail_and_nothing_where_it_is_not_said() {
    let text = MINIMAL.replace("signup: {page: true}", "signup: {emailDomains: {requireMX: true}}");
    let printed = build(&text, &paths(false)).to_yaml().expect("the document has a YAML form");
    assert!(Document::parse(&printed).expect("the processes accept it").signup.email_domains.require_mx);
    let without = MINIMAL.replace("signup: {page: true}", "signup: {emailDomains: {deny: [example.com]}}");
    let printed = build(&without, &paths(false)).to_yaml().expect("the document has a YAML form");
    assert!(!printed.contains("requireMX"), "an older process refuses a key that it does not know: {printed}");
}

#[test]
fn the_sample_of_a_company_is_valid() {
    build(include_str!("../../../samples/company.yaml"), &paths(false));
}

#[test]
fn an_exposed_host_stands_in_for_an_absent_public_url() {
    let exposed = MINIMAL.replace(
        "verification: {publicURL: https://app.example.com}",
        "expose: {host: app.example.com, path: /signup/, ingress: {}}",
    );
    assert_eq!(build(&exposed, &paths(false)).verification.public_url, "https://app.example.com/signup");
}
