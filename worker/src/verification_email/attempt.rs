//! One attempt: the mail is written and sent under the lease.
//!
//! Takes: the lease. Gives: what became of the mail, recorded in PostgreSQL. Does not: start a dialogue for a mail that is not
//! owed, due and ours (I4): the lease says all three, and it is asked again right before the mail is handed over.

use super::{VerificationEmail, outcome::Outcome};
use crate::{
    lease::Lease,
    mail::{Class, Failure, Phase, Sent, reply},
    message::{self, MessageError, Ready},
};
use futures::FutureExt as _;
use pipeline::Document;
use queue::TimeLimit;
use signup::{Code, Leased};
use std::{panic::AssertUnwindSafe, time::SystemTime};
use tokio_util::sync::CancellationToken;

/// What ended an attempt, before it is recorded.
pub(super) enum Ended {
    /// The mail server's 250 to the final dot.
    Accepted(reply::Reply),
    /// Anything else that says something about mail or server.
    Failed {
        class: Class,
        /// Kept in PostgreSQL; may hold addresses.
        record: String,
        /// For logs and the queue.
        cause: String,
    },
    /// Ended by us while the mail server was waited for at this step.
    Interrupted(Phase),
    /// Ended by us before the mail was handed over, and nothing is wrong with mail or server.
    Withheld,
}

impl VerificationEmail {
    pub(super) async fn attempt(
        &self,
        document: &Document,
        limit: &TimeLimit,
        leased: &Leased,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Outcome {
        let attempt = AssertUnwindSafe(async {
            match self.code(leased).await.and_then(|code| self.write(document, leased, &code)) {
                Ok(ready) => self.send(document, &ready, lease, stop).await,
                Err(ended) => ended,
            }
        });
        let ended = tokio::select! {
            // Nothing here is shared with a later attempt but the mailer, whose locks hold plain values.
            ended = attempt.catch_unwind() => ended.unwrap_or_else(|_| internal("panicked while sending the mail")),
            () = lease.keep() => internal("the lease's upkeep ended"),
        };
        let ended = match ended {
            // The server had not even asked for the mail. A dialogue can be interrupted for other reasons, which say nothing of
            // it: a lease is lost, the worker stops, or somebody cancelled the task by hand.
            Ended::Interrupted(step) if limit.is_reached() => from_failure(&self.mailer.time_was_up(step)),
            ended => ended,
        };
        self.record(document, leased, lease, ended).await
    }

    /// The code of every copy (I6). At the first attempt a missing key may only not have reached this worker yet. Later it is
    /// gone (deleted with its pipeline, say), and a mail with a new code is better than none, unless a copy may be out.
    async fn code(&self, leased: &Leased) -> Result<Code, Ended> {
        let (id, materials) = (leased.intent.id, self.materials.now());
        if let Some(code) = materials.keys.code(&leased.key_id, id) {
            return Ok(code);
        }
        if leased.attempts < 2 || leased.in_doubt {
            return Err(misconfigured("the verification key of this mail is missing; put it back into its Secret"));
        }
        let renewing = self.store.renew_code(id, leased.epoch, &materials.keys);
        let renewed = match tokio::time::timeout(self.timing.answer, renewing).await {
            Ok(Ok(renewed)) => renewed,
            Ok(Err(error)) => {
                tracing::warn!(intent = %id, %error, "the code could not be renewed");
                None
            }
            Err(_) => {
                tracing::warn!(intent = %id, "the code could not be renewed, the database did not answer");
                None
            }
        };
        let code = renewed.ok_or(Ended::Withheld)?;
        tracing::warn!(intent = %id, key = leased.key_id, "the key of this mail is gone; its link is made with the current one");
        Ok(code)
    }

    fn write(&self, document: &Document, leased: &Leased, code: &Code) -> Result<Ready, Ended> {
        let materials = self.materials.now();
        let mail = message::Mail {
            from: &document.mail.from,
            to: &leased.email,
            message_id: &leased.message_id,
            date: SystemTime::now(),
            full_name: &leased.full_name,
            username: &leased.intent.username,
            link: &message::link(&leased.public_url, leased.email_id, code.as_str()),
            expires_in: leased.link_ttl,
        };
        message::build(&materials.templates, &mail).map_err(|error| match error {
            MessageError::From(_) => misconfigured(&error.to_string()),
            MessageError::To(_) => failed(Class::Permanent, &error.to_string()),
            MessageError::Build(_) => internal(&error.to_string()),
        })
    }

    async fn send(&self, document: &Document, ready: &Ready, lease: &Lease, stop: &CancellationToken) -> Ended {
        let clearance = || !stop.is_cancelled() && lease.is_mine();
        let settings = &document.mail.smtp;
        match self.mailer.send(settings, &ready.envelope, &ready.bytes, stop, &clearance).await {
            Sent::Accepted(reply) => Ended::Accepted(reply),
            Sent::Failed(failure) => from_failure(&failure),
            Sent::Interrupted(step) => Ended::Interrupted(step),
            Sent::Withheld => Ended::Withheld,
        }
    }
}

fn from_failure(failure: &Failure) -> Ended {
    Ended::Failed { class: failure.class(), record: failure.for_the_record(), cause: failure.to_string() }
}

fn failed(class: Class, cause: &str) -> Ended {
    Ended::Failed { class, record: cause.to_owned(), cause: cause.to_owned() }
}

fn misconfigured(cause: &str) -> Ended {
    failed(Class::Misconfigured, cause)
}

fn internal(cause: &str) -> Ended {
    failed(Class::Internal, cause)
}
