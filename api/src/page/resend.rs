//! The page where somebody asks for another mail.
//!
//! Takes: an address, by POST alone. Gives: one answer whoever has the address. Does not: send the mail.
//!
//! A button that is pressed twice asks for one mail, and is answered twice alike; pressed again when another mail may
//! be sent, or for another address, it asks for another one, for browsers keep pages that people go back to.

use super::{
    form_key,
    frame::{Reader, STYLE},
    result::{Outcome, is_later},
    words::Words,
};
use crate::{
    error::ApiError, fields::Fields, idempotency::IdempotencyKey, pb::ResendVerificationRequest, peer::Peer,
    query::Form, service::Service,
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use signup::{EmailAddress, Language};
use std::{future::ready, sync::Arc, time::Duration};

/// How long another press is the same: as long as no other mail may be asked for, which is 60 s, and a little more for
/// the request itself.
const ONE_PRESS: Duration = Duration::from_secs(61);

/// What the page's form sends.
#[derive(Default)]
pub(crate) struct ResendForm {
    request: ResendVerificationRequest,
    /// Made with the page.
    key: String,
}

impl Fields for ResendForm {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        if key == "key" { Some(("key", &mut self.key)) } else { self.request.field(key) }
    }
}

#[derive(Template)]
#[template(path = "resend_verification.html")]
struct ResendPage {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    key: String,
    error: Option<&'static str>,
}

impl ResendPage {
    fn of(reader: &Reader, error: Option<&'static str>) -> Self {
        let Reader { language, words, base } = *reader;
        Self { style: STYLE, language, words, base, key: form_key::random(), error }
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
    form: Result<Form<ResendForm>, ApiError>,
) -> Response {
    let asked = async { press(&service, &form?.0, peer).await };
    match asked.await {
        Ok(()) => reader.page(StatusCode::OK, &Outcome::of(&reader, reader.words.resend.done)),
        Err(error) if is_later(&error) => reader.failed(&error, &Outcome::of(&reader, reader.words.later)),
        Err(error) => reader.failed(&error, &ResendPage::of(&reader, Some(reader.words.resend.no_address))),
    }
}

/// Two writings of an address are one, as everywhere. What cannot be read as one is refused by the request itself.
async fn press(service: &Arc<Service>, form: &ResendForm, peer: Peer) -> Result<(), ApiError> {
    let address = EmailAddress::parse(&form.request.email).ok();
    let says = address.as_ref().map_or("", EmailAddress::canonical);
    let key = IdempotencyKey::of_form(&form.key, &[says]).map(|key| key.known_for(ONE_PRESS));
    let ask = |key: Option<IdempotencyKey>, peer: Option<Peer>| async move {
        service.resend_counted(&form.request, peer.as_ref(), key.as_ref()).await.map(drop)
    };
    // To ask again costs no more than to look.
    form_key::press(key, peer, ask, |_key| ready(false)).await
}
