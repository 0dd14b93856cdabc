//! A mail server for tests and demonstrations: takes every mail over real SMTP, shows it on a page, and misbehaves on
//! demand.
//!
//! Takes: SMTP (RFC 5321) with STARTTLS or implicit TLS and AUTH, and [`Rule`]s that say what to do wrong, when and to
//! whom. Gives: the mails as [`Message`]s, on a page and as JSON, and a journal that says which mail was accepted
//! before its sender heard of it. Does not: deliver anything anywhere, check senders, or keep mails over its end.
//!
//! # Layout
//!
//! - `settings`: addresses, TLS, credentials; `certificates`: a CA and a server certificate
//! - [`Inbox`] in `inbox`: starts and stops the rest, on a `thread` of its own; the levers tests pull; `error`
//! - `server`: what all sessions share; `socket`: what they come in by
//! - `switch` turns SMTP off and on; `listener` takes connections
//! - `session` is one SMTP dialogue, parsed by `command` and spoken over `wire`
//! - `login`: AUTH PLAIN and LOGIN; `delivery`: from the final dot to the answer
//! - [`Rule`] in `rules`, `script` applies them; `holds`: sessions stopped at a point until a test lets them go on
//! - [`Message`] in `message`, kept in `mailbox`; `journal`: one line per mail accepted
//! - `page`: HTTP

mod certificates;
mod command;
mod delivery;
mod error;
mod holds;
mod inbox;
mod journal;
mod listener;
mod login;
mod mailbox;
mod message;
mod page;
mod rules;
mod script;
mod server;
mod session;
mod settings;
mod socket;
mod switch;
mod thread;
mod wire;

pub use certificates::{CertificateError, Certificates};
pub use error::{NotInTime, StartError};
pub use inbox::Inbox;
pub use message::Message;
pub use rules::{Action, InvalidRule, Phase, Recipient, Rule};
pub use settings::{Credentials, Settings, Tls};
