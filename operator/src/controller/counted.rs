//! What the operator does, counted over all pipelines.
//!
//! Gives: counters at 0 and histograms without a sample where the operator starts, so that their first increase shows;
//! and each request that changes something on the API server, counted. Does not: know pipelines; `gauges` has what each
//! is like.

use super::scale::REPLICAS;
use crate::scaling::{FALLBACK, LimitedBy, QUEUES};
use hyper::{Method, Request};
use metrics::{counter, describe_counter, describe_histogram, histogram};

/// What is written in the ordinary course, as `resource` or `resource/subresource`, and how.
const WRITES: [(&str, &str); 9] = [
    ("configmaps", "patch"),
    ("deployments", "patch"),
    ("deployments/scale", "patch"),
    ("events", "create"),
    ("events", "patch"),
    ("leases", "update"),
    ("pods", "patch"),
    ("services", "patch"),
    ("signuppipelines/status", "patch"),
];

/// Starts all of them.
pub(crate) fn begin() {
    describe();
    for direction in ["up", "down"] {
        for by in LimitedBy::ALL.map(LimitedBy::name).into_iter().chain([FALLBACK, QUEUES, REPLICAS]) {
            counter!("signup_operator_decisions_total", "direction" => direction, "by" => by).increment(0);
        }
    }
    for by in LimitedBy::ALL {
        counter!("signup_operator_limited_total", "by" => by.name()).increment(0);
    }
    for (kind, verb) in WRITES {
        counter!("signup_operator_api_writes_total", "kind" => kind, "verb" => verb).increment(0);
    }
    counter!("signup_operator_reversals_total").increment(0);
    counter!("signup_operator_foreign_writes_total").increment(0);
    counter!("signup_operator_tasks_interrupted_total").increment(0);
    counter!("signup_operator_reconciles_total").increment(0);
    counter!("signup_operator_reconcile_failures_total").increment(0);
    drop([
        histogram!("signup_operator_signal_to_write_seconds"),
        histogram!("signup_operator_write_seconds"),
        histogram!("signup_operator_redis_read_seconds"),
        histogram!("signup_operator_startup_seconds"),
        histogram!("signup_operator_drain_seconds"),
    ]);
}

fn describe() {
    let by = "Changes of the number of workers, by direction and what made it what it is.";
    describe_counter!("signup_operator_decisions_total", by);
    describe_counter!("signup_operator_reversals_total", "Changes against the direction of the pipeline's last one.");
    describe_counter!("signup_operator_limited_total", "Times that a limit began to keep workers away or back.");
    let foreign = "Times that somebody else had written what the operator decides.";
    describe_counter!("signup_operator_foreign_writes_total", foreign);
    let interrupted = "Tasks that workers still ran when they left after drain.timeout.";
    describe_counter!("signup_operator_tasks_interrupted_total", interrupted);
    describe_counter!("signup_operator_api_writes_total", "Requests that change something on the API server.");
    describe_counter!("signup_operator_reconciles_total", "Reconciles.");
    describe_counter!("signup_operator_reconcile_failures_total", "Reconciles that failed.");
    let signal = "From news of work to the written number of workers.";
    describe_histogram!("signup_operator_signal_to_write_seconds", signal);
    describe_histogram!("signup_operator_write_seconds", "What the API server takes to write a number of workers.");
    describe_histogram!("signup_operator_redis_read_seconds", "What Redis takes to answer all that is asked at once.");
    describe_histogram!(
        "signup_operator_startup_seconds",
        "From a worker that is asked for to a worker that is ready."
    );
    describe_histogram!("signup_operator_drain_seconds", "From a worker that is asked to leave to its end.");
}

/// Counts a request, if it changes something.
pub(crate) fn count_write<T>(request: Request<T>) -> Request<T> {
    if let Some(verb) = verb(request.method()) {
        let kind = kind(request.uri().path());
        counter!("signup_operator_api_writes_total", "kind" => kind, "verb" => verb).increment(1);
    }
    request
}

fn verb(method: &Method) -> Option<&'static str> {
    match *method {
        Method::POST => Some("create"),
        Method::PUT => Some("update"),
        Method::PATCH => Some("patch"),
        Method::DELETE => Some("delete"),
        _ => None,
    }
}

/// `/api/v1/namespaces/NAMESPACE/pods/NAME` is of `pods`, `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/PART`
/// of `RESOURCE/PART`. All that the operator writes is in a namespace; anything else is `other`.
fn kind(path: &str) -> String {
    let Some((_, rest)) = path.split_once("/namespaces/") else { return "other".to_owned() };
    let mut parts = rest.split('/').skip(1);
    match (parts.next(), parts.nth(1)) {
        (Some(resource), Some(part)) => format!("{resource}/{part}"),
        (Some(resource), None) => resource.to_owned(),
        (None, _) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::gauges::Gauges;
    use metrics_exporter_prometheus::PrometheusBuilder;

    /// What a scaler of workers is expected to tell, and the family that tells it with its type.
    const TOLD: [(&str, &str, &str); 29] = [
        ("queue_pending, queue_active", "queue_tasks", "gauge"),
        ("queue_due_within_lead", "queue_due_soon", "gauge"),
        ("queue_oldest_age_seconds", "queue_oldest_age_seconds", "gauge"),
        ("queue_next_due_seconds", "queue_next_due_seconds", "gauge"),
        ("arrival_rate", "queue_arrivals_per_second", "gauge"),
        ("completion_rate", "queue_completions_per_second", "gauge"),
        ("service_seconds", "queue_service_seconds", "gauge"),
        ("predicted_drain_seconds", "predicted_drain_seconds", "gauge"),
        ("slo_seconds", "queue_target_seconds", "gauge"),
        ("replicas_current", "workers_current", "gauge"),
        ("replicas_desired", "workers_desired", "gauge"),
        ("recommended_raw", "workers_recommended", "gauge"),
        ("decision_total", "decisions_total", "counter"),
        ("reversal_total", "reversals_total", "counter"),
        ("limited_total", "limited_total", "counter"),
        ("what limits now", "workers_limited", "gauge"),
        ("redis_up", "redis_up", "gauge"),
        ("redis_read_seconds", "redis_read_seconds", "histogram"),
        ("signal_to_patch_seconds", "signal_to_write_seconds", "histogram"),
        ("patch_seconds", "write_seconds", "histogram"),
        ("startup_seconds", "startup_seconds", "histogram"),
        ("drain_seconds", "drain_seconds", "histogram"),
        ("tasks_interrupted_total", "tasks_interrupted_total", "counter"),
        ("api_writes_total", "api_writes_total", "counter"),
        ("foreign_write_total", "foreign_writes_total", "counter"),
        ("fallback_active", "fallback_active", "gauge"),
        ("tracking_mode", "redis_polled", "gauge"),
        ("skew of the clocks", "redis_clock_ahead_seconds", "gauge"),
        ("workers that leave", "workers_leaving", "gauge"),
    ];

    #[test]
    fn all_that_is_expected_of_a_scaler_is_served_from_the_start_and_on_the_page_about_deploying() {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(metrics_exporter_prometheus::Matcher::Suffix("_seconds".into()), &[1.0])
            .expect("a bucket")
            .build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, begin);
        let served = handle.render() + &Gauges::default().render();
        let page = include_str!("../../../docs/deploying.md");
        for (expected, name, kind) in TOLD {
            let line = format!("# TYPE signup_operator_{name} {kind}");
            assert!(served.lines().any(|found| found == line), "{expected}: {line} in\n{served}");
            assert!(page.contains(&format!("`signup_operator_{name}")), "{expected}: {name} in docs/deploying.md");
        }
        let families = served.lines().filter_map(|line| line.strip_prefix("# TYPE signup_operator_"));
        let is_known = |family: &&str| TOLD.iter().any(|(_, name, kind)| *family == format!("{name} {kind}"));
        let mut others: Vec<&str> = families.filter(|family| !is_known(family)).collect();
        others.sort_unstable();
        assert_eq!(others, ["reconcile_failures_total counter", "reconciles_total counter"], "not in the list");
    }

    #[test]
    fn a_write_counts_under_what_it_changes_and_a_read_not_at_all() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let of = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).expect("a request");
            metrics::with_local_recorder(&recorder, || count_write(request));
        };
        of(Method::GET, "/api/v1/namespaces/shop/pods/a");
        of(Method::PATCH, "/api/v1/namespaces/shop/pods/a?fieldManager=b");
        of(Method::PATCH, "/apis/apps/v1/namespaces/shop/deployments/a/scale");
        of(Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events");
        of(Method::DELETE, "/api/v1/namespaces/shop/services/a");
        of(Method::PUT, "/api/v1/nodes/a");
        let told = handle.render();
        let mut counted: Vec<&str> =
            told.lines().filter(|line| line.starts_with("signup_operator_api_writes")).collect();
        counted.sort_unstable();
        let line =
            |kind: &str, verb: &str| format!("signup_operator_api_writes_total{{kind=\"{kind}\",verb=\"{verb}\"}} 1");
        let mut expected = [
            line("pods", "patch"),
            line("deployments/scale", "patch"),
            line("events", "create"),
            line("services", "delete"),
            line("other", "update"),
        ];
        expected.sort_unstable();
        assert_eq!(counted, expected);
    }
}
