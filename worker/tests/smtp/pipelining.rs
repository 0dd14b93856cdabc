//! MAIL, RCPT and DATA together (RFC 2920), and whose reply is whose.

use super::*;
use crate::raw::{Session, serve, serve_all};

/// Answers the three commands, which come together, with these replies.
async fn answer(session: &mut Session, [mail, rcpt, data]: [&str; 3]) {
    session.greet("250-PIPELINING\r\n").await;
    let commands = session.hear("DATA\r\n").await;
    assert_eq!(commands, "MAIL FROM:<no-reply@example.com>\r\nRCPT TO:<alice1@email.com>\r\nDATA\r\n");
    session.say(format!("{mail}\r\n{rcpt}\r\n{data}\r\n")).await;
}

#[tokio::test]
async fn two_round_trips_a_mail() {
    let (settings, served) = serve(async |mut session| {
        answer(&mut session, ["250", "250", "354"]).await;
        for _ in 0..3 {
            assert!(session.hear("\r\n.\r\n").await.starts_with("Subject: "));
            session.say("250\r\n").await;
            session.hear("DATA\r\n").await;
            session.say("250\r\n250\r\n354\r\n").await;
        }
        session.hear("\r\n.\r\n").await;
        session.say("250\r\n").await;
    })
    .await;
    let mailer = mailer();
    for _ in 0..4 {
        assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    }
    served.await.expect("the dialogue is in order");
}

#[tokio::test]
async fn without_the_offer_each_command_waits_for_the_reply_before() {
    let (settings, served) = serve(async |mut session| {
        session.greet("").await;
        for (command, answer) in [
            ("MAIL FROM:<no-reply@example.com>\r\n", "250\r\n"),
            ("RCPT TO:<alice1@email.com>\r\n", "250\r\n"),
            ("DATA\r\n", "354\r\n"),
        ] {
            assert_eq!(session.hear("\r\n").await, command);
            // What was sent too early would be here.
            let mut early = [0; 64];
            let waited = tokio::time::timeout(Duration::from_millis(20), session.0.peek(&mut early)).await;
            assert!(waited.is_err(), "nothing follows {command}");
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
async fn each_reply_belongs_to_its_command() {
    use Class::{Limited, Misconfigured, Permanent, Transient};
    for (replies, phase, class) in [
        (["550 5.7.1 sender", "503 MAIL first", "503 RCPT first"], "mail", Misconfigured),
        (["451 later", "503 MAIL first", "503 RCPT first"], "mail", Limited),
        (["250", "550 5.1.1 unknown", "554 no valid recipients"], "rcpt", Permanent),
        (["250", "550 5.1.1 unknown", "503-the server said\r\n503 no"], "rcpt", Permanent),
        (["250", "450 4.2.0 greylisted", "554 no valid recipients"], "rcpt", Transient),
        (["250", "250", "451 later"], "data", Transient),
        (["250", "550 5.1.1 unknown", "354 go on"], "rcpt", Permanent),
    ] {
        let settings = serve_all(move |mut session| async move { answer(&mut session, replies).await }).await;
        let failure = fail(&mailer(), &settings).await;
        assert_eq!((failure.phase.label(), failure.class()), (phase, class), "{replies:?}");
    }
}

#[tokio::test]
async fn after_a_refusal_the_connection_is_in_step_again() {
    let (settings, served) = serve(async |mut session| {
        answer(&mut session, ["250", "550 5.1.1 unknown", "554 no valid recipients"]).await;
        assert_eq!(session.hear("\r\n").await, "RSET\r\n");
        session.say("250\r\n").await;
        session.hear("DATA\r\n").await;
        session.say("250\r\n250\r\n354\r\n").await;
        session.hear("\r\n.\r\n").await;
        session.say("250\r\n").await;
    })
    .await;
    let mailer = mailer();
    assert_eq!(fail(&mailer, &settings).await.class(), Class::Permanent);
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    served.await.expect("the dialogue is in order");
}

#[tokio::test]
async fn data_that_is_accepted_for_nobody_makes_no_mail() {
    let (settings, served) = serve(async |mut session| {
        answer(&mut session, ["250", "550 5.1.1 unknown", "354 go on"]).await;
        session.rest().await
    })
    .await;
    let mailer = mailer();
    assert_eq!(fail(&mailer, &settings).await.class(), Class::Permanent);
    mailer.shutdown().await;
    assert_eq!(served.await.expect("no panic"), "", "the server is asked nothing more, not even with a dot");
}

#[tokio::test]
async fn a_server_that_says_goodbye_while_nothing_is_asked_costs_no_mail_anything() {
    let settings = serve_all(|mut session| async move {
        answer(&mut session, ["250", "250", "354"]).await;
        session.hear("\r\n.\r\n").await;
        session.say("250\r\n421 one mail a connection\r\n").await;
    })
    .await;
    let mailer = mailer();
    for _ in 0..10 {
        assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    }
}
