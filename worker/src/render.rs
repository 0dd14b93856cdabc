//! `worker render-mail`: a mail as it would be sent, for whoever writes templates.
//!
//! Takes: a file with a SignupPipeline, as `operator local` takes it, with the ConfigMap of its templates or a folder
//! beside it; a language. Gives: the message, one of its parts, or its delivery to a mail server such as the inbox of a
//! local run, where it then stands in the page. Does not: read a database or a key; the link and the digits verify
//! nobody.

mod given;

use crate::message::{Content, Mail, MessageError, Templates, build, write};
use clap::{Args, ValueEnum};
use given::{Given, GivenError};
use lettre::{SmtpTransport, Transport as _};
use pipeline::Address;
use signup::{Digits, Locale, link};
use std::{path::PathBuf, time::SystemTime};

/// Which mail, from which file.
#[derive(Debug, Args)]
pub struct Arguments {
    /// File with a SignupPipeline, and with the ConfigMap of mail.templatesRef if that is set
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// Folder with the templates, in the place of the ConfigMap
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
    /// Language tag of the recipient, such as de or pt-BR
    #[arg(long, value_name = "TAG")]
    pub locale: Option<String>,
    /// The notice to the owner of an address, in the place of the verification mail
    #[arg(long)]
    pub notice: bool,
    /// One part alone
    #[arg(long, value_enum)]
    pub part: Option<Part>,
    /// Delivers the mail to this mail server, in clear, such as the inbox of `operator local`; prints nothing else
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "part")]
    pub smtp: Option<String>,
}

/// A part of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The subject, one line
    Subject,
    /// The plain text
    Text,
    /// The HTML, for a browser
    Html,
}

/// The mail cannot be shown.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says what failed; its fields are the cause and what it concerns")]
pub enum RenderError {
    #[error("failed to read the pipeline (-f)")]
    Given(#[from] GivenError),
    #[error("--locale: `{0}` is not a language tag; write it like de or pt-BR")]
    Locale(String),
    #[error("--smtp: `{0}` has no host and port; write it like 127.0.0.1:1025")]
    Server(String),
    #[error("failed to build the mail")]
    Build(#[from] MessageError),
    #[error("failed to deliver the mail")]
    Deliver(#[source] lettre::transport::smtp::Error),
}

/// Whom the mail is for.
const FULL_NAME: &str = "Alice Example";
const USERNAME: &str = "alice1";
const RECIPIENT: &str = "alice1@example.com";

/// Verify nobody: no link has so low an id.
const QUERY: &str = "email_id=1&secret_code=abcdefghijklmnopqrstuvwxyzabcdef";
const DIGITS: &str = "012345";

/// Runs the command and gives what it prints.
///
/// # Errors
///
/// [`RenderError`].
///
/// # Panics
///
/// Never: the recipient and the digits are constants, and a test renders them.
pub fn run(arguments: &Arguments) -> Result<String, RenderError> {
    let locale = arguments.locale.as_deref().map(|tag| match Locale::parse(tag) {
        Ok(Some(locale)) => Ok(locale),
        _ => Err(RenderError::Locale(tag.to_owned())),
    });
    let (locale, given) = (locale.transpose()?, Given::read(&arguments.file, arguments.templates.as_deref())?);
    let templates = given.templates()?;
    let content = if arguments.notice { Content::Notice } else { verification(&given) };
    let to = Address::parse(RECIPIENT).expect("a constant that the tests send to");
    let mail = Mail {
        from: &given.from,
        envelope_from: None,
        reply_to: given.reply_to.as_ref(),
        to: &to,
        message_id: "<preview@example.com>",
        date: SystemTime::now(),
        full_name: FULL_NAME,
        username: USERNAME,
        locale: locale.as_ref().map(Locale::as_str),
        content: &content,
    };
    match (&arguments.smtp, arguments.part) {
        (Some(server), _) => deliver(&templates, &mail, server),
        (None, Some(part)) => Ok(one_part(&templates, &mail, part)),
        (None, None) => Ok(String::from_utf8_lossy(&build(&templates, &mail)?.bytes).into_owned()),
    }
}

fn verification(given: &Given) -> Content {
    Content::Verification {
        link: format!("{}/verify_email?{QUERY}", given.public_url),
        digits: Digits::parse(DIGITS).expect("six ASCII digits are digits"),
        code_link: link::digits_url(&given.public_url),
        expires_in: given.link_ttl,
    }
}

fn one_part(templates: &Templates, mail: &Mail<'_>, part: Part) -> String {
    let written = write(templates, mail);
    match part {
        Part::Subject => format!("{}\n", written.subject),
        Part::Text => written.text,
        Part::Html => written.html,
    }
}

/// The library's own way of sending, for one mail by hand.
fn deliver(templates: &Templates, mail: &Mail<'_>, server: &str) -> Result<String, RenderError> {
    let wrong = || RenderError::Server(server.to_owned());
    let (host, port) = server.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let ready = build(templates, mail)?;
    let transport = SmtpTransport::builder_dangerous(host.trim_matches(['[', ']'])).port(port).build();
    transport.send_raw(&ready.envelope, &ready.bytes).map_err(RenderError::Deliver)?;
    Ok(format!("delivered to {server}\n"))
}

#[cfg(test)]
mod tests;
