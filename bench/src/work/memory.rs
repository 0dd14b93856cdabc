//! Resident memory of api and worker: idle, right after 10,000 signups and their mails, and after a rest.
//!
//! Signups run as fast as api takes them while the worker sends the mails a second later. Does not: count the servers, or
//! memory that was in use only in between.

use super::journal::Journal;
use super::signups::sign_up;
use crate::deployment::{Deployment, Variation};
use crate::figure::{Better, Goal, Measured, Target, Unit};
use crate::usage::resident_mib;
use std::path::Path;
use std::time::Duration;

pub(super) const GOALS: [Goal; 6] = [
    goal("memory_api_idle", "resident memory of api, idle", 15.0),
    goal("memory_api_after", "resident memory of api, right after 10,000 signups", 40.0),
    goal("memory_api_rested", "resident memory of api, 15 s later", 40.0),
    goal("memory_worker_idle", "resident memory of worker, idle", 10.0),
    goal("memory_worker_after", "resident memory of worker, right after 10,000 mails", 25.0),
    goal("memory_worker_rested", "resident memory of worker, 15 s later", 25.0),
];

const SIGNUPS: usize = 10_000;
/// From ready to idle, long enough for every loop to have run.
const IDLE: Duration = Duration::from_secs(6);
const REST: Duration = Duration::from_secs(15);

const fn goal(key: &'static str, work: &'static str, at_most_mib: f64) -> Goal {
    Goal { key, work, unit: Unit::Mebibytes, better: Better::Lower, target: Target::AtMost(at_most_mib) }
}

pub(super) async fn measure(programs: &Path) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(1), concurrency: 16 })?;
    let (api, worker) = (deployment.api().await?, deployment.worker().await?);
    let resident = || anyhow::Ok((resident_mib(api.pid()?)?, resident_mib(worker.pid()?)?));
    tokio::time::sleep(IDLE).await;
    let idle = resident()?;
    let mut journal = Journal::at_end(&deployment.journal())?;
    sign_up(api.address("http")?, 0, SIGNUPS).await?;
    let api_after = resident_mib(api.pid()?)?;
    journal.wait_for(SIGNUPS).await?;
    let worker_after = resident_mib(worker.pid()?)?;
    tokio::time::sleep(REST).await;
    let rested = resident()?;
    Ok(vec![
        Measured::alone("memory_api_idle", idle.0),
        Measured::alone("memory_api_after", api_after),
        Measured::alone("memory_api_rested", rested.0),
        Measured::alone("memory_worker_idle", idle.1),
        Measured::alone("memory_worker_after", worker_after),
        Measured::alone("memory_worker_rested", rested.1),
    ])
}
