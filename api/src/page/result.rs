//! The page that says how something went.
//!
//! Takes: a title and a text. Gives: the page, where it helps with the form that asks for another mail. Does not: show
//! a code.

use super::{
    form_key,
    frame::{Reader, STYLE},
    words::{Told, Words},
};
use crate::error::ApiError;
use askama::Template;
use axum::http::StatusCode;
use signup::Language;

#[derive(Template)]
#[template(path = "result.html")]
pub(super) struct Outcome {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    told: Told,
    offers_mail: bool,
    /// Of the form that asks for another mail.
    key: String,
}

impl Outcome {
    pub(super) fn of(reader: &Reader, told: Told) -> Self {
        let Reader { language, words, base } = *reader;
        Self { style: STYLE, language, words, base, told, offers_mail: false, key: String::new() }
    }

    /// With the form that asks for another mail.
    pub(super) fn with_another_mail(self) -> Self {
        Self { offers_mail: true, key: form_key::random(), ..self }
    }
}

/// Whether the same request may succeed later.
pub(super) fn is_later(error: &ApiError) -> bool {
    error.is_temporary() || error.status() == StatusCode::TOO_MANY_REQUESTS || matches!(error, ApiError::KeyRunning)
}
