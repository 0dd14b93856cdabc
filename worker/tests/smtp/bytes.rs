//! What servers write, in bytes: any encoding, any line end, cut anywhere, and without an end.

use super::*;
use crate::raw::{serve, serve_all};

/// "Accepted" in GBK, and French in Latin-1.
const GBK: &[u8] = b"\xd3\xca\xbc\xfe\xd2\xd1\xbd\xd3\xca\xd5";
const LATIN_1: &[u8] = b"refus\xe9: identit\xe9";

fn with(code: &str, text: &[u8], end: &str) -> Vec<u8> {
    [code.as_bytes(), text, end.as_bytes()].concat()
}

#[tokio::test]
async fn a_mail_is_accepted_in_any_writing_of_250() {
    for reply in [
        b"250\r\n".to_vec(),
        b"250\n".to_vec(),
        b"250 ok\n".to_vec(),
        with("250 ", GBK, "\r\n"),
        with("250-", LATIN_1, "\r\n250\r\n"),
        b"250 2.0.0 Ok: queued as 4F".to_vec(),
        with("250 ", &vec![b'x'; 10 << 20], "\r\n"),
    ] {
        let dot = reply.clone();
        let (settings, served) = serve(async move |mut session| {
            session.say("220\n").await;
            session.hear("\r\n").await;
            session.say("250-raw\n250-PIPELINING\n250\n").await;
            session.hear("DATA\r\n").await;
            session.say(b"250\n250 \xe9\r\n354\n").await;
            session.hear("\r\n.\r\n").await;
            // A client that has read enough may be gone.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut session.0, &dot).await;
        })
        .await;
        let sent = send(&mailer(), &settings).await;
        let begin = String::from_utf8_lossy(&reply[..reply.len().min(40)]).into_owned();
        assert!(matches!(&sent, Sent::Accepted(reply) if reply.code == 250), "{begin}: {sent:?}");
        served.await.expect("the dialogue is in order");
    }
}

#[tokio::test]
async fn replies_may_come_a_byte_at_a_time_or_all_at_once() {
    let (settings, served) = serve(async |mut session| {
        for byte in b"220-hello\r\n220 hello\r\n" {
            session.say([*byte]).await;
            tokio::task::yield_now().await;
        }
        session.hear("\r\n").await;
        session.say("250-raw\r\n250 PIPELINING\r\n").await;
        session.hear("DATA\r\n").await;
        session.say("250-one\r\n250 sender\r\n250 recipient\r\n354 go on\r\n").await;
        let message = session.hear("\r\n.\r\n").await;
        session.say("250\r\n").await;
        message
    })
    .await;
    assert!(matches!(send(&mailer(), &settings).await, Sent::Accepted(_)));
    let message = served.await.expect("the dialogue is in order");
    assert_eq!(message, "Subject: x\r\nMessage-ID: <1@example.com>\r\n\r\n..a line that begins with a dot\r\n.\r\n");
}

#[tokio::test]
async fn refusals_in_latin_1_are_what_their_code_says() {
    for (at, code, class) in [
        ("RCPT", "550", Class::Permanent),
        ("RCPT", "450", Class::Transient),
        ("MAIL", "553", Class::Misconfigured),
        ("DATA", "451", Class::Transient),
    ] {
        let settings = serve_all(move |mut session| async move {
            session.greet("").await;
            loop {
                let command = session.hear("\r\n").await;
                let code = if command.starts_with(at) { code } else { "250" };
                session.say(with(code, &[b" 5.1.1 ", LATIN_1].concat(), "\r\n")).await;
            }
        })
        .await;
        let mailer = mailer();
        for _ in 0..6 {
            let failure = fail(&mailer, &settings).await;
            assert_eq!((failure.code(), failure.class()), (code.parse().ok(), class), "{at}");
        }
        assert_eq!(mailer.breaker().is_open(), class == Class::Misconfigured, "{at}");
    }
}

#[tokio::test]
async fn credentials_refused_in_latin_1_are_a_setting_to_correct() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "relay-user");
    write(folder.path(), "password", "secret");
    for (offers, challenges) in [("250-AUTH PLAIN\r\n", 0), ("250-AUTH LOGIN\r\n", 2)] {
        let (settings, _served) = serve(async move |mut session| {
            session.greet(offers).await;
            for _ in 0..challenges {
                session.hear("\r\n").await;
                session.say(b"334 \xe9\r\n").await;
            }
            session.hear("\r\n").await;
            session.say(with("535 ", LATIN_1, "\r\n")).await;
            session.rest().await;
        })
        .await;
        let failure = fail(&mailer(), &Smtp { auth_dir: Some(folder.path().into()), ..settings }).await;
        assert_eq!((failure.code(), failure.phase.label()), (Some(535), "auth"));
        assert_eq!(failure.class(), Class::Misconfigured);
    }
}

#[tokio::test]
async fn a_server_that_knows_helo_only_gets_the_mail() {
    let (settings, served) = serve(async |mut session| {
        session.say("220 old\r\n").await;
        assert_eq!(session.hear("\r\n").await, "EHLO client.example.com\r\n");
        session.say("502 what\r\n").await;
        assert_eq!(session.hear("\r\n").await, "HELO client.example.com\r\n");
        session.say("250 old\r\n").await;
        for (command, answer) in [("MAIL", "250\r\n"), ("RCPT", "250\r\n"), ("DATA", "354\r\n")] {
            assert!(session.hear("\r\n").await.starts_with(command));
            session.say(answer).await;
        }
        session.hear("\r\n.\r\n").await;
        session.say("250\r\n").await;
    })
    .await;
    assert!(matches!(send(&mailer(), &settings).await, Sent::Accepted(_)));
    served.await.expect("the dialogue is in order");
}

#[tokio::test]
async fn a_mail_larger_than_the_server_takes_is_never_offered() {
    let (settings, served) = serve(async |mut session| {
        session.greet("250-SIZE 10\r\n").await;
        session.rest().await
    })
    .await;
    let mailer = mailer();
    let failure = fail(&mailer, &settings).await;
    assert_eq!((failure.phase.label(), failure.class()), ("mail", Class::Misconfigured));
    assert!(failure.to_string().contains(" and the server takes 10;"), "{failure}");
    mailer.shutdown().await;
    assert_eq!(served.await.expect("no panic"), "QUIT\r\n", "the connection is in order");
}

#[tokio::test]
async fn what_has_no_end_is_ended() {
    for (at, begin, on_and_on, class) in [
        ("greeting", "220-", "220-word\r\n", Class::RelayDown),
        ("greeting", "220-", "220-\r\n", Class::RelayDown),
        ("ehlo", "250-", "250-X\r\n", Class::RelayDown),
        ("ehlo", "250 ", "x", Class::RelayDown),
        ("mail", "250 ", "x", Class::RelayDown),
        ("rcpt", "550 5.1.1 ", "x", Class::Permanent),
        ("rcpt", "250-", "250-x\r\n", Class::RelayDown),
        ("data", "354 ", "x", Class::RelayDown),
        ("dot", "550-5.1.1 ", "550-x\r\n", Class::Permanent),
        ("dot", "", "x", Class::Unknown),
    ] {
        let (settings, served) = serve(async move |mut session| {
            for (step, answer) in [
                ("greeting", "220\r\n"),
                ("ehlo", "250\r\n"),
                ("mail", "250\r\n"),
                ("rcpt", "250\r\n"),
                ("data", "354\r\n"),
            ] {
                if step == at {
                    break;
                }
                session.say(answer).await;
                session.hear(if step == "data" { "\r\n.\r\n" } else { "\r\n" }).await;
            }
            session.say(begin).await;
            let more = on_and_on.repeat(100);
            while tokio::io::AsyncWriteExt::write_all(&mut session.0, more.as_bytes()).await.is_ok() {}
        })
        .await;
        let failure = tokio::time::timeout(SOON, fail(&mailer(), &settings)).await.expect("an end");
        assert_eq!(failure.class(), class, "{at} {begin}{on_and_on}: {failure}");
        tokio::time::timeout(SOON, served).await.expect("it is hung up on").expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_waited_for_no_longer_than_silence() {
    for (at, reply, end, limit_s) in [
        ("greeting", "220 x", Some(Class::RelayDown), 30),
        ("mail", "250 x", Some(Class::RelayDown), 30),
        ("mail", "550 x", Some(Class::Misconfigured), 30),
        ("dot", "2", Some(Class::Unknown), 120),
        ("dot", "250 x", None, 120),
    ] {
        let (settings, _served) = serve(async move |mut session| {
            if at != "greeting" {
                session.greet("250-PIPELINING\r\n").await;
                session.hear("DATA\r\n").await;
            }
            if at == "dot" {
                session.say("250\r\n250\r\n354\r\n").await;
                session.hear("\r\n.\r\n").await;
            }
            for byte in reply.bytes().chain(std::iter::repeat(b'x')) {
                let is_over = reply.len() == 1 && byte == b'x';
                tokio::time::sleep(Duration::from_secs(if is_over { 1_000 } else { 1 })).await;
                session.say([byte]).await;
            }
        })
        .await;
        let start = tokio::time::Instant::now();
        let class = match send(&mailer(), &settings).await {
            Sent::Accepted(_) => None,
            Sent::Failed(failure) => {
                assert_eq!(failure.phase.label(), at);
                Some(failure.class())
            }
            other => panic!("an answer was expected, not {other:?}"),
        };
        assert_eq!((class, start.elapsed().as_secs()), (end, limit_s), "{at} {reply}");
    }
}

#[tokio::test]
async fn nothing_said_before_the_handshake_is_believed_after_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "relay-user");
    write(folder.path(), "password", "secret");
    for injected in ["250-inbox\r\n250 AUTH PLAIN\r\n", "250", "\r\n"] {
        let (settings, served) = serve(async move |mut session| {
            session.greet("250-STARTTLS\r\n").await;
            assert_eq!(session.hear("\r\n").await, "STARTTLS\r\n");
            session.say(format!("220 go ahead\r\n{injected}")).await;
            session.rest().await
        })
        .await;
        let auth_dir = Some(folder.path().to_owned());
        let failure = fail(&mailer(), &Smtp { tls: SmtpTls::StartTLS, auth_dir, ..settings }).await;
        assert_eq!(failure.phase.label(), "tls");
        assert!(failure.to_string().contains("it said more than STARTTLS asks for"), "{failure}");
        assert_eq!(served.await.expect("no panic"), "", "nothing is said to whoever wrote that");
    }
}
