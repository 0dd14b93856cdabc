//! Mails from files that a person has.

use super::*;
use clap::Parser;
use std::fs;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

const PIPELINE: &str = "
apiVersion: signup.dev/v1alpha1
kind: SignupPipeline
metadata: {name: demo}
spec:
  mail: {from: Shop <shop@example.com>, replyTo: help@example.com, templatesRef: {name: texts}, smtp: {host: x}}
  expose: {host: app.example.com, path: /signup, ingress: {}}
  verification: {linkTTL: 2h}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data:
  subject.fr.txt: Bienvenue, {{username}}
  body.fr.txt: \"{{link}} {{code}} {{expires_in_hours}}\"
  body.fr.html: <p>{{full_name}}</p><a href=\"{{link}}\">oui</a>
";

fn rendered(file: &str, words: &[&str]) -> Result<String, RenderError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    fs::write(&path, file).expect("a file");
    let path = path.display().to_string();
    let words = [&["render-mail", "-f", &path], words].concat();
    run(&Command::try_parse_from(words).expect("good words").arguments)
}

#[test]
fn a_mail_is_rendered_from_the_file_that_is_applied() {
    let message = rendered(PIPELINE, &["--locale", "fr-CA"]).expect("rendered");
    let read = mail_parser::MessageParser::default().parse(message.as_bytes()).expect("a message");
    assert_eq!(read.subject(), Some("Bienvenue, alice1"));
    let text = read.body_text(0).expect("a text");
    let link = "https://app.example.com/signup/verify_email?email_id=1&secret_code=";
    assert!(text.starts_with(link) && text.ends_with(" 012345 2"), "{text}");
    let html = rendered(PIPELINE, &["--locale", "fr", "--part", "html"]).expect("rendered");
    assert!(html.starts_with("<p>Alice Example</p>") && html.contains("&amp;secret_code="), "{html}");
    let german = rendered(PIPELINE, &["--locale", "de", "--part", "text"]).expect("built in");
    assert!(german.contains("2 Stunden"), "{german}");
    let notice = rendered(PIPELINE, &["--notice", "--part", "subject"]).expect("built in");
    assert_eq!(notice, "You already have an account\n");
}

#[test]
fn what_is_wrong_is_named_with_the_fix() {
    let told = |file: &str, words: &[&str]| pipeline::chain(&rendered(file, words).expect_err("refused"));
    let wrong = PIPELINE.replace("{{code}}", "{{kode}}");
    let error = told(&wrong, &[]);
    assert!(error.contains("body.fr.txt") && error.contains("line 1: `{{kode}}` is not a placeholder"), "{error}");
    let error = told(&PIPELINE.replace("name: texts}\ndata", "name: other}\ndata"), &[]);
    assert!(error.contains("no ConfigMap texts") && error.contains("--templates DIR"), "{error}");
    assert!(told("kind: Secret", &[]).contains("no document of kind SignupPipeline"));
    assert!(told(PIPELINE, &["--locale", "french"]).contains("`french` is not a language tag"));
    let error = told(&PIPELINE.replace("2h", "2d"), &[]);
    assert!(error.contains("spec.verification.linkTTL: `2d`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_delivered_to_an_inbox_where_the_page_shows_it() {
    let inbox = inbox::Inbox::start(inbox::Settings::default()).expect("an inbox");
    let server = inbox.smtp_addr().to_string();
    let words = ["--locale", "fr", "--smtp", &server];
    let told = rendered(PIPELINE, &words).expect("delivered");
    assert_eq!(told, format!("delivered to {server}\n"));
    assert_eq!(inbox.messages()[0].subject, "Bienvenue, alice1");
}
