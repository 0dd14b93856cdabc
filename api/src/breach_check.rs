//! Whether a password is known from a breach of another site.
//!
//! Takes: a password, and the URL of a service that speaks the range protocol of Have I Been Pwned. Gives: whether its
//! list has the password. Does not: send more than the first five digits of the password's SHA-1 (k-anonymity), nor
//! keep a signup for longer than [`TIMEOUT`] or in greater number than [`AT_ONCE`]: whatever the service does, what is
//! not known to be breached is taken, and counted.

use crate::outward::{self, Connector};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use signup::Password;
use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::Semaphore;

/// For the whole answer, its connection included.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Questions at once; a signup beyond them is taken without.
const AT_ONCE: usize = 64;

/// Bytes of an answer: ranges have about 1000 lines of 40.
const MAX_ANSWER: usize = 512 * 1024;

/// Digits of SHA-1 that are sent.
const PREFIX: usize = 5;

type Body = Empty<hyper::body::Bytes>;

/// Asks the service.
pub(crate) struct BreachCheck {
    client: Client<Connector, Body>,
    permits: Semaphore,
    is_failing: AtomicBool,
}

/// The service did not say.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("no answer within {} ms", TIMEOUT.as_millis())]
    TooSlow,
    #[error("the URL cannot be asked")]
    Url(#[from] hyper::http::Error),
    #[error("no connection, or a broken one")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("answered with status {0}")]
    Status(StatusCode),
    #[error("the answer is broken or too long")]
    Answer(#[source] Box<dyn Error + Send + Sync>),
}

impl BreachCheck {
    /// Connects when it is asked.
    pub(crate) fn new() -> Self {
        let client = Client::builder(TokioExecutor::new()).build(outward::connector());
        Self { client, permits: Semaphore::new(AT_ONCE), is_failing: AtomicBool::new(false) }
    }

    /// Whether the list of the service at `url` has the password; false, too, when nobody knows.
    pub(crate) async fn knows(&self, url: &str, password: &Password) -> bool {
        let Ok(_permit) = self.permits.try_acquire() else {
            count("skipped");
            return false;
        };
        let digest = password.breach_digest();
        let asked = tokio::time::timeout(TIMEOUT, self.ask(url, &digest));
        let known = asked.await.unwrap_or(Err(Silence::TooSlow));
        count(match known {
            Ok(true) => "breached",
            Ok(false) => "unknown",
            Err(_) => "failed",
        });
        let failed_before = self.is_failing.swap(known.is_err(), Ordering::Relaxed);
        if let Err(error) = &known
            && !failed_before
        {
            let cause = pipeline::chain(error);
            tracing::warn!(
                cause,
                "the breach check (signup.password.breachCheck) fails; passwords are taken without it"
            );
        }
        known.unwrap_or(false)
    }

    async fn ask(&self, url: &str, digest: &str) -> Result<bool, Silence> {
        let (prefix, rest) = digest.split_at(PREFIX);
        let request = Request::get(format!("{}/{prefix}", url.trim_end_matches('/')))
            // As many lines for every prefix, so that the length of the answer tells nothing.
            .header("Add-Padding", "true")
            .header(header::USER_AGENT, concat!("signup-pipeline/", env!("CARGO_PKG_VERSION")))
            .body(Body::new())?;
        let answer = self.client.request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(Silence::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(Silence::Answer)?;
        Ok(lists(&body.to_bytes(), rest))
    }
}

fn count(result: &'static str) {
    metrics::counter!("signup_breach_checks_total", "result" => result).increment(1);
}

/// Whether a line is `rest:n`, with n greater than 0: lines with 0 are padding.
fn lists(answer: &[u8], rest: &str) -> bool {
    answer.split(|byte| *byte == b'\n').any(|line| {
        let mut parts = line.trim_ascii().splitn(2, |byte| *byte == b':');
        let is_it = parts.next().is_some_and(|digits| digits.eq_ignore_ascii_case(rest.as_bytes()));
        is_it && parts.next().is_some_and(|count| count.iter().any(|digit| (b'1'..=b'9').contains(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_with_a_count_is_a_breach_and_one_without_is_padding() {
        let answer =
            b"0018A45C4D1DEF81644B54AB7F969B88D65:3\r\nAAAA:0\r\n1E4C9B93F3F0682250B6CF8331B7EE68FD8:10\r\nBBBB";
        for (rest, is_listed) in [
            ("1E4C9B93F3F0682250B6CF8331B7EE68FD8", true),
            ("1E4C9B93F3F0682250B6CF8331B7EE68FD", false),
            ("AAAA", false),
            ("BBBB", false),
            ("", false),
        ] {
            assert_eq!(lists(answer, rest), is_listed, "{rest}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(answer in prop::collection::vec(any::<u8>(), 0..300), rest in "[0-9A-F]{35}") {
            prop_assert!(!lists(&answer, &rest));
        }
    }
}
