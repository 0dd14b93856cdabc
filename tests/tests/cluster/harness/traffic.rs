//! Clients of a pipeline through the ingress, and the checker.
//!
//! Takes: a [`Pipeline`] and its [`Namespace`]. Gives: signups, and the report that joins what clients were told, what
//! is stored and what arrived. Does not: repeat a signup that failed.

use super::{
    namespace::Namespace,
    pipeline::Pipeline,
    stores::HOST,
    wait::{PATIENCE, until},
};
use pipeline_tests::{Attempt, Line, Outcome, Report, Signups, check};
use std::{net::SocketAddr, sync::Arc};

impl Pipeline {
    /// Clients that sign up through the ingress by the pipeline's host name.
    pub(crate) fn clients(&self) -> Arc<Signups> {
        let ingress = SocketAddr::new(HOST.parse().expect("an address"), 80);
        Arc::new(Signups::through(ingress, &self.host).expect("a client"))
    }
}

impl Namespace {
    /// Waits until no mail is owed any more.
    pub(crate) async fn settle(&self) {
        until("no mail is owed", PATIENCE, async || match self.stores.database.owed().await {
            Ok(0) => Ok(()),
            other => Err(format!("owed: {other:?}")),
        })
        .await;
    }

    /// Joins what clients were told, what is stored and what arrived.
    pub(crate) async fn check(&self, clients: &Signups) -> Report {
        let rows = self.stores.database.rows().await.expect("the database answers");
        let lines = self.inbox.lines().await;
        check(&clients.attempts(), &rows, &lines.iter().collect::<Vec<&Line>>())
    }
}

/// Clients that were told 200 so far.
pub(crate) fn acknowledged(clients: &Signups) -> usize {
    clients.attempts().iter().filter(|attempt| attempt.outcome == Outcome::Acknowledged).count()
}

/// Asserts that every client was told 200.
///
/// # Panics
///
/// With the answers of those that were not.
pub(crate) fn assert_all_acknowledged(clients: &Signups) {
    let attempts = clients.attempts();
    let failed: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.outcome != Outcome::Acknowledged).collect();
    assert!(
        failed.is_empty() && !attempts.is_empty(),
        "{} of {} signups failed: {failed:?}",
        failed.len(),
        attempts.len()
    );
}

/// Status of a GET request through the ingress.
///
/// # Panics
///
/// When the ingress does not answer.
pub(crate) async fn request(host: &str, path: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("http://{HOST}{path}")).header("Host", host).send().await;
    answer.expect("the ingress answers").status().as_u16()
}
