//! AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN.
//!
//! Takes: a folder of credentials, read now, and the mechanisms that the server offers. Gives: what to say. Does not: say it,
//! or show it to anybody else.

use super::{
    offers::Offers,
    reply::{Cause, Failure, Phase},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use std::{collections::VecDeque, path::Path};

/// The command, and the answers to the server's challenges (334) in their order. No `Debug`: it is the password.
pub(super) struct SignIn {
    pub(super) command: String,
    pub(super) answers: VecDeque<String>,
}

/// Chooses a mechanism, and reads the credentials.
///
/// # Errors
///
/// A file that cannot be read, or no mechanism that both sides know.
pub(super) fn with_credentials(folder: &Path, offers: &Offers) -> Result<SignIn, Failure> {
    let read = |name: &str| pipeline::secret::read(&folder.join(name)).map_err(|error| unusable(error.to_string()));
    let (username, password) = (read("username")?, read("password")?);
    let (username, password) = (username.expose_secret(), password.expose_secret());
    let has = |name: &str| offers.mechanisms.iter().any(|mechanism| mechanism == name);
    if has("PLAIN") {
        let both = STANDARD.encode(format!("\0{username}\0{password}"));
        // A server that does not take it with the command asks for it.
        return Ok(SignIn { command: format!("AUTH PLAIN {both}"), answers: [both].into() });
    }
    if has("LOGIN") {
        let answers = [username, password].map(|text| STANDARD.encode(text));
        return Ok(SignIn { command: "AUTH LOGIN".into(), answers: answers.into() });
    }
    Err(unusable("it offers neither AUTH PLAIN nor AUTH LOGIN".into()))
}

fn unusable(problem: String) -> Failure {
    Failure::new(Phase::Auth, Cause::Unusable(problem))
}
