//! AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN, and XOAUTH2 as Google and Microsoft document it.
//!
//! Takes: a folder of credentials, read now, and the mechanisms that the server offers. Gives: what to say. Does not:
//! say it, or show it to anybody else.

use super::{
    offers::Offers,
    reply::{Cause, Failure, Phase},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use std::{collections::VecDeque, path::Path};

/// Why a token or a password cannot be used.
const NOT_OFFERED: [&str; 2] = [
    "it does not offer AUTH XOAUTH2, which the key `token` of authSecretRef is for",
    "it offers neither AUTH PLAIN nor AUTH LOGIN",
];

/// Whether this is it: the server offers no mechanism that we know, as many do at a port for other servers.
pub(super) fn is_not_offered(problem: &str) -> bool {
    NOT_OFFERED.contains(&problem)
}

/// The command, and the answers to the server's challenges (334) in their order. No `Debug`: it is the password.
pub(super) struct SignIn {
    pub(super) command: String,
    pub(super) answers: VecDeque<String>,
}

/// Chooses a mechanism, and reads the credentials: `username`, and `token` or `password`.
///
/// # Errors
///
/// A file that cannot be read, or no mechanism that both sides know.
pub(super) fn with_credentials(folder: &Path, offers: &Offers) -> Result<SignIn, Failure> {
    let read = |name: &str| pipeline::secret::read(&folder.join(name)).map_err(|error| unusable(error.to_string()));
    let username = read("username")?;
    if folder.join("token").exists() {
        return with_token(username.expose_secret(), read("token")?.expose_secret(), offers);
    }
    with_password(username.expose_secret(), read("password")?.expose_secret(), offers)
}

/// Refused, the server explains itself in a challenge, and says 535 after an empty answer.
fn with_token(username: &str, token: &str, offers: &Offers) -> Result<SignIn, Failure> {
    if !offers.has_mechanism("XOAUTH2") {
        return Err(unusable(NOT_OFFERED[0].into()));
    }
    let both = STANDARD.encode(format!("user={username}\x01auth=Bearer {token}\x01\x01"));
    Ok(SignIn { command: format!("AUTH XOAUTH2 {both}"), answers: [String::new()].into() })
}

fn with_password(username: &str, password: &str, offers: &Offers) -> Result<SignIn, Failure> {
    if offers.has_mechanism("PLAIN") {
        let both = STANDARD.encode(format!("\0{username}\0{password}"));
        // A server that does not take it with the command asks for it.
        return Ok(SignIn { command: format!("AUTH PLAIN {both}"), answers: [both].into() });
    }
    if offers.has_mechanism("LOGIN") {
        let answers = [username, password].map(|text| STANDARD.encode(text));
        return Ok(SignIn { command: "AUTH LOGIN".into(), answers: answers.into() });
    }
    Err(unusable(NOT_OFFERED[1].into()))
}

fn unusable(problem: String) -> Failure {
    Failure::new(Phase::Auth, Cause::Unusable(problem))
}
