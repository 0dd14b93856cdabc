//! The page where somebody asks for another mail.
//!
//! Takes: an address, by POST alone. Gives: one answer whoever has the address. Does not: send the mail.

use super::{
    frame::{Reader, STYLE},
    result::{Outcome, is_later},
    words::Words,
};
use crate::{error::ApiError, pb::ResendVerificationRequest, peer::Peer, query::Form, service::Service};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use signup::Language;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "resend_verification.html")]
struct ResendPage {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    error: Option<&'static str>,
}

impl ResendPage {
    fn of(reader: &Reader, error: Option<&'static str>) -> Self {
        let Reader { language, words, base } = *reader;
        Self { style: STYLE, language, words, base, error }
    }
}

/// `GET /resend_verification`.
pub(crate) async fn ask(reader: Reader) -> Response {
    reader.page(StatusCode::OK, &ResendPage::of(&reader, None))
}

/// `POST /resend_verification`.
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    reader: Reader,
    peer: Peer,
    form: Result<Form<ResendVerificationRequest>, ApiError>,
) -> Response {
    let asked = async { service.resend_verification(form?.0, peer, None).await };
    match asked.await {
        Ok(_asked) => reader.page(StatusCode::OK, &Outcome::of(&reader, reader.words.resend.done)),
        Err(error) if is_later(&error) => reader.failed(&error, &Outcome::of(&reader, reader.words.later)),
        Err(error) => reader.failed(&error, &ResendPage::of(&reader, Some(reader.words.resend.no_address))),
    }
}
