//! One attempt: the mail is written and sent under the lease.
//!
//! Takes: the lease. Gives: an [`AttemptEnd`]. Does not: record it, or start a dialogue for a mail that is not owed,
//! due and ours (I4): the lease says all three, and it is asked again right before the mail is handed over.

use super::{VerificationEmail, outcome::PutOff};
use crate::{
    lease::Lease,
    mail::{Class, Sent},
    message::{self, Content, Ready},
};
use futures::FutureExt as _;
use pipeline::{Document, Mailbox, document::Smtp};
use queue::TimeLimit;
use signup::{Kind, link};
use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};
use tracing::Instrument as _;

/// How an attempt ended.
pub(super) enum AttemptEnd {
    /// With a dialogue, or withheld from one.
    Dialogue(Sent),
    /// Without one: this side cannot write or send the mail. The cause holds nothing personal.
    Fault { class: Class, cause: String },
    /// Without one, and it is no attempt: something has to come first.
    PutOff { after: Duration, why: PutOff },
}

impl VerificationEmail {
    /// Writes and sends the mail while the lease is kept; a panic counts as a fault of ours.
    pub(super) async fn attempt(&self, document: &Document, limit: &TimeLimit, lease: &Lease) -> AttemptEnd {
        let sending = AssertUnwindSafe(self.write_and_send(document, lease));
        let end = tokio::select! {
            // Nothing here is shared with a later attempt but the mailer, whose locks hold plain values.
            end = sending.catch_unwind() => end.unwrap_or_else(|_| internal("panicked while sending the mail")),
            () = lease.keep() => internal("the lease's upkeep ended"),
        };
        match end {
            // The server had not even asked for the mail. A dialogue can be interrupted for other reasons, which say
            // nothing of it: a lease is lost, the worker stops, or somebody cancelled the task by hand.
            AttemptEnd::Dialogue(Sent::Interrupted(step)) if limit.is_reached() => {
                AttemptEnd::Dialogue(Sent::Failed(self.mailer.time_was_up(step)))
            }
            end => end,
        }
    }

    async fn write_and_send(&self, document: &Document, lease: &Lease) -> AttemptEnd {
        let ready = match self.content(lease).await.and_then(|content| self.write(document, lease, &content)) {
            Ok(ready) => ready,
            Err(end) => return end,
        };
        let hello_name = Some(document.hello_name());
        let smtp = &Smtp { hello_name, ..document.mail.smtp.clone() };
        let clearance = || lease.is_mine();
        let dialogue = self.mailer.send(smtp, &ready.envelope, &ready.bytes, lease.stop(), &clearance);
        AttemptEnd::Dialogue(dialogue.instrument(tracing::info_span!("dialogue", smtp.host, smtp.port)).await)
    }

    /// A notice has no link, and needs no key.
    async fn content(&self, lease: &Lease) -> Result<Content, AttemptEnd> {
        let leased = &lease.mail;
        Ok(match leased.kind {
            Kind::Notice => Content::Notice,
            Kind::Verification => {
                let (code, digits) = self.codes(lease).await?;
                Content::Verification {
                    link: link::url(&leased.public_url, leased.email_id, &code),
                    digits,
                    code_link: link::digits_url(&leased.public_url),
                    expires_in: leased.link_ttl,
                }
            }
        })
    }

    fn write(&self, document: &Document, lease: &Lease, content: &Content) -> Result<Ready, AttemptEnd> {
        let (materials, leased) = (self.materials.now(), &lease.mail);
        let from = document.mail.sender().map_err(|error| misconfigured(&format!("mail.from {error}")))?;
        let envelope_from = document.mail.bounces_to();
        let envelope_from = envelope_from.map_err(|error| misconfigured(&format!("mail.envelopeFrom {error}")))?;
        let reply_to = document.mail.answers_to();
        let reply_to = reply_to.map_err(|error| misconfigured(&format!("mail.replyTo {error}")))?;
        // The Go program stored `Name <a@b>` as it came: the address in it counts, the name stays out of the headers.
        let to = Mailbox::parse(&leased.email);
        let to =
            to.map_err(|_| fault(Class::Permanent, "the recipient's address is not one that mails can be sent to"))?;
        let mail = message::Mail {
            from: &from,
            envelope_from: envelope_from.as_ref(),
            reply_to: reply_to.as_ref(),
            to: to.address(),
            message_id: &leased.message_id,
            date: SystemTime::now(),
            full_name: &leased.full_name,
            username: &leased.intent.username,
            locale: leased.locale.as_deref(),
            content,
        };
        message::build(&materials.templates, &mail).map_err(|error| internal(&error.to_string()))
    }
}

fn fault(class: Class, cause: &str) -> AttemptEnd {
    AttemptEnd::Fault { class, cause: cause.to_owned() }
}

pub(super) fn misconfigured(cause: &str) -> AttemptEnd {
    fault(Class::Misconfigured, cause)
}

fn internal(cause: &str) -> AttemptEnd {
    fault(Class::Internal, cause)
}
