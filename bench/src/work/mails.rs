//! Mails per second from one worker with 16 slots to the inbox over STARTTLS, against one lettre connection with its
//! defaults.
//!
//! The users are written to PostgreSQL and their tasks handed to Redis by api's relay before the worker starts, so that
//! only the worker's part is measured: lease, mail, result, acknowledgement. Does not: count anything before the first
//! mail.

use super::{Round, journal::Journal, owed};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
};
use anyhow::Context;
use lettre::{
    message::{Mailbox, MultiPart},
    transport::smtp::{
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
    },
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

pub(super) const GOALS: [Goal; 1] = [Goal {
    key: "mails",
    work: "mails, worker to inbox, STARTTLS, 16 slots",
    unit: Unit::PerSecond,
    better: Better::Higher,
    target: Target::AtLeast(1000.0),
}];

/// About five seconds at the target.
const MAILS: usize = 5000;
/// About four seconds at 23 a second.
const BASELINE_MAILS: usize = 100;

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(1), concurrency: 16 })?;
    let mut baseline = 0.0;
    if round.baseline_first() {
        baseline = lettre_alone(&deployment).await?;
    }
    let ours = worker(&deployment).await?;
    if !round.baseline_first() {
        baseline = lettre_alone(&deployment).await?;
    }
    Ok(vec![Measured::against("mails", ours, baseline)])
}

async fn worker(deployment: &Deployment) -> anyhow::Result<f64> {
    owed::owe(deployment, MAILS).await?;
    let mut journal = Journal::at_end(&deployment.journal())?;
    let worker = deployment.worker().await?;
    journal.wait_for(MAILS).await?;
    drop(worker);
    owed::check_recorded(deployment, MAILS).await?;
    Ok(journal.per_second())
}

/// Sends one mail after the other over one connection, as an application that keeps lettre's connection does.
async fn lettre_alone(deployment: &Deployment) -> anyhow::Result<f64> {
    let client = ClientId::Domain("bench.example.com".to_owned());
    let certificate = Certificate::from_pem(&std::fs::read(deployment.ca_file())?)?;
    let tls = TlsParameters::builder("localhost".to_owned()).certificate_store(CertificateStore::None);
    let tls = tls.add_root_certificate(certificate).build()?;
    let address = deployment.inbox.address("smtp")?;
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(address, Some(Duration::from_secs(10)), &client, None, None).await?;
    connection.starttls(tls, &client).await?;
    let mails = (0..BASELINE_MAILS).map(mail).collect::<anyhow::Result<Vec<_>>>()?;
    let start = Instant::now();
    for mail in &mails {
        connection.send(mail.envelope(), &mail.formatted()).await?;
    }
    let elapsed = start.elapsed();
    connection.quit().await?;
    Ok(mails.len() as f64 / elapsed.as_secs_f64())
}

/// A mail like those of the worker: text and HTML, one link.
fn mail(number: usize) -> anyhow::Result<lettre::Message> {
    let link =
        format!("https://app.example.com/verify_email?email_id={number}&secret_code=abcdefghijklmnopqrstuvwxyzabcdef");
    let text = format!("Hello Bench User,\n\nthank you for signing up. Please verify your e-mail address:\n\n{link}\n");
    let html =
        format!("<p>Hello Bench User,</p><p>thank you for signing up. <a href=\"{link}\">Verify your address</a></p>");
    let to: Mailbox = format!("user{number}@example.com").parse().context("an invalid address")?;
    let message =
        lettre::Message::builder().from("no-reply@example.com".parse()?).to(to).subject("Verify your e-mail address");
    Ok(message.multipart(MultiPart::alternative_plain_html(text, html))?)
}
