//! What lettre sends arrives: over clear text and both kinds of TLS, with credentials, whatever the content.

use crate::client::{DEADLINE, encrypted, mail, plain, start};
use inbox::{Certificates, Credentials, Settings, Tls};
use lettre::{
    AsyncTransport,
    transport::smtp::{
        client::{AsyncSmtpConnection, Tls as Mode},
        extension::ClientId,
    },
};

fn certificates() -> Certificates {
    Certificates::generate().expect("certificates")
}

#[tokio::test]
async fn a_mail_in_clear_text_arrives_decoded() {
    let inbox = start(Settings::default());
    plain(&inbox).send(mail("alice@example.com", "Grüße, https://example.com/?a=1&b=2")).await.expect("accepted");
    let message = inbox.wait_for(|message| message.to == ["alice@example.com"], DEADLINE).await.expect("arrived");
    assert_eq!(message.subject, "Grüße an dich");
    assert_eq!(message.from, "no-reply@example.com");
    assert_eq!(message.message_id, "alice@example.com");
    assert_eq!(message.text.as_deref().map(str::trim_end), Some("Grüße, https://example.com/?a=1&b=2"));
    assert_eq!(message.html.as_deref().map(str::trim_end), Some("<p>Grüße, https://example.com/?a=1&b=2</p>"));
}

#[tokio::test]
async fn starttls_is_demanded_and_works() {
    let inbox = start(Settings { tls: Tls::StartTls(certificates()), ..Settings::default() });
    let refused = plain(&inbox).send(mail("alice@example.com", "x")).await.expect_err("refused in clear");
    assert_eq!(refused.status().map(u16::from), Some(530));
    encrypted(&inbox, Mode::Required, None).send(mail("alice@example.com", "x")).await.expect("accepted");
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn implicit_tls_works() {
    let inbox = start(Settings { tls: Tls::Implicit(certificates()), ..Settings::default() });
    encrypted(&inbox, Mode::Wrapper, None).send(mail("alice@example.com", "x")).await.expect("accepted");
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_know_the_ca_refuses_the_server() {
    let inbox = start(Settings { tls: Tls::Implicit(certificates()), ..Settings::default() });
    let stranger = start(Settings { tls: Tls::Implicit(certificates()), ..Settings::default() });
    let ca = lettre::transport::smtp::client::Certificate::from_pem(stranger.ca_pem().expect("TLS").as_bytes());
    let parameters = lettre::transport::smtp::client::TlsParameters::builder("localhost".into())
        .add_root_certificate(ca.expect("a PEM"))
        .build()
        .expect("parameters");
    let transport = crate::client::Transport::builder_dangerous("localhost")
        .port(inbox.smtp_addr().port())
        .tls(Mode::Wrapper(parameters))
        .build();
    transport.send(mail("alice@example.com", "x")).await.expect_err("an unknown authority");
    assert!(inbox.messages().is_empty());
}

#[tokio::test]
async fn with_credentials_only_their_owner_sends() {
    let credentials = Some(Credentials::new("app", "s3cret:with colon"));
    let inbox = start(Settings { tls: Tls::StartTls(certificates()), credentials, ..Settings::default() });
    let send = |given| {
        let transport = encrypted(&inbox, Mode::Required, given);
        async move { transport.send(mail("alice@example.com", "x")).await }
    };
    assert_eq!(send(None).await.expect_err("no AUTH").status().map(u16::from), Some(530));
    assert_eq!(send(Some(("app", "wrong"))).await.expect_err("wrong").status().map(u16::from), Some(535));
    send(Some(("app", "s3cret:with colon"))).await.expect("accepted");
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn auth_login_works_too() {
    let credentials = Some(Credentials::new("app", "s3cret"));
    let inbox = start(Settings { credentials, ..Settings::default() });
    let mut dialogue = crate::client::Dialogue::open(&inbox).await;
    assert_eq!(dialogue.say("EHLO test").await, 250);
    assert_eq!(dialogue.say("AUTH LOGIN").await, 334);
    assert_eq!(dialogue.say("YXBw").await, 334);
    assert_eq!(dialogue.say("czNjcmV0").await, 235);
    assert_eq!(dialogue.say("MAIL FROM:<a@b.com>").await, 250);
}

#[tokio::test]
async fn lines_that_begin_with_dots_arrive_as_they_were_written() {
    let inbox = start(Settings::default());
    let text = ".\r\n..\r\n.hidden\r\nend";
    let envelope = mail("alice@example.com", "x").envelope().clone();
    plain(&inbox).send_raw(&envelope, format!("Subject: dots\r\n\r\n{text}").as_bytes()).await.expect("accepted");
    assert_eq!(inbox.messages()[0].raw, format!("Subject: dots\r\n\r\n{text}\r\n").into_bytes());
}

#[tokio::test]
async fn many_mails_over_one_connection_arrive_in_order() {
    let inbox = start(Settings::default());
    let hello = ClientId::Domain("test".into());
    let connect = AsyncSmtpConnection::connect_tokio1(inbox.smtp_addr(), Some(DEADLINE), &hello, None, None);
    let mut connection = connect.await.expect("connected");
    for number in 0..20 {
        let mail = mail(&format!("user{number}@example.com"), "x");
        connection.send(mail.envelope(), &mail.formatted()).await.expect("accepted");
    }
    let recipients: Vec<String> = inbox.messages().iter().map(|message| message.to[0].clone()).collect();
    assert_eq!(recipients, (0..20).map(|number| format!("user{number}@example.com")).collect::<Vec<_>>());
    assert_eq!(inbox.connections(), 1);
}

#[tokio::test]
async fn a_mail_server_that_is_down_refuses_connections_and_comes_back_on_its_port() {
    let inbox = start(Settings::default());
    let transport = plain(&inbox);
    transport.send(mail("before@example.com", "x")).await.expect("accepted");
    inbox.stop();
    inbox.stop();
    transport.send(mail("during@example.com", "x")).await.expect_err("down");
    inbox.start_again().expect("the same port");
    inbox.start_again().expect("is on already");
    plain(&inbox).send(mail("after@example.com", "x")).await.expect("accepted");
    assert_eq!(inbox.messages().len(), 2, "mails outlive the outage");
}

#[tokio::test]
async fn the_journal_names_the_mail_before_and_after_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("journal");
    let inbox = start(Settings { log: Some(log.clone()), ..Settings::default() });
    plain(&inbox).send(mail("alice@example.com", "secret words")).await.expect("accepted");
    drop(inbox);
    let text = std::fs::read_to_string(&log).expect("the journal");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!([&lines[0]["phase"], &lines[1]["phase"]], ["accepted", "answered"]);
    for line in &lines {
        assert_eq!(line["message_id"], "alice@example.com");
        assert_eq!(line["to"], serde_json::json!(["alice@example.com"]));
        assert_eq!((&line["connection"], &line["mail"]), (&1.into(), &1.into()));
        assert!(line["received_at_unix_ns"].as_i64() <= line["at_unix_ns"].as_i64());
    }
    assert!(!text.contains("secret words"));
}
