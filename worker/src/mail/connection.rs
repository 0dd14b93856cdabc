//! One SMTP connection, step by step, each step with its own time limit.
//!
//! Takes: where the server is, and messages. Gives: the reply to each, or a failure with its phase. Does not: retry, keep
//! connections for later (that is `pool`), or know what a lease is.
//!
//! lettre speaks the protocol; this file decides the order of the steps, because what a failure means depends on the step.
//! `TCP_NODELAY` is set by us: lettre 0.11 leaves Nagle's algorithm on and writes the message and its final dot apart.

use super::{
    addresses,
    reply::{Cause, Failure, Phase, Reply},
    stream::ImplicitTls,
    tls,
};
use lettre::{
    Address,
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, AsyncTokioStream},
        commands::{Data, Mail, Rcpt, Rset},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use pipeline::document::{Smtp, SmtpTls};
use secrecy::ExposeSecret;
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// Name lookup and TCP handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Greeting, EHLO, TLS, AUTH, MAIL, RCPT, DATA: each one.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// The message and its final dot; servers filter content before they answer.
const DOT_LIMIT: Duration = Duration::from_secs(120);
/// RSET and QUIT: what is known of a mail does not wait for courtesies.
const COURTESY_LIMIT: Duration = Duration::from_secs(2);

/// The step that a dialogue waits at, for whoever ends it from outside.
#[derive(Debug, Default)]
pub(super) struct Reached(Mutex<Option<Phase>>);

impl Reached {
    /// `None`: nothing was asked of the server yet.
    pub(super) fn step(&self) -> Option<Phase> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the dialogue is at this step from now on.
    fn at(&self, step: Phase) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
        step
    }
}

/// An open connection, greeted, encrypted and signed in as the settings demand.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    is_usable: bool,
}

impl Connection {
    /// Connects; credentials and CA are read from their files now, so rotated ones are used.
    pub(super) async fn open(settings: &Smtp, reached: &Reached) -> Result<Self, Failure> {
        let hello = ClientId::default();
        let tcp = within(CONNECT_LIMIT, reached.at(Phase::Connect), connect(&settings.host, settings.port)).await?;
        let ca_file = settings.ca_file.as_deref();
        let stream: Box<dyn AsyncTokioStream> = match settings.tls {
            SmtpTls::Implicit => {
                within(COMMAND_LIMIT, reached.at(Phase::Tls), handshake(tcp, &settings.host, ca_file)).await?
            }
            SmtpTls::StartTLS | SmtpTls::None => Box::new(tcp),
        };
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &hello);
        let mut smtp = step(COMMAND_LIMIT, reached.at(Phase::Greeting), greeting).await?;
        if settings.tls == SmtpTls::StartTLS {
            let parameters = tls::starttls(&settings.host, ca_file).map_err(|error| unusable(Phase::Tls, &error))?;
            step(COMMAND_LIMIT, reached.at(Phase::Tls), smtp.starttls(parameters, &hello)).await?;
        }
        if let Some(folder) = &settings.auth_dir {
            let credentials = read_credentials(folder)?;
            step(COMMAND_LIMIT, reached.at(Phase::Auth), smtp.auth(DEFAULT_MECHANISMS, &credentials)).await?;
        }
        Ok(Self { smtp, is_usable: true })
    }

    /// Names sender and recipient and asks to hand over: MAIL, RCPT, DATA. Nothing is handed over yet.
    ///
    /// # Cancel safety
    ///
    /// None: after a dropped call the connection is in an unknown state; [`Connection::is_usable`] says so.
    pub(super) async fn prepare(&mut self, envelope: &Envelope, reached: &Reached) -> Result<(), Failure> {
        self.is_usable = false;
        let mut options = Vec::new();
        if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
            if !self.smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
                self.is_usable = true;
                // An address of ours that it cannot carry is a setting, and no reason to give up anybody's mail.
                let phase = if envelope.from().is_some_and(|from| !is_ascii(from)) { Phase::Mail } else { Phase::Rcpt };
                return Err(Failure::new(phase, Cause::Unusable("it does not offer SMTPUTF8".into())));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        self.command(reached.at(Phase::Mail), Mail::new(envelope.from().cloned(), options)).await?;
        for recipient in envelope.to() {
            self.command(reached.at(Phase::Rcpt), Rcpt::new(recipient.clone(), Vec::new())).await?;
        }
        self.command(reached.at(Phase::Data), Data).await
    }

    /// Hands over the message and waits for the answer. It is ASCII with CRLF line ends, as `message::build` makes it.
    ///
    /// # Cancel safety
    ///
    /// None: a dropped call leaves open whether the server has the message.
    pub(super) async fn hand_over(&mut self, message: &[u8]) -> Result<Reply, Failure> {
        let response = step(DOT_LIMIT, Phase::Dot, self.smtp.message(message)).await.inspect_err(|failure| {
            // A refused message ends the transaction, so the connection is in order (RFC 5321 section 4.1.1.4).
            self.is_usable = failure.leaves_the_connection_open();
        })?;
        if !is_completion(&response) {
            return Err(Failure::new(Phase::Dot, Cause::Reply(Reply::from(&response))));
        }
        self.is_usable = true;
        Ok(Reply::from(&response))
    }

    /// Abandons a message that was not handed over (RSET), so that another may follow on this connection.
    pub(super) async fn reset(&mut self) {
        let answered = step(COURTESY_LIMIT, Phase::Mail, self.smtp.command(Rset)).await;
        self.is_usable = answered.is_ok();
    }

    /// True: another message may follow on this connection.
    pub(super) fn is_usable(&self) -> bool {
        self.is_usable && !self.smtp.has_broken()
    }

    /// Says goodbye; failures do not matter any more.
    pub(super) async fn quit(mut self) {
        let _ = tokio::time::timeout(COURTESY_LIMIT, self.smtp.quit()).await;
    }

    async fn command<C: std::fmt::Display>(&mut self, phase: Phase, command: C) -> Result<(), Failure> {
        let result = step(COMMAND_LIMIT, phase, self.smtp.command(command)).await;
        match result {
            Ok(response) if phase == Phase::Data && u16::from(response.code()) != 354 => {
                Err(Failure::new(phase, Cause::Reply(Reply::from(&response))))
            }
            Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

fn is_completion(response: &Response) -> bool {
    (200..300).contains(&u16::from(response.code()))
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let lost = |_| Failure::new(Phase::Connect, Cause::Lost);
    let stream = addresses::connect(host, port).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

async fn handshake(tcp: TcpStream, host: &str, ca_file: Option<&Path>) -> Result<Box<dyn AsyncTokioStream>, Failure> {
    let (config, name) = tls::implicit(host, ca_file).map_err(|error| unusable(Phase::Tls, &error))?;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await;
    Ok(Box::new(ImplicitTls(stream.map_err(|_| Failure::new(Phase::Tls, Cause::Lost))?)))
}

fn read_credentials(folder: &Path) -> Result<Credentials, Failure> {
    let read = |name: &str| pipeline::secret::read(&folder.join(name)).map_err(|error| unusable(Phase::Auth, &error));
    let (username, password) = (read("username")?, read("password")?);
    Ok(Credentials::new(username.expose_secret().to_owned(), password.expose_secret().to_owned()))
}

fn unusable(phase: Phase, error: &dyn std::error::Error) -> Failure {
    Failure::new(phase, Cause::Unusable(error.to_string()))
}

/// Runs one step of lettre's under a limit and measures it.
async fn step<T>(
    limit: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Failure> {
    within(limit, phase, async { work.await.map_err(|error| Failure::from_lettre(phase, &error)) }).await
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let result = tokio::time::timeout(limit, work).await;
    metrics::histogram!("signup_smtp_phase_duration_seconds", "phase" => phase.label())
        .record(start.elapsed().as_secs_f64());
    result.unwrap_or_else(|_| Err(Failure::new(phase, Cause::TimedOut)))
}
