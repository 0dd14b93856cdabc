//! Servers that take so many connections, or so many mails on one: a limit is not a death.

use super::*;
use crate::raw::{Session, serve_all};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// A server with limits, and what it saw.
#[derive(Default)]
struct Limited {
    /// Connections at once.
    connections: usize,
    /// Mails on one connection.
    mails: usize,
    /// How long it takes to greet; the first connection is greeted at once.
    greets_after: Duration,
    /// How long a connection counts after its end.
    lingers: Duration,
    /// What it says to one too many; `None`: nothing at all.
    refusal: Option<&'static str>,
    open: AtomicUsize,
    most: AtomicUsize,
    refused: AtomicUsize,
    accepted: AtomicUsize,
}

impl Limited {
    async fn start(self) -> (Smtp, Arc<Self>) {
        let server = Arc::new(self);
        let shared = Arc::clone(&server);
        let settings = serve_all(move |session| Arc::clone(&shared).session(session)).await;
        (settings, server)
    }

    async fn session(self: Arc<Self>, mut session: Session) {
        if self.open.fetch_add(1, SeqCst) >= self.connections {
            self.refused.fetch_add(1, SeqCst);
            match self.refusal {
                Some(refusal) => session.say(format!("{refusal}\r\n")).await,
                // Like a kernel that accepts for a server whose processes are all busy: it serves when one is free.
                None => while self.open.load(SeqCst) > self.connections && !session.is_closed().await {},
            }
            if self.refusal.is_some() || session.is_closed().await {
                self.open.fetch_sub(1, SeqCst);
                return;
            }
        }
        if self.most.fetch_max(self.open.load(SeqCst), SeqCst) > 0 {
            tokio::time::sleep(self.greets_after).await;
        }
        self.serve(&mut session).await;
        drop(session);
        tokio::time::sleep(self.lingers).await;
        self.open.fetch_sub(1, SeqCst);
    }

    async fn serve(&self, session: &mut Session) {
        session.greet("250-PIPELINING\r\n").await;
        for number in 0.. {
            if session.line("DATA\r\n").await.is_none() {
                return;
            }
            if number == self.mails {
                return session.say("421 too many mails here\r\n").await;
            }
            session.say("250\r\n250\r\n354\r\n").await;
            if session.line("\r\n.\r\n").await.is_none() {
                return;
            }
            self.accepted.fetch_add(1, SeqCst);
            session.say("250\r\n").await;
        }
    }
}

fn limited(connections: usize) -> Limited {
    let refusal = Some("421 4.7.0 Error: too many connections from you");
    Limited { connections, mails: usize::MAX, refusal, ..Limited::default() }
}

/// A mailer whose timers run.
fn running() -> Arc<Mailer> {
    let mailer = Arc::new(mailer());
    let timers = Arc::clone(&mailer);
    tokio::spawn(async move { timers.run().await });
    mailer
}

/// Sends so many mails, 16 at a time; each is accepted at its first attempt, and the breaker stays closed.
async fn send_all(mailer: &Arc<Mailer>, settings: &Smtp, mails: usize) {
    let left = Arc::new(AtomicUsize::new(mails));
    let slots = (0..16).map(|_| {
        let (mailer, settings, left) = (Arc::clone(mailer), settings.clone(), Arc::clone(&left));
        tokio::spawn(async move {
            while left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                let sent = send(&mailer, &settings).await;
                assert!(matches!(sent, Sent::Accepted(_)), "{sent:?}");
                assert!(!mailer.breaker().is_open());
            }
        })
    });
    for slot in slots.collect::<Vec<_>>() {
        tokio::time::timeout(SOON, slot).await.expect("in time").expect("each mail is accepted");
    }
}

#[tokio::test]
async fn a_server_that_takes_three_connections_gets_three() {
    let (settings, server) = limited(3).start().await;
    let mailer = running();
    send_all(&mailer, &settings, 500).await;
    assert_eq!(server.accepted.load(SeqCst), 500);
    let refused = server.refused.load(SeqCst);
    assert!(refused <= 16, "{refused} connections were tried in vain");
    let mut allowed = mailer.connections_allowed();
    let learnt = allowed.wait_for(|allowed| *allowed == Some(3));
    tokio::time::timeout(SOON, learnt).await.expect("it is told").expect("the mailer lives");
}

#[tokio::test]
async fn a_server_that_takes_few_mails_on_a_connection_gets_new_ones_at_once() {
    let server = Limited { mails: 5, lingers: Duration::from_millis(30), ..limited(4) };
    let (settings, server) = server.start().await;
    send_all(&running(), &settings, 400).await;
    assert_eq!((server.accepted.load(SeqCst), server.most.load(SeqCst)), (400, 4));
}

#[tokio::test]
async fn mails_whose_connection_is_not_greeted_go_over_those_that_are() {
    let (settings, server) = Limited { refusal: None, ..limited(4) }.start().await;
    // Their patience with a greeting is as long as this test's.
    send_all(&running(), &settings, 300).await;
    assert_eq!(server.accepted.load(SeqCst), 300);
}

#[tokio::test]
async fn no_more_connections_are_opened_than_mails_wait() {
    // Each greeting takes far longer than a mail, which goes over the first connection that is there.
    let (settings, server) = Limited { greets_after: Duration::from_millis(300), ..limited(1_000) }.start().await;
    send_all(&running(), &settings, 1_000).await;
    let most = server.most.load(SeqCst);
    // One that was just given to a mail is counted beside it for a moment.
    assert!(most <= 20, "{most} connections for 16 mails at a time");
}

#[tokio::test]
async fn an_idle_connection_with_other_settings_blocks_no_mail() {
    let (before, _server) = Limited { lingers: Duration::from_millis(30), ..limited(1) }.start().await;
    let mailer = running();
    send_all(&mailer, &before, 1).await;
    let after = Smtp { max_per_second: Some(5), ..before };
    send_all(&mailer, &after, 1).await;
}

#[tokio::test]
async fn where_connections_are_scarce_an_idle_one_is_soon_given_up() {
    let (settings, server) = limited(2).start().await;
    send_all(&running(), &settings, 100).await;
    let given_up = async {
        while server.open.load(SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, given_up).await.expect("soon, and not after half a minute");
}

#[tokio::test]
async fn no_more_connections_are_opened_than_are_allowed() {
    let (settings, server) = limited(100).start().await;
    let mailer = running();
    mailer.set_max_connections(Some(2));
    send_all(&mailer, &settings, 100).await;
    assert_eq!((server.most.load(SeqCst), server.refused.load(SeqCst)), (2, 0));
    mailer.set_max_connections(Some(5));
    send_all(&mailer, &settings, 200).await;
    assert!((3..=5).contains(&server.most.load(SeqCst)));
}

#[tokio::test]
async fn a_mail_that_waits_for_others_is_not_the_servers_fault() {
    let inbox = inbox(Settings::default());
    let (mailer, settings) = (running(), settings(&inbox, SmtpTls::None));
    mailer.set_max_connections(Some(1));
    inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let (cancelled, envelope) = (CancellationToken::new(), envelope());
    let first = send(&mailer, &settings);
    let second = mailer.send(&settings, &envelope, MESSAGE, &cancelled, &|| true);
    assert!(!mailer.has_next_mails(), "no mail is there");
    let ending = async {
        inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
        assert!(mailer.has_next_mails(), "one waits for the connection");
        cancelled.cancel();
    };
    let ended = async {
        let ((), second) = tokio::join!(ending, second);
        inbox.release("dot");
        second
    };
    let (first, second) = tokio::join!(first, ended);
    assert!(!mailer.has_next_mails(), "the connection is free");
    assert!(matches!((&first, &second), (Sent::Accepted(_), Sent::Crowded)), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_server_that_takes_nobody_is_down() {
    let (settings, _server) = Limited { refusal: Some("421 try later"), ..limited(0) }.start().await;
    let mailer = running();
    for _ in 0..5 {
        assert!(!mailer.breaker().is_open());
        assert_eq!(fail(&mailer, &settings).await.class(), Class::Limited);
    }
    assert!(mailer.breaker().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_full_of_others_is_asked_again_for_a_while() {
    let (settings, _server) = limited(0).start().await;
    let mailer = running();
    let start = tokio::time::Instant::now();
    let failure = loop {
        match send(&mailer, &settings).await {
            Sent::Crowded => assert!(!mailer.breaker().is_open()),
            Sent::Failed(failure) => break failure,
            other => panic!("a refusal was expected, not {other:?}"),
        }
    };
    assert_eq!(failure.class(), Class::Limited);
    assert!((60..75).contains(&start.elapsed().as_secs()), "after {:?}", start.elapsed());
}
