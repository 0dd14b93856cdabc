//! One mail on whichever connection it gets.
//!
//! Takes: a pool, an envelope, a message. Gives: a connection that waits for the message, and later the server's
//! answer to that. Does not: ask whether the message may go; whoever calls does, in between.
//!
//! Nothing is tried again but what says nothing about the mail: a connection that died while it lay idle, and MAIL
//! put off because of others.

use super::{
    Class, Sent,
    pool::{Lent, NoConnection, Pool},
    reached::Reached,
    reply::{Cause, Failure, Phase},
};
use lettre::address::Envelope;
use pipeline::document::Smtp;
use std::time::Duration;
use tokio::time::Instant;

/// How long a mail is offered to a server that puts it off for the sake of others.
const LIMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the message could not be handed over.
#[expect(clippy::large_enum_variant, reason = "one a mail, taken apart at once: a box would be an allocation a mail")]
pub(super) enum Unprepared {
    /// There is no connection for it.
    Crowded,
    /// None could be opened, or it was lost.
    Failed(Failure),
    /// The server said no on this connection.
    Refused(Failure, Lent),
}

impl From<NoConnection> for Unprepared {
    fn from(none: NoConnection) -> Self {
        match none {
            NoConnection::Crowded => Self::Crowded,
            NoConnection::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// A connection that waits for the message.
pub(super) async fn prepare(
    pool: &Pool,
    settings: &Smtp,
    envelope: &Envelope,
    message: &[u8],
    reached: &Reached,
) -> Result<Lent, Unprepared> {
    let give_up = Instant::now() + LIMIT_TIMEOUT;
    loop {
        let mut lent = pool.connection(settings, reached).await?;
        let Err(failure) = lent.connection.prepare(envelope, message, reached).await else { return Ok(lent) };
        if lent.has_idled && is_end_of_connection(&failure) {
            if failure.cause == Cause::TimedOut {
                pool.forget_idle();
            }
        } else if failure.phase != Phase::Mail || failure.class() != Class::Limited {
            return Err(Unprepared::Refused(failure, lent));
        } else if !pool.takes_fewer(lent, &failure) || Instant::now() > give_up {
            return Err(Unprepared::Failed(failure));
        }
    }
}

pub(super) async fn hand_over(pool: &Pool, settings: &Smtp, mut lent: Lent, message: &[u8]) -> Sent {
    match lent.connection.hand_over(message).await {
        Ok(reply) => {
            pool.accepted();
            pool.give_back(lent, settings);
            Sent::Accepted(reply)
        }
        Err(failure) => {
            give_back(pool, settings, lent, &failure);
            Sent::Failed(failure)
        }
    }
}

/// A refusal leaves a good connection, which the next mail can use after RSET.
pub(super) async fn abandon(pool: &Pool, settings: &Smtp, mut lent: Lent, failure: &Failure) {
    if failure.leaves_the_connection_open() {
        lent.connection.abandon().await;
    }
    give_back(pool, settings, lent, failure);
}

/// One connection fewer where the server says that this is too many.
fn give_back(pool: &Pool, settings: &Smtp, lent: Lent, failure: &Failure) {
    if failure.class() == Class::Limited {
        pool.takes_fewer(lent, failure);
    } else {
        pool.give_back(lent, settings);
    }
}

/// How a dialogue ends that was cancelled: whoever waits for other mails, or for a greeting while those are served, has
/// nothing to say against the server.
pub(super) fn interrupted(pool: &Pool, reached: &Reached) -> Sent {
    match reached.step() {
        Some(Phase::Connect | Phase::Tls | Phase::Greeting) if pool.is_open() => Sent::Crowded,
        Some(step) => Sent::Interrupted(step),
        None if reached.is_queued() => Sent::Crowded,
        None => Sent::Withheld,
    }
}

/// A connection that lay idle and whose server hung up, or wants no more mails on this one: not a word about this mail.
fn is_end_of_connection(failure: &Failure) -> bool {
    failure.phase == Phase::Mail && failure.code().is_none_or(|code| code < 500)
}
