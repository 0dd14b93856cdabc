//! AUTH PLAIN (RFC 4616) and AUTH LOGIN.
//!
//! Takes: the mechanism and the rest of the dialogue. Gives: whether the credentials are the right ones. Does not: log
//! them.

use crate::{settings::Credentials, wire::Wire};
use mail_parser::decoders::base64::base64_decode;
use std::io;

/// How an AUTH command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Accepted,
    Refused,
    UnknownMechanism,
    /// The client gave up (`*`) or sent something that is not Base64.
    Malformed,
    /// The client went.
    Gone,
}

/// Runs the exchange after `AUTH mechanism [initial]`.
///
/// # Errors
///
/// When the connection breaks.
pub(crate) async fn login(
    wire: &mut Wire,
    credentials: &Credentials,
    mechanism: &str,
    initial: Option<String>,
) -> io::Result<Login> {
    let answers = match mechanism {
        "PLAIN" => ask(wire, &[""], initial).await?,
        // The challenges are "Username:" and "Password:".
        "LOGIN" => ask(wire, &["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], initial).await?,
        _ => return Ok(Login::UnknownMechanism),
    };
    let Some(answers) = answers else { return Ok(Login::Gone) };
    let Some(decoded) = answers.iter().map(|answer| decode(answer)).collect::<Option<Vec<_>>>() else {
        return Ok(Login::Malformed);
    };
    let accepted = match &decoded[..] {
        [plain] => {
            let mut fields = plain.splitn(3, |&byte| byte == 0).skip(1);
            credentials.accepts(fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
        }
        [username, password] => credentials.accepts(username, password),
        _ => false,
    };
    Ok(if accepted { Login::Accepted } else { Login::Refused })
}

/// Sends the challenges that the initial response did not answer; `None` when the client went.
async fn ask(wire: &mut Wire, challenges: &[&str], initial: Option<String>) -> io::Result<Option<Vec<String>>> {
    let mut answers: Vec<String> = initial.into_iter().collect();
    for challenge in &challenges[answers.len()..] {
        wire.reply(334, challenge);
        match wire.line().await? {
            Some(answer) => answers.push(answer),
            None => return Ok(None),
        }
    }
    Ok(Some(answers))
}

fn decode(answer: &str) -> Option<Vec<u8>> {
    // RFC 4954: `=` alone is an empty initial response, `*` cancels.
    match answer {
        "=" => Some(Vec::new()),
        _ => base64_decode(answer.as_bytes()),
    }
}
