//! The page where somebody types the digits of a mail that is read on another device.
//!
//! Takes: a user name and digits, by POST alone. Gives: the page with the result. Does not: tell a name that nobody has
//! from wrong digits.

use super::{
    form_key,
    frame::{Reader, STYLE, without_blanks},
    result::{Outcome, is_later},
    words::Words,
};
use crate::{error::ApiError, pb::VerifyCodeRequest, peer::Peer, query::Form, service::Service};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use signup::Language;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "verify_code.html")]
struct CodePage {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    username: String,
    error: Option<&'static str>,
    /// Of the form that asks for another mail.
    key: String,
}

impl CodePage {
    fn of(reader: &Reader, username: String, error: Option<&'static str>) -> Self {
        let Reader { language, words, base } = *reader;
        Self { style: STYLE, language, words, base, username, error, key: form_key::random() }
    }
}

/// `GET /verify_code`.
pub(crate) async fn ask(reader: Reader) -> Response {
    reader.page(StatusCode::OK, &CodePage::of(&reader, String::new(), None))
}

/// `POST /verify_code`.
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    reader: Reader,
    peer: Peer,
    form: Result<Form<VerifyCodeRequest>, ApiError>,
) -> Response {
    let mut username = String::new();
    let verified = async {
        let Form(mut request) = form?;
        request.username = without_blanks(&request.username);
        username.clone_from(&request.username);
        service.verify_code(request, peer).await
    };
    match verified.await {
        Ok(_verified) => reader.page(StatusCode::OK, &Outcome::of(&reader, reader.words.verified)),
        Err(error) if is_later(&error) => reader.failed(&error, &Outcome::of(&reader, reader.words.later)),
        Err(error) => {
            let text = what_is_wrong(&error, reader.words);
            reader.failed(&error, &CodePage::of(&reader, username, Some(text)))
        }
    }
}

fn what_is_wrong(error: &ApiError, words: &Words) -> &'static str {
    match error {
        ApiError::CodeNotFound => words.code.wrong,
        ApiError::CodeExpired => words.code.expired,
        ApiError::CodeUsed => words.code.used,
        ApiError::CodeLocked => words.code.locked,
        _ => words.code.not_six_digits,
    }
}
