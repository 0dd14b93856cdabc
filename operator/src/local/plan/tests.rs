//! What is used as the file says and what stands in, for hand-made files.

use super::*;
use crate::manifest;

const PIPELINE: &str = include_str!("../../../../samples/minimal.yaml");
const SMTP: &str = "smtp: {host: smtp.example.com}";

fn plan(smtp: &str, more: &str, send_mail: bool) -> Result<Plan, LocalError> {
    let text = format!("{}{more}", PIPELINE.replace(SMTP, smtp));
    Plan::new(&manifest::parse(&text).expect("a valid file"), send_mail)
}

#[test]
fn mails_stay_here_unless_their_server_is_meant() {
    let with_auth = "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}";
    let secret =
        "---\n{apiVersion: v1, kind: Secret, metadata: {name: app-smtp}, stringData: {username: a, password: b}}\n";
    let cases = [
        ("no server of one's own", SMTP, "", false, true),
        ("credentials named and not given", with_auth, "", false, true),
        ("credentials given", with_auth, secret, false, false),
        ("a server on this machine", "smtp: {host: localhost, port: 1025, tls: None}", "", false, false),
        ("--send-mail", SMTP, "", true, false),
    ];
    for (name, smtp, more, send_mail, uses_inbox) in cases {
        assert_eq!(plan(smtp, more, send_mail).expect(name).uses_inbox(), uses_inbox, "{name}");
    }
    let error = plan(with_auth, "", true).expect_err("it cannot log in").to_string();
    assert!(error.contains("Secret app-smtp, which spec.mail.smtp.authSecretRef names, is not given"), "{error}");
}

#[test]
fn what_signs_webhooks_has_to_be_in_the_file() {
    let webhooks =
        "smtp: {host: smtp.example.com}}\n  webhooks: [{url: 'http://localhost:3000/', secretRef: {name: hooks}}]\n#";
    let secret = |key: &str| {
        format!("---\n{{apiVersion: v1, kind: Secret, metadata: {{name: hooks}}, stringData: {{{key}: whsec_a}}}}\n")
    };
    let given = plan(webhooks, &secret("secret"), false).expect("a plan");
    assert_eq!(given.webhooks["hooks"].get("secret"), Some(b"whsec_a".as_slice()));
    let error = plan(webhooks, "", false).expect_err("nothing signs").to_string();
    assert!(error.contains("Secret hooks, which spec.webhooks.secretRef names, is not given"), "{error}");
    let error = plan(webhooks, &secret("other"), false).expect_err("nothing signs").to_string();
    assert!(error.contains("secret") && error.contains("other"), "{error}");
}

#[test]
fn links_lead_to_the_api_here_when_the_inbox_takes_the_mails_and_only_then() {
    let stand_in = StandIn { smtp: ([127, 0, 0, 1], 1025).into(), api: ([127, 0, 0, 1], 8080).into() };
    let spec = manifest::parse(PIPELINE).expect("a valid file").pipeline.spec;
    let inbox = plan(SMTP, "", false).expect("a plan").applied_to(&spec, Some(&stand_in));
    assert_eq!(inbox.verification.public_url.as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!((inbox.mail.smtp.host.as_str(), inbox.mail.smtp.port), ("127.0.0.1", 1025));
    let sent = plan(SMTP, "", true).expect("a plan").applied_to(&spec, Some(&stand_in));
    assert_eq!(sent, spec);
}

#[test]
fn another_uri_of_a_store_needs_a_new_start_and_another_password_of_the_mail_server_does_not() {
    let secret = |name: &str, content: &str| {
        format!("---\n{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, stringData: {{{content}}}}}\n")
    };
    let smtp = "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}";
    let plan = |more: &[String]| plan(smtp, &more.concat(), false).expect("a plan");
    let what = |before: &[String], after: &[String]| plan(before).needs_new_start(&plan(after));
    for (name, named) in [("app-db", "spec.database"), ("app-redis", "spec.redis")] {
        let [first, second] = ["uri: 'x://a'", "uri: 'x://b'"].map(|uri| [secret(name, uri)]);
        for before in [&[][..], &first] {
            assert!(what(before, &second).is_some_and(|what| what.contains(named)), "{name}: {before:?}");
        }
        assert_eq!(what(&first, &[secret(name, "uri: 'x://a', more: b")]), None, "its URI is the same");
    }
    let login = |password: &str| [secret("app-smtp", &format!("username: a, password: {password}"))];
    assert_eq!(what(&login("a"), &login("b")), None);
}
