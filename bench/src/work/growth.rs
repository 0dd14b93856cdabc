//! What old signups and waiting mails cost: a new signup, and PostgreSQL at rest, by the number of rows.
//!
//! Rows are made in SQL: users whose mails were sent long ago, with their links; then mails that wait for an hour from
//! now. After each step of ten times as many: signups one by one over HTTP, and the processor time of PostgreSQL while
//! nobody signs up. The baseline is the empty database of the same run. How far it goes is said by the environment
//! (`GROWTH_ROWS`, `GROWTH_TASKS`, 100,000 and 10,000 without them), for ten million take a quarter of an hour and
//! 20 GB; what the disk cannot hold is refused first. Measured in the first round only. Does not: remove anything.

use super::{Round, signups::post};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    program::Program,
    requests::Requests,
    statistics::percentile,
    usage,
};
use anyhow::{Context, ensure};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

pub(super) const GOALS: [Goal; 19] = [
    at_rest("growth_rest_0", "PostgreSQL at rest, empty database, in % of a core"),
    signup("growth_p50_4", "signup one by one, p50, 10^4 old signups, against none", Target::Nothing),
    signup("growth_p99_4", "the same, p99", Target::TimesBaseline(0.9)),
    at_rest("growth_rest_4", "PostgreSQL at rest, 10^4 old signups, against none"),
    signup("growth_p50_5", "signup one by one, p50, 10^5 old signups, against none", Target::Nothing),
    signup("growth_p99_5", "the same, p99", Target::TimesBaseline(0.9)),
    at_rest("growth_rest_5", "PostgreSQL at rest, 10^5 old signups, against none"),
    signup("growth_p50_6", "signup one by one, p50, 10^6 old signups, against none", Target::Nothing),
    signup("growth_p99_6", "the same, p99", Target::TimesBaseline(0.9)),
    at_rest("growth_rest_6", "PostgreSQL at rest, 10^6 old signups, against none"),
    signup("growth_p50_7", "signup one by one, p50, 10^7 old signups, against none", Target::Nothing),
    signup("growth_p99_7", "the same, p99", Target::TimesBaseline(0.9)),
    at_rest("growth_rest_7", "PostgreSQL at rest, 10^7 old signups, against none"),
    signup("growth_waiting_p99_3", "signup, p99, 10^3 mails waiting as well, against none", Target::Nothing),
    signup("growth_waiting_p99_4", "signup, p99, 10^4 mails waiting as well, against none", Target::Nothing),
    signup("growth_waiting_p99_5", "signup, p99, 10^5 mails waiting as well, against none", Target::Nothing),
    signup("growth_waiting_p99_6", "signup, p99, 10^6 mails waiting as well, against none", Target::Nothing),
    at_rest("growth_waiting_rest_5", "PostgreSQL at rest, 10^5 mails waiting as well, against none"),
    at_rest("growth_waiting_rest_6", "PostgreSQL at rest, 10^6 mails waiting as well, against none"),
];

const fn signup(key: &'static str, work: &'static str, target: Target) -> Goal {
    Goal { key, work, unit: Unit::Milliseconds, better: Better::Lower, target }
}

const fn at_rest(key: &'static str, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::Percent, better: Better::Lower, target: Target::Nothing }
}

/// Signups at each step: ten of them are beyond the p99.
const SIGNUPS: usize = 1000;
/// How long PostgreSQL is watched at rest.
const REST: Duration = Duration::from_secs(20);
/// From the last signup to rest: the relay has handed over what is due within a minute, the sweeper has swept.
const CALM: Duration = Duration::from_secs(6);
/// Rows of one statement.
const CHUNK: u64 = 100_000;
/// Bytes that the files of the database and its log grow by for each old signup, with reserve.
const BYTES_PER_SIGNUP: u64 = 4000;

/// One step's figures.
struct Figures {
    p50_ms: f64,
    p99_ms: f64,
    at_rest: f64,
}

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    if round.number > 0 {
        return Ok(Vec::new());
    }
    let (rows, tasks) = (limit("GROWTH_ROWS", 100_000)?, limit("GROWTH_TASKS", 10_000)?);
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(3600), concurrency: 16 })?;
    check_disk((rows + tasks) * BYTES_PER_SIGNUP)?;
    let deployment = deployment.with(|document| {
        // Far beyond what is waited for, and nothing is removed meanwhile.
        document.retention.mails = Some(Duration::ZERO);
    })?;
    let api = deployment.api().await?;
    let mut signed_up = 0;
    let empty = look(&deployment, &api, &mut signed_up).await?;
    let mut measured = vec![Measured::alone("growth_rest_0", empty.at_rest)];
    for (rows, most, statement, powers) in [("growth", rows, OLD, 4..=7), ("growth_waiting", tasks, WAITING, 3..=6)] {
        let mut there = 0;
        for wanted in powers.map(|power| 10_u64.pow(power)).take_while(|wanted| *wanted <= most) {
            make(&deployment, statement, there, wanted)?;
            there = wanted;
            let seen = look(&deployment, &api, &mut signed_up).await?;
            measured.extend(against(rows, wanted.ilog10(), &seen, &empty));
        }
    }
    Ok(measured)
}

/// The figures of a step that there are rows for.
fn against(rows: &str, power: u32, seen: &Figures, empty: &Figures) -> Vec<Measured> {
    let figures =
        [("p50", seen.p50_ms, empty.p50_ms), ("p99", seen.p99_ms, empty.p99_ms), ("rest", seen.at_rest, empty.at_rest)];
    let row = |(what, ours, baseline)| {
        let wanted = format!("{rows}_{what}_{power}");
        let goal = GOALS.iter().find(|goal| goal.key == wanted)?;
        Some(Measured::against(goal.key, ours, baseline))
    };
    figures.into_iter().filter_map(row).collect()
}

fn limit(variable: &str, usual: u64) -> anyhow::Result<u64> {
    let Ok(text) = std::env::var(variable) else { return Ok(usual) };
    text.parse().with_context(|| format!("{variable}: `{text}` is not a number such as 10000000"))
}

fn check_disk(needed: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir();
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&folder).output().context("no df")?;
    let free = String::from_utf8_lossy(&output.stdout).split_whitespace().last().and_then(|free| free.parse().ok());
    let free: u64 = free.context("df says no number of free bytes")?;
    ensure!(
        free > needed,
        "{} has {free} bytes free and needs {needed}; set GROWTH_ROWS or GROWTH_TASKS to less, or TMPDIR to another \
         disk",
        folder.display()
    );
    Ok(())
}

async fn look(deployment: &Deployment, api: &Program, signed_up: &mut usize) -> anyhow::Result<Figures> {
    // Else PostgreSQL would do this by itself, amid what is measured.
    deployment.rows("VACUUM (ANALYZE)")?;
    deployment.rows("CHECKPOINT")?;
    let mut requests = Requests::open(api.address("http")?).await?;
    let mut times_ms = Vec::with_capacity(SIGNUPS);
    for _ in 0..SIGNUPS {
        let start = Instant::now();
        let answer = post(&mut requests, *signed_up).await?;
        times_ms.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(answer.status == 200, "a signup was answered {}", answer.status);
        *signed_up += 1;
    }
    deployment.rows("CHECKPOINT")?;
    tokio::time::sleep(CALM).await;
    let before = usage::of_postgresql()?;
    tokio::time::sleep(REST).await;
    let at_rest = usage::of_postgresql()?.saturating_sub(before).as_secs_f64() / REST.as_secs_f64() * 100.0;
    let of = |share| percentile(&times_ms, share).context("nobody signed up");
    Ok(Figures { p50_ms: of(0.5)?, p99_ms: of(0.99)?, at_rest })
}

/// Rows from one number to another, with the triggers that a signup has.
fn make(deployment: &Deployment, statement: &str, from: u64, to: u64) -> anyhow::Result<()> {
    let mut begin = from;
    while begin < to {
        let end = (begin + CHUNK).min(to);
        deployment.rows(&statement.replace("BEGIN", &(begin + 1).to_string()).replace("END", &end.to_string()))?;
        begin = end;
    }
    Ok(())
}

/// Sent over the last three years, verified, their links at an end.
const OLD: &str = "
WITH numbers AS (
    SELECT n, now() - n % 1000 * interval '1 day' - interval '2 days' AS at FROM generate_series(BEGIN, END) AS n
), new_user AS (
    INSERT INTO users (username, hashed_password, full_name, email, email_canonical, created_at, is_email_verified,
                       verified_at)
    SELECT 'old_' || n, repeat('x', 97), 'Old User', 'old' || n || '@example.com', 'old' || n || '@example.com', at,
           true, at
    FROM numbers
), new_intent AS (
    INSERT INTO email_intents (id, kind, username, email, generation, created_at, delay, run_at, queue, max_retries,
                               deadline, timeout, public_url, link_ttl, message_id, key_id, state, attempts, sent_at,
                               last_class, last_reply)
    SELECT md5('old' || n)::uuid, 'verification', 'old_' || n, 'old' || n || '@example.com', 1, at, '10 s', at,
           'critical', 10, at + interval '3 days', '30 s', 'https://app.example.com', '24 h',
           '<' || md5('old' || n) || '@example.com>', 'current', 'sent', 1, at, 'accepted', '250 2.0.0 Ok: queued'
    FROM numbers
)
INSERT INTO verify_emails (id, username, email, intent_id, secret_hash, key_id, is_used, created_at, expired_at)
SELECT n, 'old_' || n, 'old' || n || '@example.com', md5('old' || n)::uuid, sha256(n::text::bytea), 'current', true, at,
       at + interval '1 day'
FROM numbers";

/// Owed, and due in an hour: they wait in PostgreSQL, for Redis is told a minute before.
const WAITING: &str = "
WITH numbers AS (
    SELECT n FROM generate_series(BEGIN, END) AS n
), new_user AS (
    INSERT INTO users (username, hashed_password, full_name, email, email_canonical)
    SELECT 'waiting_' || n, repeat('x', 97), 'New User', 'waiting' || n || '@example.com',
           'waiting' || n || '@example.com'
    FROM numbers
), new_intent AS (
    INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries, deadline,
                               timeout, public_url, link_ttl, message_id, key_id)
    SELECT md5('waiting' || n)::uuid, 'verification', 'waiting_' || n, 'waiting' || n || '@example.com', 1, '1 h',
           now() + interval '1 hour', 'critical', 10, now() + interval '3 days', '30 s', 'https://app.example.com',
           '24 h', '<' || md5('waiting' || n) || '@example.com>', 'current'
    FROM numbers
)
INSERT INTO verify_emails (id, username, email, intent_id, secret_hash, key_id, expired_at)
SELECT 1000000000 + n, 'waiting_' || n, 'waiting' || n || '@example.com', md5('waiting' || n)::uuid,
       sha256(n::text::bytea), 'current', 'infinity'
FROM numbers";
