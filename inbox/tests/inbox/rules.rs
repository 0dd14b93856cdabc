//! Every way in which the server can be told to misbehave, as a client sees it.

use crate::client::{DEADLINE, Dialogue, mail, plain, start};
use inbox::{Action, Inbox, Phase, Recipient, Rule, Settings};
use lettre::AsyncTransport;
use std::time::Duration;
use tokio::net::TcpStream;

async fn code(inbox: &Inbox, to: &str) -> u16 {
    match plain(inbox).send(mail(to, "x")).await {
        Ok(response) => u16::from(response.code()),
        Err(error) => error.status().map_or(0, u16::from),
    }
}

#[tokio::test]
async fn each_phase_can_refuse() {
    let inbox = start(Settings::default());
    for (phase, reply) in [
        (Phase::Greeting, 554),
        (Phase::Ehlo, 550),
        (Phase::MailFrom, 553),
        (Phase::Rcpt, 550),
        (Phase::Data, 451),
        (Phase::Dot, 554),
    ] {
        inbox.rules([Rule::reply(phase, reply, "no")]).expect("valid");
        assert_eq!(code(&inbox, "alice@example.com").await, reply, "{phase:?}");
    }
    assert!(inbox.messages().is_empty());
    inbox.rules([]).expect("valid");
    assert_eq!(code(&inbox, "alice@example.com").await, 250);
}

#[tokio::test]
async fn a_refusal_concerns_its_recipients_only_and_is_spent_after_its_times() {
    let inbox = start(Settings::default());
    let greylist = Rule::reply(Phase::Rcpt, 451, "later").to(Recipient::Prefix("grey".into())).times(2);
    let unknown = Rule::reply(Phase::Dot, 550, "unknown").to(Recipient::Exact("gone@example.com".into()));
    inbox.rules([greylist, unknown]).expect("valid");
    let mut codes = Vec::new();
    for to in ["grey1@example.com", "alice@example.com", "grey1@example.com", "grey1@example.com", "gone@example.com"] {
        codes.push(code(&inbox, to).await);
    }
    assert_eq!(codes, [451, 250, 451, 250, 550]);
}

#[tokio::test]
async fn a_fraction_of_the_recipients_is_refused_each_time() {
    let inbox = start(Settings::default());
    let third = Recipient::Fraction(3);
    inbox.rules([Rule::reply(Phase::Rcpt, 450, "later").to(third.clone())]).expect("valid");
    for number in 0..12 {
        let to = format!("user{number}@example.com");
        let expected = if third.matches(&to) { 450 } else { 250 };
        assert_eq!((code(&inbox, &to).await, code(&inbox, &to).await), (expected, expected), "{to}");
    }
}

#[tokio::test]
async fn code_421_closes_the_connection() {
    let inbox = start(Settings::default());
    inbox.rules([Rule::reply(Phase::MailFrom, 421, "4.3.2 going down")]).expect("valid");
    let mut dialogue = Dialogue::open(&inbox).await;
    dialogue.say("EHLO t").await;
    assert_eq!(dialogue.say("MAIL FROM:<a@b.com>").await, 421);
    assert_eq!(dialogue.reply().await, None);
}

#[tokio::test]
async fn a_connection_can_be_closed_at_every_phase() {
    let inbox = start(Settings::default());
    for phase in [Phase::Connect, Phase::Greeting, Phase::Ehlo, Phase::MailFrom, Phase::Rcpt, Phase::Data, Phase::Dot] {
        inbox.rules([Rule::new(phase, Action::Close)]).expect("valid");
        assert_eq!(code(&inbox, "alice@example.com").await, 0, "{phase:?}");
        assert!(inbox.messages().is_empty(), "{phase:?}");
    }
}

#[tokio::test]
async fn a_mail_whose_answer_is_lost_after_the_dot_is_kept_and_in_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("journal");
    let inbox = start(Settings { log: Some(log.clone()), ..Settings::default() });
    inbox.rules([Rule::new(Phase::Accepted, Action::Close)]).expect("valid");
    assert_eq!(code(&inbox, "alice@example.com").await, 0);
    assert_eq!(inbox.messages().len(), 1);
    let journal = std::fs::read_to_string(&log).expect("the journal");
    assert_eq!(journal.lines().count(), 1, "accepted and never answered: {journal}");
    assert!(journal.contains(r#""phase":"accepted""#));
}

#[tokio::test]
async fn a_mail_can_be_kept_and_refused_all_the_same() {
    let inbox = start(Settings::default());
    inbox.rules([Rule::reply(Phase::Accepted, 451, "try again")]).expect("valid");
    assert_eq!(code(&inbox, "alice@example.com").await, 451);
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn a_held_session_waits_for_its_release_and_holds_again_under_new_rules() {
    let inbox = start(Settings::default());
    for round in 1..=2 {
        inbox.rules([Rule::new(Phase::Accepted, Action::Hold("before 250".into()))]).expect("valid");
        let transport = plain(&inbox);
        let sending = tokio::spawn(async move { transport.send(mail("alice@example.com", "x")).await });
        inbox.wait_until_held("before 250", 1, DEADLINE).await.expect("held");
        assert_eq!(inbox.messages().len(), round, "the mail is kept before it is answered");
        assert!(!sending.is_finished());
        inbox.release("before 250");
        sending.await.expect("no panic").expect("accepted");
    }
}

#[tokio::test]
async fn a_held_session_ends_when_its_client_goes() {
    let inbox = start(Settings::default());
    inbox.rules([Rule::new(Phase::Greeting, Action::Hold("door".into()))]).expect("valid");
    let client = TcpStream::connect(inbox.smtp_addr()).await.expect("connected");
    inbox.wait_until_held("door", 1, DEADLINE).await.expect("held");
    drop(client);
    let held = || async {
        let url = format!("http://{}/holds", inbox.http_addr());
        reqwest::get(url).await.expect("an answer").json::<serde_json::Value>().await.expect("JSON")
    };
    let gone = async { while held().await["door"] != 0 {} };
    tokio::time::timeout(DEADLINE, gone).await.expect("the session ended");
}

#[tokio::test]
async fn a_server_that_never_answers_keeps_the_connection_and_says_nothing() {
    let inbox = start(Settings::default());
    inbox.rules([Rule::new(Phase::MailFrom, Action::Hang), Rule::reply(Phase::MailFrom, 550, "never")]).expect("valid");
    let mut dialogue = Dialogue::open(&inbox).await;
    dialogue.say("EHLO t").await;
    dialogue.send("MAIL FROM:<a@b.com>\r\n").await;
    // The rule is in force; the session hangs until the server is stopped, which the client sees as a closed
    // connection.
    let answer = tokio::time::timeout(Duration::from_millis(200), dialogue.reply()).await;
    assert!(answer.is_err(), "{answer:?}");
    inbox.stop();
    assert_eq!(dialogue.reply().await, None);
}

#[tokio::test]
async fn a_delay_comes_before_the_rules_behind_it() {
    let inbox = start(Settings::default());
    let delay = Rule::new(Phase::Rcpt, Action::Delay { ms: 50 });
    inbox.rules([delay, Rule::reply(Phase::Rcpt, 450, "later")]).expect("valid");
    let start = std::time::Instant::now();
    assert_eq!(code(&inbox, "alice@example.com").await, 450);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn waiting_for_what_never_comes_ends_with_what_was_seen() {
    let inbox = start(Settings::default());
    assert_eq!(code(&inbox, "alice@example.com").await, 250);
    let error = inbox.wait_for(|_| false, Duration::from_millis(10)).await.expect_err("nothing is wanted");
    assert!(error.to_string().contains("1 mails are kept"), "{error}");
}
