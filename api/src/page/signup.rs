//! The page where people sign up, for sites that have none yet.
//!
//! Takes: the fields of a signup, by POST of the page's own form. Gives: the page that asks to look into the inbox, or
//! the form again, with what is wrong beside each field and everything but the password kept. Does not: exist where
//! `signup.page` is off; set a cookie.
//!
//! A form of another site signs nobody up: browsers say where a form comes from (`Sec-Fetch-Site`), and what comes from
//! elsewhere is shown to the person first. `Origin` is `null` on our own forms, for the page sends no referrer. There
//! is no session that a forged request could use.

mod mistakes;
mod sent;

use super::{
    form_key,
    frame::{Reader, STYLE, without_blanks},
    result::is_later,
    words::Words,
};
use crate::{
    delivery::SignedUp, error::ApiError, fields::Fields, idempotency::IdempotencyKey, pb, peer::Peer, query::Form,
    service::Service,
};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use mistakes::{Mistakes, Rules};
use sent::Sent;
use signup::Language;
use std::sync::Arc;

/// What the page's form sends.
#[derive(Default)]
pub(crate) struct SignupForm {
    request: pb::CreateUserRequest,
    /// Made with the page, so that a second click, or the page loaded again, is the same signup.
    key: String,
}

impl Fields for SignupForm {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        if key == "key" { Some(("key", &mut self.key)) } else { self.request.field(key) }
    }
}

#[derive(Template)]
#[template(path = "signup.html")]
struct SignupPage {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    /// What was typed; the password is not shown.
    typed: pb::CreateUserRequest,
    key: String,
    password_hint: String,
    mistakes: Mistakes,
    /// What is wrong with no field.
    notice: Option<&'static str>,
}

/// `GET /signup`.
pub(crate) async fn ask(State(service): State<Arc<Service>>, reader: Reader) -> Response {
    if !service.live.document().signup.page {
        return ApiError::NoSuchPath.into_response();
    }
    reader.page(StatusCode::OK, &SignupPage::of(&reader, &service, SignupForm::default()))
}

/// `POST /signup`.
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    reader: Reader,
    peer: Peer,
    headers: HeaderMap,
    form: Result<Form<SignupForm>, ApiError>,
) -> Response {
    if !service.live.document().signup.page {
        return ApiError::NoSuchPath.into_response();
    }
    let mut form = match form {
        Ok(Form(form)) => form,
        Err(error) => return refuse(&reader, &service, SignupForm::default(), &error),
    };
    form.request.username = without_blanks(&form.request.username);
    if !is_our_form(&headers) {
        let notice = Some(reader.words.signup.from_elsewhere);
        let page = SignupPage { notice, ..SignupPage::of(&reader, &service, form) };
        return reader.page(StatusCode::FORBIDDEN, &page);
    }
    match sign_up(&service, &form, reader.language, peer).await {
        Ok(SignedUp { answer, token }) => {
            let user = answer.user.unwrap_or_default();
            reader.page_with_script(&Sent::of(&reader, user, &token, form.key))
        }
        Err(error) => refuse(&reader, &service, form, &error),
    }
}

/// The mail is in the language of the page. Another name or address makes another signup of the form; with another
/// password alone the name is taken.
async fn sign_up(
    service: &Service,
    form: &SignupForm,
    language: Language,
    peer: Peer,
) -> Result<SignedUp<pb::CreateUserResponse>, ApiError> {
    let request = &pb::CreateUserRequest { locale: language.tag().to_owned(), ..form.request.clone() };
    let key = IdempotencyKey::of_form(&form.key, &[&request.username, &request.email]);
    let ask = |key: Option<IdempotencyKey>, peer: Option<Peer>| async move {
        service.create_counted(request.clone(), peer.as_ref(), key).await
    };
    form_key::press(key, peer, ask, |key| service.has_signup_under_way(key)).await
}

fn refuse(reader: &Reader, service: &Service, form: SignupForm, error: &ApiError) -> Response {
    let document = service.live.document();
    let rules = Rules { signup: &document.signup, denied: &service.denied_domains };
    let mistakes = Mistakes::of(error, &form.request, &rules, &reader.words.signup);
    let notice = match error {
        _ if mistakes.are_some() => Some(reader.words.signup.correct_below),
        error if is_later(error) => Some(reader.words.signup.later),
        _ => Some(reader.words.signup.not_understood),
    };
    reader.failed(error, &SignupPage { mistakes, notice, ..SignupPage::of(reader, service, form) })
}

/// Browsers that do not say it are those of sites without TLS, and old ones.
fn is_our_form(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

impl SignupPage {
    fn of(reader: &Reader, service: &Service, form: SignupForm) -> Self {
        let Reader { language, words, base } = *reader;
        let password_hint = mistakes::password_length(&words.signup, &service.live.document().signup);
        let key = form_key::kept(form.key);
        let (mistakes, notice) = (Mistakes::default(), None);
        Self { style: STYLE, language, words, base, typed: form.request, key, password_hint, mistakes, notice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_form_of_another_site_is_told_from_ours() {
        assert!(is_our_form(&HeaderMap::new()));
        for (site, is_ours) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            let headers =
                HeaderMap::from_iter([("sec-fetch-site".parse().expect("a name"), HeaderValue::from_static(site))]);
            assert_eq!(is_our_form(&headers), is_ours, "{site}");
        }
    }
}
