//! The page after a signup: look into your inbox.
//!
//! Takes: who signed up, and the token for the state of the mail. Gives: where the mail goes, a place for its digits,
//! another mail at the press of a button; with scripts also what becomes of the mail. Does not: tell whether the
//! address has another account; where accounts are hidden, the user is as if it were new.

use super::{Reader, STYLE, Words};
use crate::{
    page::{form_key, frame::SCRIPT},
    pb,
};
use askama::Template;
use signup::{DeliveryToken, Language};

#[derive(Template)]
#[template(path = "sent.html")]
pub(super) struct Sent {
    style: &'static str,
    language: Language,
    words: &'static Words,
    base: &'static str,
    user: pb::User,
    token: String,
    /// That of the form which was sent, for its button: a request for a mail has other keys than a signup.
    key: String,
    script: &'static str,
}

impl Sent {
    pub(super) fn of(reader: &Reader, user: pb::User, token: &DeliveryToken, key: String) -> Self {
        let Reader { language, words, base } = *reader;
        let token = token.as_str().to_owned();
        Self { style: STYLE, language, words, base, user, token, key: form_key::kept(key), script: SCRIPT }
    }
}
