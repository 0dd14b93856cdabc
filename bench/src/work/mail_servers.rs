//! Mails per second from one worker with 16 slots to real mail servers with the limits that real ones have, against
//! `smtp-source`, Postfix' own load generator, with as many connections as the server takes.
//!
//! Mails are owed and their tasks in Redis before the worker starts; the rate runs from the first record of a mail that
//! was sent to the last, what the worker learns about the server included. Does not: count a mail twice, nor hide what
//! a limit cost: openings of the circuit breaker and second attempts are rows of their own. What a mail takes of the
//! processor is printed beside the rows: it can be told on a machine that does other things, too.

mod case;
mod processor;

use super::{Round, owed};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    program::Program,
};
use anyhow::{Context, ensure};
use case::{CASES, Case, Running};
use processor::Processor;
use servers::{Distance, SmtpSource};
use std::{path::Path, time::Duration};

const fn rate(key: &'static str, work: &'static str, target: Target) -> Goal {
    Goal { key, work, unit: Unit::PerSecond, better: Better::Higher, target }
}

const fn times(times: f64) -> Target {
    Target::TimesBaseline(times)
}

const fn none(key: &'static str, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::Count, better: Better::Lower, target: Target::AtMost(0.0) }
}

pub(super) const GOALS: [Goal; 9] = [
    rate("postfix-3", "mails to Postfix that takes 3 connections", times(0.5)),
    rate("exim-10", "mails to Exim that takes 10 connections of 20 mails", times(0.5)),
    rate("postfix-10-shared", "mails by four workers to Postfix that takes 10 connections", times(0.5)),
    rate("postfix-far", "mails to Postfix 50 ms away, 16 slots", times(1.8)),
    rate("postfix-3-far", "mails to Postfix 50 ms away that takes 3 connections", times(0.9)),
    rate("exim-10-far", "mails to Exim 50 ms away that takes 10 connections of 20 mails", times(0.9)),
    rate("opensmtpd", "mails to OpenSMTPD as it comes (100 mails a session)", Target::Nothing),
    none("mail-servers-breaker", "times the circuit breaker opened at these servers"),
    none("mail-servers-repeats", "mails that took a second attempt at these servers"),
];

/// About the size of the worker's mails.
const LENGTH_BYTES: u32 = 2000;
/// Far above what the slowest case takes.
const TIMEOUT: Duration = Duration::from_secs(180);

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    let (mut measured, mut openings, mut repeats) = (Vec::new(), 0.0, 0.0);
    for case in &CASES {
        let outcome = one(case, programs, round).await.with_context(|| format!("failed at {}", case.key))?;
        measured.push(Measured::against(case.key, outcome.ours.per_second, outcome.baseline));
        openings += outcome.ours.openings;
        repeats += outcome.ours.repeats;
    }
    measured.push(Measured::alone("mail-servers-breaker", openings));
    measured.push(Measured::alone("mail-servers-repeats", repeats));
    Ok(measured)
}

struct Outcome {
    ours: Ours,
    baseline: f64,
}

struct Ours {
    per_second: f64,
    openings: f64,
    repeats: f64,
}

async fn one(case: &Case, programs: &Path, round: Round) -> anyhow::Result<Outcome> {
    let server = Running::start(case.server)?;
    let far = match case.round_trip {
        Some(round_trip) => Some(Distance::to(server.port(), round_trip).await?),
        None => None,
    };
    let port = far.as_ref().map_or(server.port(), Distance::port);
    if round.baseline_first() {
        let baseline = smtp_source(case, port).await?;
        return Ok(Outcome { ours: ours(case, programs, port).await?, baseline });
    }
    let ours = ours(case, programs, port).await?;
    Ok(Outcome { ours, baseline: smtp_source(case, port).await? })
}

async fn smtp_source(case: &Case, port: u16) -> anyhow::Result<f64> {
    let source = SmtpSource {
        port,
        connections: case.connections,
        mails_per_connection: case.mails_per_connection,
        mails: case.baseline_mails,
        length: LENGTH_BYTES,
    };
    // The proxy runs in this process, so its threads must not wait for the load generator.
    Ok(tokio::task::spawn_blocking(move || source.per_second()).await??)
}

async fn ours(case: &Case, programs: &Path, port: u16) -> anyhow::Result<Ours> {
    let variation = Variation { delay: Duration::from_secs(1), concurrency: 16 };
    let deployment = Deployment::start(programs, variation)?.with_mail_server(port)?;
    owed::owe(&deployment, case.mails).await?;
    let mut workers = Vec::new();
    for _ in 0..case.workers {
        workers.push(deployment.worker().await?);
    }
    let sent = deployment.number("SELECT count(*) FROM email_intents WHERE state = 'sent'")?;
    let before = Processor::so_far(&workers)?;
    wait_until_sent(&deployment, case.mails).await?;
    let each = Processor::so_far(&workers)?.since(before).each(case.mails as f64 - sent);
    eprintln!("bench:   {}: {each}", case.key);
    let openings = workers.iter().map(openings).sum();
    drop(workers);
    owed::check_recorded(&deployment, case.mails).await?;
    let sent = "SELECT (count(*) - 1) / extract(epoch FROM max(sent_at) - min(sent_at)) FROM email_intents";
    Ok(Ours {
        per_second: deployment.number(sent)?,
        openings,
        repeats: deployment.number("SELECT count(*) FROM email_intents WHERE attempts > 1")?,
    })
}

/// The worker says so in its log, once each time.
fn openings(worker: &Program) -> f64 {
    worker.count_in_log("mail server is not usable, taking no tasks") as f64
}

async fn wait_until_sent(deployment: &Deployment, mails: usize) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    loop {
        let waiting = deployment.number("SELECT count(*) FROM email_intents WHERE state <> 'sent'")?;
        if waiting == 0.0 {
            return Ok(());
        }
        ensure!(start.elapsed() < TIMEOUT, "{waiting} of {mails} mails are not sent after {TIMEOUT:?}");
        // Seldom, for it costs the processor that is measured; the rate is PostgreSQL's, by its own times.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
