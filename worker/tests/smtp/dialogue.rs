//! What the mail server answers, connections that are used again, and the breaker.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let inbox = inbox(Settings::default());
    let sent = send(&mailer(), &settings(&inbox, SmtpTls::None)).await;
    assert!(matches!(sent, Sent::Accepted(reply) if reply.code == 250));
    let raw = inbox.messages()[0].raw.clone();
    assert!(raw.starts_with(MESSAGE), "{}", String::from_utf8_lossy(&raw));
}

#[tokio::test]
async fn every_row_of_the_table_of_classes() {
    use Class::{Limited, Misconfigured, Permanent, RelayDown, Transient, Unknown};
    let inbox = inbox(Settings::default());
    let settings = settings(&inbox, SmtpTls::None);
    let reply = Rule::reply;
    let close = |at| Rule::new(at, Action::Close);
    let rows = [
        (close(Phase::Connect), RelayDown),
        (reply(Phase::Greeting, 554, "no service"), RelayDown),
        (reply(Phase::Ehlo, 421, "busy"), Limited),
        (reply(Phase::MailFrom, 421, "busy"), Limited),
        (reply(Phase::MailFrom, 451, "local error"), Limited),
        (reply(Phase::MailFrom, 550, "5.7.1 sender refused"), Misconfigured),
        (close(Phase::MailFrom), RelayDown),
        (reply(Phase::Rcpt, 450, "4.2.0 greylisted"), Transient),
        (reply(Phase::Rcpt, 451, "4.7.1 greylisted"), Transient),
        (reply(Phase::Rcpt, 452, "4.2.2 full"), Transient),
        (reply(Phase::Rcpt, 454, "4.7.0 TLS"), RelayDown),
        (reply(Phase::Rcpt, 550, "5.1.1 unknown"), Permanent),
        (reply(Phase::Rcpt, 551, "5.1.6 moved"), Permanent),
        (reply(Phase::Rcpt, 553, "5.1.3 bad"), Permanent),
        (reply(Phase::Rcpt, 554, "5.7.1 relay access denied"), Misconfigured),
        (
            reply(Phase::Rcpt, 504, "5.5.2 <worker>: Helo command rejected: need fully-qualified hostname"),
            Misconfigured,
        ),
        (reply(Phase::Rcpt, 552, "5.2.2 mailbox full"), Transient),
        (reply(Phase::Rcpt, 452, "4.5.3 too many mails"), Limited),
        (close(Phase::Rcpt), RelayDown),
        (reply(Phase::Data, 451, "later"), Transient),
        (close(Phase::Data), RelayDown),
        (reply(Phase::Dot, 451, "4.3.0 later"), Transient),
        (reply(Phase::Dot, 421, "closing"), Limited),
        (reply(Phase::Dot, 554, "5.6.0 refused"), Misconfigured),
        (reply(Phase::Dot, 550, "5.4.5 daily quota exceeded"), Limited),
        (close(Phase::Dot), Unknown),
        (close(Phase::Accepted), Unknown),
    ];
    for (rule, class) in rows {
        inbox.rules([rule.clone()]).expect("a good rule");
        assert_eq!(fail(&mailer(), &settings).await.class(), class, "{rule:?}");
    }
    inbox.stop();
    assert_eq!(fail(&mailer(), &settings).await.class(), RelayDown, "nobody listens");
}

#[tokio::test]
async fn a_host_name_that_does_not_exist_is_a_relay_that_is_down() {
    let inbox = inbox(Settings::default());
    let settings = Smtp { host: "no-such-host.invalid".into(), ..settings(&inbox, SmtpTls::None) };
    assert_eq!(fail(&mailer(), &settings).await.class(), Class::RelayDown);
}

#[tokio::test]
async fn mails_share_a_connection_and_a_refused_one_does_not_cost_it() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    for rule in
        [None, Some(Rule::reply(Phase::Rcpt, 550, "5.1.1 unknown")), Some(Rule::reply(Phase::Dot, 451, "later"))]
    {
        inbox.rules(rule).expect("a good rule");
        send(&mailer, &settings).await;
    }
    inbox.rules([]).expect("no rules");
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    assert_eq!(inbox.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_without_a_failure() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    send(&mailer, &settings).await;
    inbox.stop();
    inbox.start_again().expect("the same port");
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    assert!(!mailer.breaker().is_open());
}

#[tokio::test]
async fn a_server_that_wants_no_more_mails_on_one_connection_gets_a_new_one() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    send(&mailer, &settings).await;
    inbox.rules([Rule::reply(Phase::MailFrom, 421, "too many mails").times(1)]).expect("a good rule");
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
    assert_eq!(inbox.connections(), 2);
}

#[tokio::test]
async fn changed_settings_open_a_new_connection() {
    let inbox = inbox(Settings::default());
    let (mailer, before) = (mailer(), settings(&inbox, SmtpTls::None));
    send(&mailer, &before).await;
    let after = Smtp { max_per_second: Some(5), ..before };
    send(&mailer, &after).await;
    assert_eq!(inbox.connections(), 2);
}

#[tokio::test]
async fn i4_a_clearance_withdrawn_while_the_server_prepares_leaves_the_mail_unsent() {
    let inbox = inbox(Settings::default());
    inbox.rules([Rule::new(Phase::Data, Action::Hold("data".into()))]).expect("a good rule");
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    let is_mine = std::sync::atomic::AtomicBool::new(true);
    let clearance = || is_mine.load(std::sync::atomic::Ordering::SeqCst);
    let (never, envelope) = (CancellationToken::new(), envelope());
    let sending = mailer.send(&settings, &envelope, MESSAGE, &never, &clearance);
    let withdrawing = async {
        inbox.wait_until_held("data", 1, SOON).await.expect("DATA arrives");
        is_mine.store(false, std::sync::atomic::Ordering::SeqCst);
        inbox.release("data");
    };
    let (sent, ()) = tokio::join!(sending, withdrawing);
    assert!(matches!(sent, Sent::Withheld));
    inbox.rules([]).expect("no rules");
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)), "the connection in doubt is not used again");
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn a_cancelled_dialogue_ends_before_the_mail_and_never_in_it() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    for (at, name, is_sent) in
        [(Phase::Rcpt, "rcpt", false), (Phase::Data, "data", false), (Phase::Accepted, "accepted", true)]
    {
        inbox.rules([Rule::new(at, Action::Hold(name.into()))]).expect("a good rule");
        let (cancelled, envelope) = (CancellationToken::new(), envelope());
        let sending = mailer.send(&settings, &envelope, MESSAGE, &cancelled, &|| true);
        let cancelling = async {
            inbox.wait_until_held(name, 1, SOON).await.expect("the phase is reached");
            cancelled.cancel();
            if is_sent {
                inbox.release(name);
            }
        };
        let (sent, ()) = tokio::join!(sending, cancelling);
        assert_eq!(matches!(sent, Sent::Accepted(_)), is_sent, "{sent:?}");
        assert_eq!(matches!(sent, Sent::Interrupted(_)), !is_sent, "{sent:?}");
    }
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn an_interrupted_dialogue_names_the_step_at_which_the_server_was_silent() {
    let inbox = inbox(Settings::default());
    let settings = settings(&inbox, SmtpTls::None);
    for (at, step) in [
        (Phase::Greeting, "greeting"),
        (Phase::Ehlo, "greeting"),
        (Phase::MailFrom, "mail"),
        (Phase::Rcpt, "rcpt"),
        (Phase::Data, "data"),
    ] {
        assert_eq!(interrupted(&inbox, &settings, at).await, step, "{at:?}");
    }
}

#[tokio::test]
async fn a_dialogue_cancelled_before_anything_was_asked_says_nothing_of_the_server() {
    let inbox = inbox(Settings::default());
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let settings = settings(&inbox, SmtpTls::None);
    let sent = mailer().send(&settings, &envelope(), MESSAGE, &cancelled, &|| true).await;
    assert!(matches!(sent, Sent::Withheld), "{sent:?}");
    assert_eq!(inbox.connections(), 0);
}

#[tokio::test]
async fn five_dialogues_without_a_server_open_the_breaker_and_one_reply_closes_it() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    inbox.stop();
    for _ in 0..5 {
        assert!(!mailer.breaker().is_open());
        fail(&mailer, &settings).await;
    }
    assert!(mailer.breaker().is_open());
    inbox.start_again().expect("the same port");
    inbox.rules([Rule::reply(Phase::Rcpt, 550, "5.1.1 unknown")]).expect("a good rule");
    fail(&mailer, &settings).await;
    assert!(!mailer.breaker().is_open(), "a server that refuses an address works");
}

#[tokio::test]
async fn refused_recipients_do_not_open_the_breaker_whatever_the_server_calls_it() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (mailer(), settings(&inbox, SmtpTls::None));
    inbox.rules([Rule::reply(Phase::Rcpt, 554, "5.7.1 access denied")]).expect("a good rule");
    for _ in 0..6 {
        fail(&mailer, &settings).await;
    }
    assert!(!mailer.breaker().is_open());
}

/// Starts a server that the inbox cannot play, and tells its port.
async fn port_of<S: Future<Output = ()> + Send + 'static>(server: fn(TcpListener) -> S) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(server(listener));
    port
}

/// A mail server that refuses every recipient and then says nothing more.
async fn silent_after_a_refusal(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut command = [0; 512];
    for answer in ["220 here\r\n", "250 here\r\n", "250 ok\r\n", "550 5.1.1 unknown\r\n"] {
        stream.write_all(answer.as_bytes()).await.expect("the client listens");
        let length = stream.read(&mut command).await.expect("the client speaks");
        assert!(length > 0, "the client hung up after {answer}");
    }
    std::future::pending().await
}

#[tokio::test]
async fn a_refusal_is_told_although_the_server_does_not_answer_rset() {
    let inbox = inbox(Settings::default());
    let settings = Smtp { port: port_of(silent_after_a_refusal).await, ..settings(&inbox, SmtpTls::None) };
    let told =
        tokio::time::timeout(SOON, fail(&mailer(), &settings)).await.expect("it does not wait for the answer to RSET");
    assert_eq!(told.class(), Class::Permanent);
}

/// A mail server without any extension, which the inbox is not; as far as EHLO.
async fn plain_server(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        stream.write_all(b"220 plain\r\n").await.expect("the client listens");
        let mut hello = [0; 512];
        let length = stream.read(&mut hello).await.expect("the client speaks");
        assert!(hello[..length].starts_with(b"EHLO"));
        stream.write_all(b"250 plain\r\n").await.expect("the client listens");
        let _ = stream.read(&mut hello).await;
    }
}

#[tokio::test]
async fn without_smtputf8_a_recipient_is_refused_and_a_sender_is_a_setting() {
    let inbox = inbox(Settings::default());
    let settings = Smtp { port: port_of(plain_server).await, ..settings(&inbox, SmtpTls::None) };
    for (from, to, class) in [
        ("no-reply@b\u{fc}cher.example", "alice1@email.com", Class::Misconfigured),
        ("no-reply@example.com", "\u{e4}lice@email.com", Class::Permanent),
    ] {
        let address = |text: &str| text.parse().expect("an address");
        let envelope = Envelope::new(Some(address(from)), vec![address(to)]).expect("one recipient");
        let sent = mailer().send(&settings, &envelope, MESSAGE, &CancellationToken::new(), &|| true).await;
        assert!(matches!(&sent, Sent::Failed(failure) if failure.class() == class), "{from} to {to}: {sent:?}");
    }
}
