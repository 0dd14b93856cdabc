//! What the operator is told of receivers of webhooks, found on real ones.

use crate::{
    fixture::{Fixture, until},
    webhooks::{ALLOWED, Receiver, SECRET, worker},
};
use servers::free_port;
use std::collections::BTreeMap;
use worker::{process::Worker, webhooks::Report};

/// What the operator is told of each host.
fn told(worker: &Worker) -> BTreeMap<String, String> {
    let reports = worker.webhooks_report()().into_iter();
    let word = |report: &Report| report.fault.map_or_else(|| "works".to_owned(), |fault| fault.to_owned());
    reports.map(|report| (report.host.clone(), word(&report))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_which_receivers_take_nothing_since_when_and_why_and_when_they_do() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    let (closed, plain) = (free_port().expect("a port"), Receiver::start(SECRET));
    let secret = fixture.path("hook-secret").display().to_string();
    let others = [
        (format!("http://127.0.0.1:{closed}/topsecret?key=topsecret"), secret.as_str(), "connection"),
        (format!("https://127.0.0.1:{}/", plain.port), secret.as_str(), "tls"),
        ("http://127.0.0.2/".to_owned(), "/none", "misconfigured"),
    ];
    let more = others.iter().map(|(url, file, _)| format!("}}, {{url: \"{url}\", secretFile: {file}{ALLOWED}"));
    fixture.tell(&receiver.url(), &format!("{ALLOWED}{}", more.collect::<String>())).await;
    receiver.answer("503");
    let (worker, began) = (worker(&fixture), jiff::Timestamp::now());
    assert!(worker.webhooks_report()().is_empty());
    fixture.sign_up("alice1").await;
    let host = |url: &str| url.split('/').nth(2).expect("a host").to_owned();
    let mut expected: BTreeMap<String, String> =
        others.iter().map(|(url, _, fault)| (host(url), (*fault).to_owned())).collect();
    let own = host(&receiver.url());
    for (answer, word) in [("503", "status"), ("404", "refused"), ("200", "works")] {
        receiver.answer(answer);
        fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
        expected.insert(own.clone(), word.to_owned());
        until(word, || async { told(&worker) == expected }).await;
    }
    let reports = worker.webhooks_report()();
    for report in reports.iter().filter(|report| !report.works) {
        let since: jiff::Timestamp = report.since.as_ref().and_then(|since| since.parse().ok()).expect("a time");
        assert!(since.as_second() >= began.as_second() && since <= jiff::Timestamp::now(), "{report:?}");
    }
    let printed = serde_json::to_string(&reports).expect("JSON");
    for secret in ["topsecret", "hook-secret", SECRET] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    worker.shutdown().await;
}
