//! The SMTP dialogue against a real, scripted mail server: every class of failure, encryption, sign-in, and reuse.

mod bytes;
mod dialogue;
mod encryption;
mod limits;
mod pipelining;
mod raw;

use inbox::{Action, Certificates, Credentials, Inbox, Phase, Rule, Settings, Tls};
use lettre::{Address, address::Envelope};
use pipeline::document::{Smtp, SmtpTls};
use std::{path::Path, time::Duration};
use tokio_util::sync::CancellationToken;
use worker::mail::{Class, Failure, Mailer, Sent, breaker::Breaker};

const MESSAGE: &[u8] = b"Subject: x\r\nMessage-ID: <1@example.com>\r\n\r\n.a line that begins with a dot\r\n";
const SOON: Duration = Duration::from_secs(10);

fn inbox(settings: Settings) -> Inbox {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Inbox::start(settings).expect("a free port")
}

fn settings(inbox: &Inbox, tls: SmtpTls) -> Smtp {
    let address = inbox.smtp_addr();
    let (host, port) = (address.ip().to_string(), address.port());
    Smtp { host, port, tls, ..raw::settings(port) }
}

fn mailer() -> Mailer {
    Mailer::new(Breaker::new(|shortest, _| shortest))
}

fn envelope() -> Envelope {
    let address = |text: &str| text.parse::<Address>().expect("an address");
    Envelope::new(Some(address("no-reply@example.com")), vec![address("alice1@email.com")]).expect("one recipient")
}

async fn send(mailer: &Mailer, settings: &Smtp) -> Sent {
    mailer.send(settings, &envelope(), MESSAGE, &CancellationToken::new(), &|| true).await
}

async fn fail(mailer: &Mailer, settings: &Smtp) -> Failure {
    match send(mailer, settings).await {
        Sent::Failed(failure) => failure,
        other => panic!("a failure was expected, not {other:?}"),
    }
}

/// The step that a dialogue names when it is cancelled while the server is silent.
async fn interrupted(inbox: &Inbox, settings: &Smtp, at: Phase) -> &'static str {
    let name = format!("{at:?}");
    inbox.rules([Rule::new(at, Action::Hold(name.clone()))]).expect("a good rule");
    let (mailer, cancelled, envelope) = (mailer(), CancellationToken::new(), envelope());
    let sending = mailer.send(settings, &envelope, MESSAGE, &cancelled, &|| true);
    let cancelling = async {
        inbox.wait_until_held(&name, 1, SOON).await.expect("the step is reached");
        cancelled.cancel();
    };
    match tokio::join!(sending, cancelling).0 {
        Sent::Interrupted(step) => step.label(),
        other => panic!("an interruption was expected, not {other:?}"),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a writable folder");
    path
}
