//! At rest the operator writes nothing.

use crate::harness::{Namespace, Operator, Pipeline, Write, until, writes};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// The Lease is renewed every 2 s: so many renewals are two minutes.
const RENEWALS: usize = 60;
/// Figures of the queues may be written up to half a minute after the last mail.
const QUIET: usize = 20;
const LIMIT: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_rest_two_minutes_of_the_audit_log_hold_renewals_of_the_lease_and_nothing_else() {
    let namespace = Namespace::create_alone("rest").await;
    let operator = Operator::of(&namespace.cluster);
    operator.leads(None).await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(5, 1).await;
    namespace.settle().await;
    let applied = Timestamp::now();
    let since = until("the operator has come to rest", LIMIT, async || {
        let all = writes(applied);
        let renewals = all.iter().rev().take_while(|write| write.is_of_a_lease()).count();
        if renewals >= QUIET { Ok(Timestamp::now()) } else { Err(format!("{:?}", all.iter().rev().nth(renewals))) }
    })
    .await;
    let seen = until("two minutes have passed", LIMIT, async || {
        let all = writes(since);
        if all.len() >= RENEWALS { Ok(all) } else { Err(format!("{} writes", all.len())) }
    })
    .await;
    let others: Vec<&Write> = seen.iter().filter(|write| !(write.is_of_a_lease() && write.verb == "update")).collect();
    assert!(others.is_empty(), "{others:?}");
}
