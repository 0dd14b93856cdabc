//! From DATA to the answer after the final dot.
//!
//! Takes: a session with an envelope. Gives: the mail to the mailbox, its line to the journal, then the 250; in this
//! order, so that whoever dies in between leaves the truth in the journal. Does not: judge the mail.

use crate::{
    mailbox::Incoming,
    rules::Phase,
    session::{Envelope, Next, Session},
    wire::Content,
};
use jiff::Timestamp;
use std::{io, sync::Arc};

impl Session {
    /// DATA and all that follows it.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(crate) async fn data(&mut self) -> io::Result<Next> {
        let Some(envelope) = self.envelope.take_if(|envelope| !envelope.recipients.is_empty()) else {
            self.wire.reply(503, "5.5.1 RCPT first");
            return Ok(Next::Command);
        };
        if let Some(next) = self.interfere(Phase::Data, &envelope.recipients).await? {
            return Ok(next);
        }
        self.wire.reply(354, "end with a dot");
        match self.wire.content().await? {
            None => Ok(Next::End),
            Some(Content::TooLarge) => {
                self.wire.reply(552, "5.3.4 too large");
                Ok(Next::Command)
            }
            Some(Content::Mail(raw)) => self.deliver(envelope, raw).await,
        }
    }

    async fn deliver(&mut self, envelope: Envelope, raw: Vec<u8>) -> io::Result<Next> {
        let received_at = Timestamp::now();
        let Envelope { sender, recipients } = envelope;
        if let Some(next) = self.interfere(Phase::Dot, &recipients).await? {
            return Ok(next);
        }
        let server = Arc::clone(&self.server);
        let mail = Incoming { sender, recipients, raw, received_at };
        let Ok(message) = server.mailbox.add(mail, |message| server.journal.accepted(self.connection, message)) else {
            self.wire.reply(452, "4.3.1 the journal cannot be written");
            return Ok(Next::Command);
        };
        if let Some(next) = self.interfere(Phase::Accepted, &message.to).await? {
            return Ok(next);
        }
        self.wire.reply(250, &format!("2.0.0 kept as {}", message.id));
        self.wire.flush().await?;
        // The mail's own line is written; without this one a reader takes the answer for lost, which is the safe side.
        let _ = server.journal.answered(self.connection, &message);
        Ok(self.interfere(Phase::Answered, &message.to).await?.unwrap_or(Next::Command))
    }
}
