//! How long until a killed worker's task runs on another worker that was there all along: for the queue alone, and for
//! a whole `worker` program killed in the middle of a mail; and the same where somebody who saw its end says so.
//!
//! Ours is measured in every round; asynq once, when asked for, because it takes one to three minutes.

use super::{Round, journal::Journal};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    peers::{Peer, Peers},
    requests::Requests,
};
use anyhow::{Context, ensure};
use queue::{Client, Connection, Supervisor, Task};
use signup::{State, Store};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

pub(super) const GOALS: [Goal; 3] = [
    goal("recovery", "worker killed, to its task running elsewhere", 35.0),
    goal("recovery_mail", "worker program killed amid a mail, to that mail sent by another", 35.0),
    goal(
        "recovery_told",
        "worker program killed amid 100 mails and its end told, to the last sent by another; against the row above",
        2.0,
    ),
];

const fn goal(key: &'static str, work: &'static str, seconds: f64) -> Goal {
    Goal { key, work, unit: Unit::Seconds, better: Better::Lower, target: Target::AtMost(seconds) }
}

/// Mails that the killed worker has begun with.
const MAILS: usize = 100;

/// asynq takes up to 170 s by its constants.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The task is killed at another phase of the timers in each round: 0, 2.3, 4.6 ... s after it started, below 10 s.
const PHASE_STEP_MS: u64 = 2_300;

pub(super) async fn measure(peers: &Peers, programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    let phase = Duration::from_millis(u64::from(round.number) * PHASE_STEP_MS % 10_000);
    let ours = one(peers, Peer::Ours, phase).await?;
    let baseline = if round.asynq_recovery { Some(one(peers, Peer::Asynq, phase).await?) } else { None };
    let mail = mail(programs, phase).await?;
    let told = told(programs).await?;
    Ok(vec![
        Measured { key: "recovery", ours, baseline },
        Measured::alone("recovery_mail", mail),
        Measured::against("recovery_told", told, mail),
    ])
}

async fn one(peers: &Peers, peer: Peer, phase: Duration) -> anyhow::Result<f64> {
    let redis = servers::Redis::start()?;
    let uri = redis.uri(0);
    let mut first = Holder::start(peers, peer, &uri)?;
    Client::new(Connection::open(&uri, None)?).enqueue(&Task::new(crate::queue_side::KIND, "{}")).await?;
    let task = first.next_task().await?;
    let mut second = Holder::start(peers, peer, &uri)?;
    tokio::time::sleep(phase).await;
    first.child.kill().await?;
    let killed = Instant::now();
    let again = second.next_task().await?;
    anyhow::ensure!(task == again, "another task came");
    Ok(killed.elapsed().as_secs_f64())
}

/// A worker process that prints a line per task and finishes none.
struct Holder {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    fn start(peers: &Peers, peer: Peer, redis: &str) -> anyhow::Result<Self> {
        let mut child = peers.start(peer, redis, &["hold"])?;
        let output = child.stdout.take().context("the worker has no output")?;
        Ok(Self { child, lines: BufReader::new(output).lines() })
    }

    async fn next_task(&mut self) -> anyhow::Result<String> {
        let line = tokio::time::timeout(TIMEOUT, self.lines.next_line()).await;
        line.context("the task did not run in time")??.context("the worker ended")
    }
}

/// As `mail`, with many mails, and with what the operator does when kubelet reports the end of a container: it says so
/// of the server in Redis. How soon kubelet reports it is not in the figure.
async fn told(programs: &Path) -> anyhow::Result<f64> {
    let concurrency = u32::try_from(MAILS)?;
    let deployment = Deployment::start(programs, Variation { delay: Duration::ZERO, concurrency })?;
    let mut inbox = Requests::open(deployment.inbox.address("http")?).await?;
    let answer = inbox.post_json("/rules", r#"[{"at":"mail_from","action":{"hold":"amid"}}]"#).await?;
    ensure!(answer.status < 300, "the inbox refused the rule: {}", String::from_utf8_lossy(&answer.body));
    let mut journal = Journal::at_end(&deployment.journal())?;
    let api = deployment.api().await?;
    let first = deployment.worker().await?;
    super::signups::sign_up(api.address("http")?, 0, MAILS).await?;
    let start = Instant::now();
    while serde_json::from_slice::<serde_json::Value>(&inbox.get("/holds").await?.body)?["amid"] != MAILS {
        ensure!(start.elapsed() < TIMEOUT, "the worker has not begun with all mails");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _second = deployment.worker().await?;
    // Sessions of the first worker stay where they are.
    inbox.post_json("/rules", "[]").await?;
    let server = first.said("server")?.to_owned();
    let supervisor = Supervisor::new(Connection::open(&deployment.redis.uri(0), None)?);
    first.kill();
    let killed = Instant::now();
    supervisor.ended(&[server]).await?;
    journal.wait_for(MAILS).await?;
    Ok(killed.elapsed().as_secs_f64())
}

/// The inbox never answers the first worker's MAIL FROM; the second worker starts while the first waits.
async fn mail(programs: &Path, phase: Duration) -> anyhow::Result<f64> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::ZERO, concurrency: 16 })?;
    let rule = r#"[{"at":"mail_from","action":"hang","times":1}]"#;
    let answer = Requests::open(deployment.inbox.address("http")?).await?.post_json("/rules", rule).await?;
    ensure!(answer.status < 300, "the inbox refused the rule: {}", String::from_utf8_lossy(&answer.body));
    let mut journal = Journal::at_end(&deployment.journal())?;
    let api = deployment.api().await?;
    let first = deployment.worker().await?;
    super::signups::sign_up(api.address("http")?, 0, 1).await?;
    wait_until_sending(&deployment).await?;
    let _second = deployment.worker().await?;
    tokio::time::sleep(phase).await;
    first.kill();
    let killed = Instant::now();
    journal.wait_for(1).await?;
    Ok(killed.elapsed().as_secs_f64())
}

async fn wait_until_sending(deployment: &Deployment) -> anyhow::Result<()> {
    let store = Store::connect(&deployment.database_uri, None, 1)?;
    let start = Instant::now();
    while store.counts().await?.by_state[&State::Sending] == 0 {
        ensure!(start.elapsed() < TIMEOUT, "no worker began with the mail");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
