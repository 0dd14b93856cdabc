//! One mail over SMTP.
//!
//! Takes: settings, an envelope, a message, and a clearance to ask right before the message is handed over. Gives: [`Sent`].
//! Does not: render mails, know leases or databases, or try again (but for a connection that died while idle, where nothing
//! had been said about the mail yet).
//!
//! # Layout
//!
//! - `connection`: the dialogue, step by step (`reached` says which); `addresses`: to the address that answers first
//! - `commands`, `sign_in`: what is said; `offers`: what the server can
//! - `wire`, `stream`, `replies`: over TCP or TLS, in bytes; `tls`: whom we trust
//! - [`reply`]: what the server said; [`class`]: what its end means
//! - [`breaker`]: no tasks while the server is down
//! - `pace`: no more per second than allowed; `pool`: connections kept

mod addresses;
pub mod breaker;
pub mod class;
mod commands;
mod connection;
mod offers;
pub(crate) mod pace;
mod pool;
mod reached;
mod replies;
pub mod reply;
mod sign_in;
mod stream;
mod tls;
mod wire;

use breaker::Breaker;
pub use class::Class;
use connection::Connection;
use lettre::address::Envelope;
use pipeline::document::Smtp;
use pool::Pool;
use reached::Reached;
use reply::{Cause, Reply};
pub use reply::{Failure, Phase};
use tokio_util::sync::CancellationToken;

/// How one message ended.
#[derive(Debug)]
pub enum Sent {
    /// The server took responsibility: 250 to the final dot.
    Accepted(Reply),
    /// It did not, or nobody knows; see [`Failure::class`].
    Failed(Failure),
    /// Cancelled while the server was waited for at this step, before the message was handed over.
    Interrupted(Phase),
    /// Its clearance was refused, or it was cancelled before anything was asked of the server, which has no part in this.
    Withheld,
}

/// Asked right before the message is handed over: true lets it go.
pub type Clearance<'a> = &'a (dyn Fn() -> bool + Sync);

/// Sends mails; one per process.
pub struct Mailer {
    pool: Pool,
    breaker: Breaker,
}

impl Mailer {
    /// Opens nothing yet.
    pub fn new(breaker: Breaker) -> Self {
        Self { pool: Pool::default(), breaker }
    }

    /// Says whether the mail server is usable.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Runs one dialogue. `cancelled` ends it as long as the message is not handed over; after that the answer is awaited.
    pub async fn send(
        &self,
        settings: &Smtp,
        envelope: &Envelope,
        message: &[u8],
        cancelled: &CancellationToken,
        clearance: Clearance<'_>,
    ) -> Sent {
        if cancelled.is_cancelled() {
            return Sent::Withheld;
        }
        let reached = Reached::default();
        let prepared = tokio::select! {
            // What has arrived is looked at first, so that the step at which the server is silent is the right one.
            biased;
            prepared = self.prepare(settings, envelope, message, &reached) => prepared,
            () = cancelled.cancelled() => return reached.step().map_or(Sent::Withheld, Sent::Interrupted),
        };
        let sent = match prepared {
            // After the 354 nothing but the message may be said: closing the connection discards it.
            Ok(_) if !clearance() => Sent::Withheld,
            Ok(connection) => self.hand_over(settings, connection, message).await,
            Err(Unprepared { failure, connection }) => {
                // Here, where nothing interrupts it: what is known of the mail is not lost over a courtesy.
                if let Some(connection) = connection {
                    self.keep(&failure, connection, settings).await;
                }
                Sent::Failed(failure)
            }
        };
        self.observe(&sent);
        sent
    }

    /// Keeps the timers of pool and breaker going; runs until dropped.
    pub async fn run(&self) {
        tokio::join!(self.pool.run(), self.breaker.run());
    }

    /// Applies changed settings: idle connections are closed and an open breaker lets a probe go.
    pub async fn settings_changed(&self) {
        self.breaker.probe_now();
        self.pool.quit_all().await;
    }

    /// Closes idle connections politely.
    pub async fn shutdown(&self) {
        self.pool.quit_all().await;
    }

    /// A connection that waits for the message.
    async fn prepare(
        &self,
        settings: &Smtp,
        envelope: &Envelope,
        message: &[u8],
        reached: &Reached,
    ) -> Result<Connection, Unprepared> {
        if let Some(mut connection) = self.pool.take(settings) {
            match connection.prepare(envelope, message, reached).await {
                Ok(()) => return Ok(connection),
                Err(failure) if is_end_of_connection(&failure) => self.pool.clear(),
                Err(failure) => return Err(Unprepared { failure, connection: Some(connection) }),
            }
        }
        let opened = Connection::open(settings, reached).await;
        let mut connection = opened.map_err(|failure| Unprepared { failure, connection: None })?;
        match connection.prepare(envelope, message, reached).await {
            Ok(()) => Ok(connection),
            Err(failure) => Err(Unprepared { failure, connection: Some(connection) }),
        }
    }

    async fn hand_over(&self, settings: &Smtp, mut connection: Connection, message: &[u8]) -> Sent {
        let answer = connection.hand_over(message).await;
        self.pool.put(connection, settings);
        answer.map_or_else(Sent::Failed, Sent::Accepted)
    }

    /// A refusal leaves a good connection, which the next mail can use after RSET.
    async fn keep(&self, failure: &Failure, mut connection: Connection, settings: &Smtp) {
        if failure.leaves_the_connection_open() {
            connection.abandon().await;
        }
        self.pool.put(connection, settings);
    }

    /// The failure of a dialogue that was interrupted because its time was up: who says nothing is as good as not there.
    pub(crate) fn time_was_up(&self, step: Phase) -> Failure {
        self.learn(false, step);
        Failure::new(step, Cause::TimedOut)
    }

    fn learn(&self, works: bool, phase: Phase) {
        self.breaker.record(works);
        metrics::gauge!("signup_mail_reachable").set(if works { 1.0 } else { 0.0 });
        for other in Phase::ALL {
            let fails_here = !works && other == phase;
            metrics::gauge!("signup_mail_failing", "phase" => other.label()).set(if fails_here { 1.0 } else { 0.0 });
        }
    }

    fn observe(&self, sent: &Sent) {
        let (works, code, phase) = match sent {
            Sent::Accepted(reply) => (Some(true), Some(reply.code), Phase::Dot),
            Sent::Failed(failure) => (failure.relay_works(), failure.code(), failure.phase),
            Sent::Interrupted(_) | Sent::Withheld => return,
        };
        if let Some(works) = works {
            self.learn(works, phase);
        }
        if let Some(code) = code {
            metrics::gauge!("signup_mail_last_reply_code").set(f64::from(code));
        }
    }
}

/// Why the message could not be handed over, and the connection on which that turned out.
struct Unprepared {
    failure: Failure,
    connection: Option<Connection>,
}

/// A reused connection whose server hung up, or wants no more mails on this one: not a word about this mail.
fn is_end_of_connection(failure: &Failure) -> bool {
    failure.phase == Phase::Mail && failure.code().is_none_or(|code| code < 500)
}
