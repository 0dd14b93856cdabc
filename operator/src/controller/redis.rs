//! Why Redis cannot be used.
//!
//! Takes: the error of a look at a queue, and the URI. Gives: a finding whose message holds neither. A server that is spoken to in
//! TLS and has none, or the reverse, keeps silent or hangs up, so it is asked once more in the other way. Does not: speak more of
//! either protocol than the first bytes.

use super::reason::{self, Finding};
use crate::crd::stores::Redis;
use std::{error::Error as _, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for the answer; the look before it has waited already.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

const PORT: u16 = 6379;

/// What is wrong. The words of the cause may hold an address, so they are looked at and not shown.
pub(super) async fn trouble(redis: &Redis, uri: &str, error: &queue::Error) -> Finding {
    let secret = &redis.secret_ref.name;
    let cause = error.source().map(pipeline::chain).unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    let effect = "signups go on, mails wait, and no worker is removed";
    if says(&["WRONGPASS", "NOAUTH", "invalid username-password"]) {
        let problem = format!("Redis refuses the user or password of Secret {secret}; {effect}");
        return Finding::usual(reason::CREDENTIALS_REFUSED, problem);
    }
    let is_mismatch =
        says(&["certificate", "tls handshake", "corrupt message", "InvalidContentType", "HandshakeFailure"]);
    if is_mismatch || (error.is_unreachable() && speaks_the_other_way(uri).await) {
        let problem = format!("no TLS connection to Redis can be made; {effect}");
        let fix = format!(
            "write rediss:// in Secret {secret} for a port with TLS and redis:// for one without, and name the server's authority in spec.redis.caSecretRef"
        );
        return Finding::new(reason::TLS_MISMATCH, problem, fix);
    }
    let problem = format!("Redis does not answer the operator as it should ({error}); {effect}");
    let fix = format!(
        "check that Redis runs, that the URI in Secret {secret} names its host, port and TLS (rediss://), and that network policies let the operator reach it"
    );
    Finding::new(reason::NO_ANSWER, problem, fix)
}

/// A URI that nothing can be done with; an authority is only for TLS.
pub(super) fn unusable(redis: &Redis, uri: &str) -> Finding {
    let secret = &redis.secret_ref.name;
    if redis.ca_secret_ref.is_some() && uri.starts_with("redis://") {
        let problem =
            format!("spec.redis.caSecretRef names an authority, and the URI in Secret {secret} is without TLS");
        return Finding::new(reason::TLS_MISMATCH, problem, "write rediss:// there, or remove caSecretRef");
    }
    let problem = format!("the Redis URI in Secret {secret} cannot be used");
    Finding::new(reason::URI_INVALID, problem, "write it like redis://:password@host:6379/0 (rediss:// for TLS)")
}

/// Whether the server speaks TLS and the URI does not, or the reverse.
async fn speaks_the_other_way(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let address = if has_port { host.to_owned() } else { format!("{host}:{PORT}") };
    let (question, answers) = if scheme == "rediss" { (PING, b"+-") } else { (HELLO, TLS_RECORDS) };
    let answer = timeout(ANSWER_LIMIT, first_byte(&address, question)).await;
    matches!(answer, Ok(Ok(byte)) if answers.contains(&byte))
}

/// Answered with a sign in clear, also to a stranger.
const PING: &[u8] = b"PING\r\n";

/// A TLS record with a handshake message that is cut short, which a server with TLS refuses by an alert.
const HELLO: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0];

/// Alert, handshake (RFC 8446 section 5.1).
const TLS_RECORDS: &[u8; 2] = &[21, 22];

async fn first_byte(address: &str, question: &[u8]) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(question).await?;
    stream.read_u8().await
}
