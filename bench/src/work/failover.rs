//! From the move of PostgreSQL's name to a standby until signups go on, and how many of those that were answered 200
//! are not there.
//!
//! The old server stays up and takes no more writes, and connections to it stay open, as with a managed database, a DNS
//! name or a Service. The baseline is a client that connects anew for each of its writes: `psql`, again and again.

use crate::{
    deployment::{Deployment, Variation, rows},
    figure::{Better, Goal, Measured, Target, Unit},
    requests::Requests,
};
use anyhow::{Context, ensure};
use servers::Failover;
use std::{
    collections::HashSet,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

pub(super) const GOALS: [Goal; 2] = [
    Goal {
        key: "failover",
        work: "PostgreSQL's name moved, to the next signup, against a client that always connects anew",
        unit: Unit::Milliseconds,
        better: Better::Lower,
        target: Target::AtMost(2000.0),
    },
    Goal {
        key: "failover_lost",
        work: "signups answered 200 that the new server lacks",
        unit: Unit::Count,
        better: Better::Lower,
        target: Target::AtMost(0.0),
    },
];

/// Clients that sign up one after the other.
const CLIENTS: usize = 4;
/// Their pause after a refusal.
const PAUSE: Duration = Duration::from_millis(10);
/// Under load before the first server takes no more writes, and after the move.
const LOAD: Duration = Duration::from_secs(3);
/// For the baseline to write.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Names of users that were created, and when.
type Created = Vec<(String, Instant)>;

pub(super) async fn measure(programs: &Path) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(50), concurrency: 16 })?;
    let failover = Failover::start()?;
    let uri = failover.create_database()?;
    deployment.lead_to(&uri)?;
    let api = deployment.api().await?;
    rows(&uri, "CREATE TABLE baseline ()")?;
    let stop = Arc::new(AtomicBool::new(false));
    let address = api.address("http")?;
    let clients: Vec<_> = (0..CLIENTS).map(|client| start(address, client, &stop)).collect();
    tokio::time::sleep(LOAD).await;
    failover.demote()?;
    failover.promote()?;
    let moved = Instant::now();
    while rows(&uri, "INSERT INTO baseline DEFAULT VALUES").is_err() {
        ensure!(moved.elapsed() < TIMEOUT, "nobody can write after the move");
    }
    let baseline = moved.elapsed();
    tokio::time::sleep(LOAD).await;
    stop.store(true, Ordering::Relaxed);
    let mut created = Created::new();
    for client in clients {
        created.extend(client.await??);
    }
    let next = created.iter().map(|(_, at)| *at).filter(|at| *at > moved).min().context("no signup after the move")?;
    let kept = rows(&failover.on_standby(&uri), "SELECT username FROM users")?;
    let kept: HashSet<&str> = kept.iter().map(String::as_str).collect();
    let lost = created.iter().filter(|(username, _)| !kept.contains(username.as_str())).count();
    let milliseconds = |time: Duration| 1000.0 * time.as_secs_f64();
    Ok(vec![
        Measured::against("failover", milliseconds(next - moved), milliseconds(baseline)),
        Measured::alone("failover_lost", lost as f64),
    ])
}

fn start(address: SocketAddr, client: usize, stop: &Arc<AtomicBool>) -> JoinHandle<anyhow::Result<Created>> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let (mut requests, mut created) = (Requests::open(address).await?, Created::new());
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("user_{client}_{number}");
            let body = format!(
                r#"{{"username":"{name}","full_name":"Bench User","email":"{name}@example.com","password":"battery"}}"#
            );
            match requests.post_json("/v1/create_user", &body).await?.status {
                200 => created.push((name, Instant::now())),
                503 => tokio::time::sleep(PAUSE).await,
                other => anyhow::bail!("a signup was answered {other}"),
            }
        }
        Ok(created)
    })
}
