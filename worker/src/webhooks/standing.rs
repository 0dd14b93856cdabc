//! How each receiver stands, as far as the last requests tell.
//!
//! Takes: what each request came to. Gives: the operator a [`Report`] for each URL that something was sent to. Does
//! not: decide whether anything is sent (`breaker` does), or show more of a URL than its host.
//!
//! | requests to a URL | and so it |
//! |---|---|
//! | one is taken | works |
//! | one is not, and none was taken in the last five minutes | fails |
//! | three in a row are not | fails, since the first of them |
//! | none for five minutes | is not known: another worker may have found out more |

use super::post::Failure;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Failures in a row of a receiver that took something before.
const FAILURES: u32 = 3;

/// Longer than a receiver that is down is left alone between two probes, and no more is known.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// What the operator is told of one receiver, and through it the condition `WebhooksDelivered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Host of the URL, with its port where one is written. No path or query: they may hold secrets.
    pub host: String,
    /// False: it takes nothing.
    pub works: bool,
    /// Since when (RFC 3339, whole seconds); absent when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How far requests come: `name`, `connection`, `timeout`, `tls`, `answer`, `status` (5xx, 408, 429), `refused`
    /// (other statuses), `misconfigured` (none is sent); absent when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// What happened last; absent when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// One receiver.
struct Standing {
    has_worked: bool,
    failures: u32,
    /// When the first failure of the row was.
    since: Timestamp,
    asked: Instant,
    report: Option<Report>,
}

/// All receivers, by URL. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Standings(Arc<Mutex<BTreeMap<String, Standing>>>);

impl Standings {
    /// Learns what a request to a URL came to.
    pub(super) fn record(&self, url: &str, host: &str, result: Result<(), &Failure>) {
        let mut known = self.0.lock();
        let standing = known.entry(url.to_owned()).or_insert_with(Standing::new);
        if std::mem::replace(&mut standing.asked, Instant::now()).elapsed() >= KNOWN_FOR {
            standing.grow_old();
        }
        let host = host.to_owned();
        match result {
            Ok(()) => {
                (standing.has_worked, standing.failures) = (true, 0);
                standing.report = Some(Report { host, works: true, since: None, fault: None, said: None });
            }
            Err(failure) => standing.fail(host, failure),
        }
    }

    /// Forgets a URL that nothing is sent to any more.
    pub(super) fn forget(&self, url: &str) {
        self.0.lock().remove(url);
    }

    /// What is known now, in an order that stays.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let known = self.0.lock();
        let fresh = known.values().filter(|standing| standing.asked.elapsed() < KNOWN_FOR);
        fresh.filter_map(|standing| standing.report.clone()).collect()
    }
}

impl Standing {
    fn new() -> Self {
        Self { has_worked: false, failures: 0, since: Timestamp::now(), asked: Instant::now(), report: None }
    }

    /// One failure is news again. What failed then fails since then, unless it works now.
    fn grow_old(&mut self) {
        self.has_worked = false;
        if self.report.as_ref().is_none_or(|report| report.works) {
            self.failures = 0;
        }
    }

    fn fail(&mut self, host: String, failure: &Failure) {
        if self.failures == 0 {
            self.since = Timestamp::now();
        }
        self.failures = self.failures.saturating_add(1);
        if self.has_worked && self.failures < FAILURES {
            return;
        }
        // Whole seconds are always within the range that the whole time was in.
        let since = Timestamp::from_second(self.since.as_second()).unwrap_or(self.since).to_string();
        let (fault, said) = (Some(failure.fault()), Some(failure.cause()));
        self.report = Some(Report { host, works: false, since: Some(since), fault, said });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::post::{Fault, misconfigured},
        *,
    };
    use hyper::StatusCode;

    const URL: &str = "https://app.example/hooks/secret?key=secret";

    fn down() -> Failure {
        Failure::Down { fault: Fault::Connection, cause: "no connection: refused".to_owned(), after: None }
    }

    impl Standings {
        fn hear(&self, result: Result<(), &Failure>) -> Option<bool> {
            self.record(URL, "app.example", result);
            self.reports().first().map(|report| report.works)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_worked_fails_at_once_and_what_did_after_three_in_a_row() {
        let standings = Standings::default();
        assert!(standings.reports().is_empty());
        assert_eq!(standings.hear(Err(&down())), Some(false));
        assert_eq!(standings.hear(Ok(())), Some(true));
        for _ in 0..3 {
            assert_eq!(standings.hear(Err(&down())), Some(true));
            assert_eq!(standings.hear(Err(&down())), Some(true));
            assert_eq!(standings.hear(Ok(())), Some(true), "it ends the row");
        }
        let rows = [true, true, false, false];
        assert_eq!(rows.map(|_| standings.hear(Err(&down()))), rows.map(Some));
        assert_eq!(standings.hear(Ok(())), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_out_long_ago_is_not_told() {
        let standings = Standings::default();
        assert_eq!(standings.hear(Err(&down())), Some(false));
        tokio::time::advance(KNOWN_FOR).await;
        assert!(standings.reports().is_empty());
        assert_eq!(standings.hear(Ok(())), Some(true));
        tokio::time::advance(KNOWN_FOR).await;
        assert_eq!(standings.hear(Err(&down())), Some(false), "one failure is news after so long");
        standings.forget(URL);
        assert!(standings.reports().is_empty());
    }

    #[test]
    fn a_report_says_why_and_shows_no_more_of_the_url_than_its_host() {
        for (failure, fault, said) in [
            (down(), "connection", "no connection: refused"),
            (Failure::Refused(StatusCode::GONE), "refused", "status 410"),
            (misconfigured("webhooks[].url has no host"), "misconfigured", "webhooks[].url has no host"),
        ] {
            let standings = Standings::default();
            standings.hear(Err(&failure));
            let report = standings.reports().remove(0);
            assert_eq!((report.fault, report.said.as_deref()), (Some(fault), Some(said)));
            let since = report.since.clone().expect("a time");
            assert!(since.ends_with('Z') && !since.contains('.'), "{since}");
            let told = serde_json::to_string(&report).expect("JSON");
            assert!(told.contains(r#""host":"app.example","works":false"#) && !told.contains("secret"), "{told}");
        }
    }
}
