//! Resident memory of api and worker: idle, at the end of 10,000 signups and their mails, and a moment later.
//!
//! Signups run as fast as api takes them while the worker sends the mails a second later. At the last answer api still
//! holds the memory that argon2 works on (19 MiB a core, which no service that hashes can do without); it gives that
//! back when no one signs up for two to four seconds. That row has no target. Does not: count the servers.

use super::{journal::Journal, signups::sign_up};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    usage::resident_mib,
};
use std::{path::Path, time::Duration};

pub(super) const GOALS: [Goal; 6] = [
    goal("memory_api_idle", "resident memory of api, idle", Target::AtMost(15.0)),
    goal("memory_api_end", "resident memory of api, at the last of 10,000 answers", Target::Nothing),
    goal("memory_api_after", "resident memory of api, after 10,000 signups", Target::AtMost(40.0)),
    goal("memory_worker_idle", "resident memory of worker, idle", Target::AtMost(10.0)),
    goal("memory_worker_end", "resident memory of worker, at the last of 10,000 mails", Target::AtMost(25.0)),
    goal("memory_worker_after", "resident memory of worker, after 10,000 mails", Target::AtMost(25.0)),
];

const SIGNUPS: usize = 10_000;
/// From ready to idle, long enough for every loop to have run.
const IDLE: Duration = Duration::from_secs(6);
/// From the last mail to "after".
const CALM: Duration = Duration::from_secs(5);

const fn goal(key: &'static str, work: &'static str, target: Target) -> Goal {
    Goal { key, work, unit: Unit::Mebibytes, better: Better::Lower, target }
}

pub(super) async fn measure(programs: &Path) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(1), concurrency: 16 })?;
    let api = deployment.api().await?;
    let worker = deployment.worker().await?;
    tokio::time::sleep(IDLE).await;
    let api_idle = resident_mib(api.pid()?)?;
    let worker_idle = resident_mib(worker.pid()?)?;
    let mut journal = Journal::at_end(&deployment.journal())?;
    sign_up(api.address("http")?, 0, SIGNUPS).await?;
    let api_end = resident_mib(api.pid()?)?;
    journal.wait_for(SIGNUPS).await?;
    let worker_end = resident_mib(worker.pid()?)?;
    tokio::time::sleep(CALM).await;
    Ok(vec![
        Measured::alone("memory_api_idle", api_idle),
        Measured::alone("memory_api_end", api_end),
        Measured::alone("memory_api_after", resident_mib(api.pid()?)?),
        Measured::alone("memory_worker_idle", worker_idle),
        Measured::alone("memory_worker_end", worker_end),
        Measured::alone("memory_worker_after", resident_mib(worker.pid()?)?),
    ])
}
