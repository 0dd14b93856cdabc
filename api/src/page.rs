//! The pages: for a signup, behind the link in a mail, for its digits, and for another mail.
//!
//! Takes: `GET /verify_email?email_id=..&secret_code=..`, as mails link to it. Gives: a page that says whose address it
//! is about, masked, with one button that POSTs to the same path, and the page that says how that went. Does not:
//! verify on GET or HEAD: mail scanners fetch links, some in a whole browser, and a scanner must neither verify for a
//! stranger nor use the code up.
//!
//! # Layout
//!
//! - [`frame`]: language, look and headers of every page; [`words`]: what they say
//! - [`signup`]: the form and what follows it
//! - [`code`]: the digits of a mail; [`resend`]: another mail; [`result`]: how it went
//! - [`form_key`]: by which a second click is the same request

pub(crate) mod code;
mod form_key;
mod frame;
pub(crate) mod resend;
mod result;
pub(crate) mod signup;
mod words;

use crate::{error::ApiError, link::MailLink, pb::VerifyEmailRequest, service::Service};
use ::signup::{Language, LinkStanding, mask};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
pub(crate) use frame::Reader;
use frame::STYLE;
use result::{Outcome, is_later};
use std::sync::Arc;
use words::{LinkWords, Words};

/// The page with the button.
#[derive(Template)]
#[template(path = "verify_email.html")]
struct Question {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    email_id: i64,
    secret_code: String,
    /// Masked.
    address: Option<String>,
}

/// `GET /verify_email`: asks; or says at once that there is nothing to ask.
pub(crate) async fn ask(
    State(service): State<Arc<Service>>,
    reader: Reader,
    link: Result<MailLink, ApiError>,
) -> Response {
    let MailLink(link) = match link {
        Ok(link) => link,
        Err(error) => return refuse(&reader, &error),
    };
    let address = match service.look_at_link(&link).await {
        Ok(LinkStanding::Good(address)) => Some(mask(&address)),
        Ok(LinkStanding::Verified) => return succeed(&reader),
        Err(error @ (ApiError::LinkExpired | ApiError::LinkUsed | ApiError::AddressChanged)) => {
            return refuse(&reader, &error);
        }
        // An unknown link is refused when somebody presses the button; and a database that is away may be back then.
        Err(_) => None,
    };
    let VerifyEmailRequest { email_id, secret_code } = link;
    let Reader { language, words, base } = reader;
    let question = Question { style: STYLE, language, words, base, email_id, secret_code, address };
    reader.page(StatusCode::OK, &question)
}

/// `POST /verify_email`: verifies and answers with the result.
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    reader: Reader,
    link: Result<MailLink, ApiError>,
) -> Response {
    let verified = async { service.verify_email(link?.0).await };
    match verified.await {
        Ok(_verified) => succeed(&reader),
        Err(error) => refuse(&reader, &error),
    }
}

fn succeed(reader: &Reader) -> Response {
    reader.page(StatusCode::OK, &Outcome::of(reader, reader.words.verified))
}

fn refuse(reader: &Reader, error: &ApiError) -> Response {
    let link = &reader.words.link;
    let told = match error {
        ApiError::LinkExpired => link.expired,
        ApiError::LinkUsed => link.used,
        ApiError::AddressChanged => link.address_changed,
        error if is_later(error) => return reader.failed(error, &Outcome::of(reader, reader.words.later)),
        error => (link.invalid, what_is_wrong(error, link)),
    };
    reader.failed(error, &Outcome::of(reader, told).with_another_mail())
}

/// In words for the person who opened it; parts are named as they stand in the link.
fn what_is_wrong(error: &ApiError, words: &LinkWords) -> &'static str {
    let is_wrong = |field| matches!(error, ApiError::Invalid(wrong) if wrong.iter().any(|one| one.field == field));
    match (is_wrong("email_id") || matches!(error, ApiError::EmailId), is_wrong("secret_code"), error) {
        (true, true, _) => words.end_missing,
        (true, false, _) => words.number_wrong,
        (false, true, _) => words.letters_wrong,
        (_, _, ApiError::Malformed { .. }) => words.malformed,
        _ => words.unknown,
    }
}
