//! A configuration for unit tests.

use pipeline::{
    Document,
    document::{Smtp, SmtpTls},
};

pub(crate) fn document() -> Document {
    let mut document = Document::sample();
    let smtp = &mut document.mail.smtp;
    *smtp = Smtp { host: "localhost".into(), port: 25, tls: SmtpTls::None, ..smtp.clone() };
    document
}
