//! The dialogue as RFC 5321 and its extensions have it, spoken by hand.

use crate::client::{Dialogue, start};
use inbox::{Certificates, Settings, Tls};

#[tokio::test]
async fn commands_out_of_order_are_refused_and_change_nothing() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    for (line, code) in [
        ("MAIL FROM:<a@b.com>", 503),
        ("EHLO test", 250),
        ("RCPT TO:<c@d.com>", 503),
        ("DATA", 503),
        ("STARTTLS", 503),
        ("AUTH PLAIN AGEAYg==", 503),
        ("MAIL FROM:<a@b.com> SIZE=99999999999", 552),
        ("MAIL FROM:a@b.com", 501),
        ("MAIL FROM:<a@b.com>", 250),
        ("MAIL FROM:<a@b.com>", 503),
        ("DATA", 503),
        ("NONSENSE", 500),
        ("RCPT TO:<c@d.com>", 250),
        ("RSET", 250),
        ("DATA", 503),
        ("NOOP", 250),
        ("VRFY c", 252),
        ("QUIT", 221),
    ] {
        assert_eq!(dialogue.say(line).await, code, "{line}");
    }
    assert_eq!(dialogue.reply().await, None, "closed after QUIT");
    assert!(inbox.messages().is_empty());
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    dialogue.send("EHLO t\r\nMAIL FROM:<a@b.com>\r\nRCPT TO:<c@d.com>\r\nRCPT TO:<e@f.com>\r\nDATA\r\n").await;
    for code in ["250", "250", "250", "250", "354"] {
        assert!(dialogue.reply().await.is_some_and(|reply| reply.starts_with(code)), "{code}");
    }
    dialogue.send("Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n").await;
    for code in ["250", "221"] {
        assert!(dialogue.reply().await.is_some_and(|reply| reply.starts_with(code)), "{code}");
    }
    assert_eq!(inbox.messages()[0].to, ["c@d.com", "e@f.com"]);
}

/// What follows a dot between bare line feeds is still the mail, or one sender could put a mail of his own behind
/// another's.
#[tokio::test]
async fn only_a_dot_between_crlfs_ends_a_mail() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    for line in ["EHLO t", "MAIL FROM:<a@b.com>", "RCPT TO:<c@d.com>", "DATA"] {
        dialogue.say(line).await;
    }
    let body = "one\n.\nMAIL FROM:<x@y.com>\r\n.\nstill\n.\r\nthe mail\r\n";
    assert_eq!(dialogue.say(&format!("{body}.")).await, 250);
    assert_eq!(inbox.messages().len(), 1);
    // RFC 5321 section 4.5.2: a line that begins with a dot loses it, whatever its end.
    assert_eq!(inbox.messages()[0].raw, body.replace("\r\n.\n", "\r\n\n").into_bytes());
}

#[tokio::test]
async fn a_mail_above_the_size_limit_is_refused_and_the_connection_lives() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    for line in ["EHLO t", "MAIL FROM:<a@b.com>", "RCPT TO:<c@d.com>", "DATA"] {
        dialogue.say(line).await;
    }
    let line = format!("{}\r\n", "x".repeat(998));
    for _ in 0..11_000 {
        dialogue.send(&line).await;
    }
    assert_eq!(dialogue.say(".").await, 552);
    assert_eq!(dialogue.say("NOOP").await, 250);
    assert!(inbox.messages().is_empty());
}

#[tokio::test]
async fn commands_sent_in_clear_behind_starttls_are_not_obeyed() {
    let tls = Tls::StartTls(Certificates::generate().expect("certificates"));
    let inbox = start(Settings { tls, ..Settings::default() });
    let mut dialogue = Dialogue::open(&inbox).await;
    dialogue.say("EHLO t").await;
    dialogue.send("STARTTLS\r\nNOOP\r\nNOOP\r\n").await;
    assert!(dialogue.reply().await.is_some_and(|reply| reply.starts_with("220")));
    dialogue.send("this is no TLS\r\n").await;
    let next = dialogue.reply().await;
    assert!(next.as_ref().is_none_or(|reply| !reply.starts_with("250")), "{next:?}");
}

#[tokio::test]
async fn a_command_line_without_end_is_not_kept_for_ever() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    dialogue.send(&"x".repeat(20_000)).await;
    assert_eq!(dialogue.reply().await, None);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_dot_has_sent_nothing() {
    let inbox = start(Settings::default());
    let mut dialogue = Dialogue::open(&inbox).await;
    for line in ["EHLO t", "MAIL FROM:<a@b.com>", "RCPT TO:<c@d.com>", "DATA"] {
        dialogue.say(line).await;
    }
    dialogue.send("Subject: half\r\n\r\nand no").await;
    drop(dialogue);
    let mut second = Dialogue::open(&inbox).await;
    second.say("QUIT").await;
    inbox.stop();
    assert!(inbox.messages().is_empty());
}
