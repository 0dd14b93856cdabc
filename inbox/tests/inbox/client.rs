//! lettre as the client of an inbox, and a bare socket for what lettre would never say.

use inbox::{Inbox, Settings};
use lettre::{
    AsyncSmtpTransport, Message, Tokio1Executor,
    message::MultiPart,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Far above what anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(crate) fn start(settings: Settings) -> Inbox {
    Inbox::start(settings).expect("the inbox starts")
}

/// A transport without TLS or credentials.
pub(crate) fn plain(inbox: &Inbox) -> Transport {
    builder(inbox).build()
}

/// A transport over STARTTLS (`Tls::Required`) or implicit TLS (`Tls::Wrapper`) that trusts the inbox's CA.
pub(crate) fn encrypted(inbox: &Inbox, mode: fn(TlsParameters) -> Tls, credentials: Option<(&str, &str)>) -> Transport {
    let ca = Certificate::from_pem(inbox.ca_pem().expect("TLS is on").as_bytes()).expect("a PEM");
    let parameters = TlsParameters::builder("localhost".into()).add_root_certificate(ca).build().expect("parameters");
    let builder = builder(inbox).tls(mode(parameters));
    match credentials {
        Some((user, password)) => builder.credentials(Credentials::new(user.into(), password.into())).build(),
        None => builder.build(),
    }
}

fn builder(inbox: &Inbox) -> lettre::transport::smtp::AsyncSmtpTransportBuilder {
    Transport::builder_dangerous("localhost").port(inbox.smtp_addr().port()).timeout(Some(DEADLINE))
}

pub(crate) fn mail(to: &str, text: &str) -> Message {
    Message::builder()
        .from("Exämple <no-reply@example.com>".parse().expect("an address"))
        .to(to.parse().expect("an address"))
        .subject("Grüße an dich")
        .message_id(Some(format!("<{to}>")))
        .multipart(MultiPart::alternative_plain_html(text.to_owned(), format!("<p>{text}</p>")))
        .expect("a mail")
}

/// A dialogue line by line.
pub(crate) struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    /// Connects and reads the greeting.
    pub(crate) async fn open(inbox: &Inbox) -> Self {
        let stream = TcpStream::connect(inbox.smtp_addr()).await.expect("connected");
        let mut dialogue = Self(BufReader::new(stream));
        assert_eq!(dialogue.reply().await.as_deref(), Some("220 inbox ESMTP"));
        dialogue
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.expect("sent");
    }

    /// The last line of the next reply; `None` when the connection is closed.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(DEADLINE, self.0.read_line(&mut line)).await.expect("an answer in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    /// Sends a line and returns the code of the reply.
    pub(crate) async fn say(&mut self, line: &str) -> u16 {
        self.send(&format!("{line}\r\n")).await;
        let reply = self.reply().await.unwrap_or_default();
        reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}
