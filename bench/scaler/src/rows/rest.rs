//! Nothing happens for ten minutes.
//!
//! Takes: the residents. Gives: what the operator asks of the API server, and its processor time. Does not: count the
//! Lease, or kinds that the cluster lacks, which are asked for every 30 s for all pipelines together.

use crate::{audit::Request, site::Site, table::Row};
use std::time::Duration;

const LENGTH: Duration = Duration::from_secs(600);
const LACKING: [&str; 2] = ["httproutes", "podmonitors"];
/// What came before has to end first.
const SETTLE: Duration = Duration::from_secs(60);

/// Writes of the operator but for its Lease.
pub(super) fn operators_writes(requests: &[Request]) -> Vec<&Request> {
    let writes = requests.iter().filter(|request| request.is_ours() && request.is_write());
    writes.filter(|request| request.resource != "leases").collect()
}

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let length = site.arguments.length(LENGTH);
    tokio::time::sleep(SETTLE).await;
    let (mark, before) = (site.plane.audit.mark()?, site.operator.processor_seconds()?);
    // This is the time that is measured; nothing is waited for.
    tokio::time::sleep(length).await;
    let busy = 100.0 * (site.operator.processor_seconds()? - before) / length.as_secs_f64();
    let requests = site.plane.audit.since(mark)?;
    let reads = requests.iter().filter(|request| request.is_ours() && !request.is_write());
    let reads = reads.filter(|request| request.resource != "leases" && !LACKING.contains(&&*request.resource)).count();
    let writes = operators_writes(&requests).len();
    let count = site.arguments.residents();
    Ok(vec![
        Row::ours(
            format!("requests at rest in {} s, {count} pipelines, Secrets watched: writes, reads", length.as_secs()),
            format!("{writes}, {reads}"),
            "0, 0",
            writes == 0 && reads == 0,
        ),
        Row::ours(
            "processor time of the operator meanwhile",
            format!("{busy:.2} % of a core, {:.1} MiB", site.operator.resident_mib()?),
            "<= 1 %",
            busy <= 1.0,
        ),
    ])
}
