//! Whether somebody who signs up can tell a taken address from a free one, with `signup.hideExistingAccounts`.
//!
//! 10,000 signups with free addresses and as many with taken ones, in random order; after half of each a second request
//! with the same user name, either the same one again or with an address of the other sort. For everything that comes
//! back: the area under the ROC curve (AUC) of the best guess by it, as its distance from a coin's 0.5. The baseline is
//! the same figure for two halves of the free ones, which nothing tells apart. It takes minutes, so it is measured in
//! the first round only. Does not: read mails; what reaches the mailbox is for its owner.

use super::Round;
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    requests::Requests,
    statistics::auc,
};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

pub(super) const GOALS: [Goal; 6] = [
    goal("privacy_total", "taken or free by the time of the answer: AUC, from 0.5"),
    goal("privacy_created_at", "taken or free by the age of created_at: AUC, from 0.5"),
    goal("privacy_fraction", "taken or free by the digits of created_at: AUC, from 0.5"),
    goal("privacy_second", "taken or free by the time of a second request: AUC, from 0.5"),
    goal("privacy_ids", "taken or free by the distance of two own link ids: AUC, from 0.5"),
    Goal {
        key: "privacy_answers",
        work: "answers that depend on anything but the user name",
        unit: Unit::Count,
        better: Better::Lower,
        target: Target::AtMost(0.0),
    },
];

const fn goal(key: &'static str, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::Percent, better: Better::Lower, target: Target::AtMost(2.0) }
}

/// Requests each way.
const EACH_WAY: usize = 10_000;
/// Addresses that are taken.
const OWNERS: usize = 500;
/// One for a core: whoever measures does not wait for himself.
const CLIENTS: usize = 2;

/// What one signup shows to who sent it.
struct Seen {
    is_taken: bool,
    total_ms: f64,
    /// From `created_at` to the answer.
    age_ms: f64,
    /// `created_at` within its second.
    fraction_ms: f64,
    second_ms: Option<f64>,
    surprises: usize,
}

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    if round.number > 0 {
        return Ok(Vec::new());
    }
    let variation = Variation { delay: Duration::from_secs(50), concurrency: 16 };
    let deployment = Deployment::start(programs, variation)?;
    let deployment = deployment.with(|document| document.signup.hide_existing_accounts = true)?;
    let api = deployment.api().await?;
    let address = api.address("http")?;
    let mut requests = Requests::open(address).await?;
    for owner in 0..OWNERS {
        let answer = requests.post_json(PATH, &form(&format!("owner{owner}"), &mailbox(owner)).to_string()).await?;
        ensure!(answer.status == 200, "an owner was answered {}", answer.status);
    }
    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(look(address, client))).collect();
    let mut seen = Vec::new();
    for client in clients {
        seen.extend(client.await??);
    }
    let surprises = seen.iter().map(|one| one.surprises).sum::<usize>();
    Ok(vec![
        told_by("privacy_total", &seen, |one| Some(one.total_ms))?,
        told_by("privacy_created_at", &seen, |one| Some(one.age_ms))?,
        told_by("privacy_fraction", &seen, |one| Some(one.fraction_ms))?,
        told_by("privacy_second", &seen, |one| one.second_ms)?,
        ids(&deployment)?,
        Measured::alone("privacy_answers", surprises as f64),
    ])
}

const PATH: &str = "/v1/create_user";

/// All mailboxes are written alike; the first [`OWNERS`] are taken.
fn mailbox(number: usize) -> String {
    format!("a{number:07}@example.com")
}

fn form(username: &str, email: &str) -> Value {
    json!({"username": username, "full_name": "Bench User", "email": email, "password": "correct horse battery"})
}

async fn look(address: SocketAddr, client: usize) -> anyhow::Result<Vec<Seen>> {
    let mut requests = Requests::open(address).await?;
    let mut seen = Vec::new();
    for pair in (client..EACH_WAY).step_by(CLIENTS) {
        let taken_first = coin()?;
        for (position, is_taken) in [(0, taken_first), (1, !taken_first)] {
            seen.push(look_once(&mut requests, pair * 2 + position, is_taken, pair % 4).await?);
        }
    }
    Ok(seen)
}

fn coin() -> anyhow::Result<bool> {
    let mut byte = [0];
    getrandom::fill(&mut byte)?;
    Ok(byte[0] & 1 == 1)
}

/// `second`: 0 sends the same again, 1 the same name with an address of the other sort, others nothing.
async fn look_once(requests: &mut Requests, number: usize, is_taken: bool, second: usize) -> anyhow::Result<Seen> {
    let (owned, free) = (mailbox(number % OWNERS), mailbox(1_000_000 + number));
    let (email, other) = if is_taken { (owned, free) } else { (free, owned) };
    let form_sent = form(&format!("user{number:07}"), &email);
    let start = Instant::now();
    let answer = requests.post_json(PATH, &form_sent.to_string()).await?;
    let (total, now) = (start.elapsed(), Timestamp::now());
    let body: Value = serde_json::from_slice(&answer.body)?;
    let created_at = body["user"]["created_at"].as_str().context("a signup was refused")?.parse::<Timestamp>()?;
    let expected = ["username", "full_name", "email"].iter().all(|field| body["user"][field] == form_sent[field]);
    let mut surprises = usize::from(answer.status != 200 || !expected);
    let email = match second {
        0 => Some(email),
        1 => Some(other),
        _ => None,
    };
    let mut second_ms = None;
    if let Some(email) = email {
        let again = form(&format!("user{number:07}"), &email).to_string();
        let start = Instant::now();
        let answer = requests.post_json(PATH, &again).await?;
        second_ms = Some(ms(start.elapsed()));
        surprises += usize::from(answer.status != 409 || !answer.body.windows(8).any(|window| window == b"username"));
    }
    Ok(Seen {
        is_taken,
        total_ms: ms(total),
        age_ms: now.duration_since(created_at).as_secs_f64() * 1000.0,
        fraction_ms: f64::from(created_at.subsec_microsecond()) + 1000.0 * f64::from(created_at.subsec_millisecond()),
        second_ms,
        surprises,
    })
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn told_by(key: &'static str, seen: &[Seen], value: impl Fn(&Seen) -> Option<f64>) -> anyhow::Result<Measured> {
    let of = |is_taken| seen.iter().filter(move |one| one.is_taken == is_taken).filter_map(&value).collect::<Vec<_>>();
    let (taken, free) = (of(true), of(false));
    let half = |odd| free.iter().copied().skip(odd).step_by(2).collect::<Vec<_>>();
    Ok(Measured::against(key, distance(&taken, &free)?, distance(&half(0), &half(1))?))
}

/// In per cent of the whole scale.
fn distance(ones: &[f64], others: &[f64]) -> anyhow::Result<f64> {
    Ok(100.0 * (auc(ones, others).context("nothing was measured")? - 0.5).abs())
}

/// From one signup with a free address to the next: whether one with a taken address came in between.
fn ids(deployment: &Deployment) -> anyhow::Result<Measured> {
    let rows = deployment.rows(
        "SELECT is_hidden, verify_emails.id FROM verify_emails JOIN users USING (username)
         WHERE username LIKE 'user%' ORDER BY verify_emails.created_at, verify_emails.id",
    )?;
    let (mut with, mut without, mut last, mut between) = (Vec::new(), Vec::new(), None, false);
    for row in rows {
        let (is_hidden, id) = row.split_once('|').context("two columns")?;
        let id = id.parse::<f64>()?;
        if is_hidden == "t" {
            between = true;
            continue;
        }
        if let Some(last) = last.replace(id) {
            if between { &mut with } else { &mut without }.push(id - last);
        }
        between = false;
    }
    Ok(Measured::alone("privacy_ids", distance(&with, &without)?))
}
