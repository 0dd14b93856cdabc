//! The mails, from values to bytes: the verification mail, and the notice to the owner of an address.
//!
//! Takes: templates, sender, recipient, Message-ID, link and the date. Gives: an envelope and the message as SMTP
//! carries it: ASCII, CRLF, multipart/alternative with text and HTML. Does not: read the clock or the database, or
//! send anything.
//!
//! The same values give the same bytes, so every copy of one mail is identical but for its date (the MIME boundary
//! comes from the Message-ID, not from chance).
//!
//! # Layout
//!
//! - [`templates`]: the files
//! - [`template`]: one file, its placeholders
//! - [`built_in`]: the mails that this program brings along; [`words`]: what they say

mod built_in;
mod template;
mod templates;
mod words;

use lettre::{
    Message,
    address::Envelope,
    message::{
        MessageBuilder, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use pipeline::{Address, Mailbox};
use signup::{Digits, Language};
use std::time::{Duration, SystemTime};
use template::Values;
pub(crate) use templates::{Templates, TemplatesError};

/// Keeps holiday notices from being sent in answer (RFC 3834 section 5).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// What one mail consists of.
#[derive(Clone)]
pub(crate) struct Mail<'a> {
    /// `mail.from` of the configuration.
    pub(crate) from: &'a Mailbox,
    /// `mail.envelopeFrom`: where bounces go, if not to `from`.
    pub(crate) envelope_from: Option<&'a Address>,
    /// `mail.replyTo`: where answers go, if not to `from`.
    pub(crate) reply_to: Option<&'a Mailbox>,
    /// The recipient.
    pub(crate) to: &'a Address,
    /// With its angle brackets; the same for every copy.
    pub(crate) message_id: &'a str,
    /// The `Date` header.
    pub(crate) date: SystemTime,
    /// The name given at signup.
    pub(crate) full_name: &'a str,
    /// The username.
    pub(crate) username: &'a str,
    /// The language tag (BCP 47) that the recipient gave.
    pub(crate) locale: Option<&'a str>,
    /// What it is about.
    pub(crate) content: &'a Content,
}

/// Which mail it is, with what only that one has. No `Debug`: it holds the link.
pub(crate) enum Content {
    /// To whoever signed up.
    Verification {
        /// The page that verifies the address; holds the secret code.
        link: String,
        /// Six digits that do the same. Secret.
        digits: Digits,
        /// The page where they are typed.
        code_link: String,
        /// How long the link works.
        expires_in: Duration,
    },
    /// To the owner of an address that somebody else signed up with. Nothing of that signup is in it: names and
    /// addresses that strangers choose would make it a way to send strangers' words.
    Notice,
}

/// A mail ready for SMTP. No `Debug`: it holds the link.
pub(crate) struct Ready {
    /// For MAIL and RCPT.
    pub(crate) envelope: Envelope,
    /// For DATA, without dot-stuffing.
    pub(crate) bytes: Vec<u8>,
}

/// A mail that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The message library refuses an address that [`Address`] accepts; a test looks for one.
    #[error("the mail library refuses an address")]
    Address(#[source] lettre::address::AddressError),
    /// The message library refuses.
    #[error("failed to build the message")]
    Build(#[source] lettre::error::Error),
}

/// A mail's words, before they are put into a message. No `Debug`: they hold the link.
pub(crate) struct Written {
    /// One line.
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// Fills the templates in that the recipient's language has.
pub(crate) fn write(templates: &Templates, mail: &Mail<'_>) -> Written {
    let full_name = one_line(mail.full_name);
    let templates = match mail.content {
        Content::Verification { .. } => templates.verification.of(mail.locale),
        Content::Notice => templates.notice.of(mail.locale),
    };
    let language = mail.locale.and_then(Language::of_tag).unwrap_or_default();
    let (code, expires_in, hours) = match mail.content {
        Content::Verification { digits, expires_in, .. } => {
            let hours = (expires_in.as_secs() / 3600).max(1).to_string();
            (digits.text(), words::of(language).duration(*expires_in), hours)
        }
        Content::Notice => Default::default(),
    };
    let (link, code_link) = match mail.content {
        Content::Verification { link, code_link, .. } => (link.as_str(), code_link.as_str()),
        Content::Notice => Default::default(),
    };
    let values = Values {
        full_name: &full_name,
        username: mail.username,
        link,
        code: &code,
        code_link,
        expires_in: &expires_in,
        expires_in_hours: &hours,
    };
    Written {
        subject: one_line(&templates.subject.text(&values)),
        text: templates.text.text(&values),
        html: templates.html.html(&values),
    }
}

/// Builds a mail.
///
/// # Errors
///
/// [`MessageError`], which never shows the recipient or the link.
pub(crate) fn build(templates: &Templates, mail: &Mail<'_>) -> Result<Ready, MessageError> {
    let from = header(mail.from.name(), mail.from.address())?;
    let to = header(None, mail.to)?;
    let bounces_to = header(None, mail.envelope_from.unwrap_or(mail.from.address()))?;
    let reply_to = mail.reply_to.map(|to| header(to.name(), to.address())).transpose()?;
    let Written { subject, text, html } = write(templates, mail);
    let bodies = MultiPart::alternative()
        .boundary(boundary(mail.message_id))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html));
    let envelope = Envelope::new(Some(bounces_to.email), vec![to.email.clone()]);
    let builder = reply_to.into_iter().fold(Message::builder(), MessageBuilder::reply_to);
    let message = builder
        .envelope(envelope.map_err(MessageError::Build)?)
        .date(mail.date)
        .from(from)
        .to(to)
        .subject(subject)
        .message_id(Some(one_line(mail.message_id)))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".into()))
        .multipart(bodies)
        .map_err(MessageError::Build)?;
    Ok(Ready { envelope: message.envelope().clone(), bytes: message.formatted() })
}

/// An address in the library's type, which quotes or encodes the name as its header needs (RFC 5322, RFC 2047).
fn header(name: Option<&str>, address: &Address) -> Result<lettre::message::Mailbox, MessageError> {
    let address = lettre::Address::new(address.local(), address.domain()).map_err(MessageError::Address)?;
    Ok(lettre::message::Mailbox::new(name.map(ToOwned::to_owned), address))
}

/// White space and control characters become single spaces: a value can neither begin a header nor fake a line of the
/// mail.
fn one_line(value: &str) -> String {
    let words = value.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Letters and digits only, at most 70 characters (RFC 2046 section 5.1.1), and stable for all copies of a mail.
fn boundary(message_id: &str) -> String {
    let stable = message_id.chars().filter(char::is_ascii_alphanumeric).take(50);
    format!("part-{}", stable.collect::<String>())
}

#[cfg(test)]
mod tests;
