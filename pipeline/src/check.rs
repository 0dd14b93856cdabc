//! What types cannot say about a document.
//!
//! Takes: a parsed [`Document`]. Gives: the first field that cannot work, with its value and the fix. Does not: repeat
//! the rules of the resource that are only advice; what a process can work with is accepted.
//!
//! This file and `document` use each other: a document is checked where it is parsed, so that no unchecked one exists.

use crate::{
    document::{Document, InvalidDocument, SmtpTls},
    mailbox::MailboxError,
};
use std::{collections::BTreeSet, time::Duration};

type Checked = Result<(), InvalidDocument>;

/// The longest `task.delay`.
const MAX_DELAY: Duration = Duration::from_secs(24 * 3600);

/// The shortest time in `retention`.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The bounds of `api.http.idleTimeout`.
const MIN_IDLE: Duration = Duration::from_secs(1);
const MAX_IDLE: Duration = Duration::from_secs(24 * 3600);

/// Each has connections and statements of its own.
const MAX_WEBHOOKS: usize = 8;

/// Checks every part.
///
/// # Errors
///
/// [`InvalidDocument::Field`] for the first field that cannot work.
pub(crate) fn check(document: &Document) -> Checked {
    queues(document)?;
    task(document)?;
    sender(document)?;
    signup(document)?;
    retention(document)?;
    webhooks(document)?;
    processes(document)?;
    let level = &document.observability.log_level;
    demand(is_log_level(level), "observability.logLevel", level, LOG_LEVEL)
}

fn demand(holds: bool, field: &'static str, value: impl ToString, problem: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(InvalidDocument::Field { field, value: value.to_string(), problem }) }
}

fn queues(Document { queues, .. }: &Document) -> Checked {
    demand((1..=16).contains(&queues.len()), "queues", queues.len(), "entries: give 1 to 16 queues")?;
    let mut names = BTreeSet::new();
    for queue in queues {
        let (name, priority) = (&queue.name, format!("{}: {}", queue.name, queue.priority));
        demand(queue.priority > 0, "queues[].priority", priority, "must be 1 or more; use `paused` to stop it")?;
        let letters = "must be 1 to 63 of a-z, A-Z, 0-9, `-`, `_`, `.`, `:`";
        demand(is_queue_name(name), "queues[].name", name, letters)?;
        demand(names.insert(name), "queues[].name", name, "is given twice; remove one of the two")?;
    }
    Ok(())
}

fn task(Document { task, queues, .. }: &Document) -> Checked {
    let known = queues.iter().any(|queue| queue.name == task.queue);
    demand(known, "task.queue", &task.queue, "is not one of `queues`; add it there or name another")?;
    demand(task.max_retries <= 100, "task.maxRetries", task.max_retries, "must be 0 to 100")?;
    let delay = crate::duration::format(task.delay);
    demand(task.delay <= MAX_DELAY, "task.delay", delay, "must be 0s to 24h")
}

fn sender(Document { mail, .. }: &Document) -> Checked {
    let problem = mail.sender().map_or_else(MailboxError::problem, |_| "");
    demand(problem.is_empty(), "mail.from", &mail.from, problem)?;
    let (bounces_to, reply_to) = (mail.envelope_from.as_deref(), mail.reply_to.as_deref());
    let problem = mail.bounces_to().map_or("must be an address like `bounces@example.com`", |_| "");
    demand(problem.is_empty(), "mail.envelopeFrom", bounces_to.unwrap_or_default(), problem)?;
    let problem = mail.answers_to().map_or_else(MailboxError::problem, |_| "");
    demand(problem.is_empty(), "mail.replyTo", reply_to.unwrap_or_default(), problem)
}

fn signup(Document { signup, verification, .. }: &Document) -> Checked {
    let shortest = signup.password_min_length;
    demand((6..=128).contains(&shortest), "signup.passwordMinLength", shortest, "must be 6 to 128")?;
    let domains = &signup.email_domains;
    for (field, list) in [("signup.emailDomains.allow", &domains.allow), ("signup.emailDomains.deny", &domains.deny)] {
        if let Some(wrong) = list.iter().find(|domain| !domain.is_valid()) {
            demand(
                false,
                field,
                String::from(wrong.clone()),
                "must be a domain like example.com, without @, * or port",
            )?;
        }
    }
    let url = &verification.public_url;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    demand(is_web, "verification.publicURL", url, "must begin with https:// or http://")
}

fn retention(Document { retention, .. }: &Document) -> Checked {
    let problem = "must be 24h or more; write 0s to keep mails for ever";
    let mails = retention.mails.unwrap_or_default();
    demand(mails.is_zero() || mails >= DAY, "retention.mails", crate::duration::format(mails), problem)?;
    let users = retention.unverified_users.unwrap_or(DAY);
    let problem = "must be 24h or more; leave it out to keep users for ever";
    demand(users >= DAY, "retention.unverifiedUsers", crate::duration::format(users), problem)
}

fn webhooks(Document { webhooks, .. }: &Document) -> Checked {
    let problem = "entries: tell 8 URLs at most";
    demand(webhooks.len() <= MAX_WEBHOOKS, "webhooks", webhooks.len(), problem)?;
    let mut urls = BTreeSet::new();
    for webhook in webhooks {
        let url = &webhook.url;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        demand(is_web, "webhooks[].url", url, "must begin with https:// or http://")?;
        demand(urls.insert(url), "webhooks[].url", url, "is given twice; join the events of the two")?;
    }
    Ok(())
}

fn processes(Document { database, mail, api, worker, .. }: &Document) -> Checked {
    let (idle, problem) = (api.http.idle_timeout, "must be 1s to 24h, longer than a proxy before it keeps connections");
    let is_possible = (MIN_IDLE..=MAX_IDLE).contains(&idle);
    demand(is_possible, "api.http.idleTimeout", crate::duration::format(idle), problem)?;
    let connections = database.max_connections_per_pod;
    demand(connections > 1, "database.maxConnectionsPerPod", connections, "must be 2 or more")?;
    let schema = database.schema.as_deref();
    demand(schema.is_none_or(is_schema_name), "database.schema", schema.unwrap_or_default(), SCHEMA_NAME)?;
    let in_clear = mail.smtp.auth_dir.is_some() && mail.smtp.tls == SmtpTls::None;
    demand(!in_clear, "mail.smtp.tls", "None", "would send credentials in clear; set StartTLS or Implicit")?;
    let of_mail_server = mail.smtp.max_connections;
    let problem = "must be 1 or more; leave it out for no limit";
    demand(of_mail_server != Some(0), "mail.smtp.maxConnections", of_mail_server.unwrap_or_default(), problem)?;
    demand(worker.concurrency > 0, "worker.concurrency", worker.concurrency, "must be 1 or more")
}

const LOG_LEVEL: &str = "must be off, error, warn, info, debug or trace, once; `target=level` may follow after commas";

/// One level for everything, others for targets (`info,queue=debug`). The logs would take any word for a target, and
/// then have no level for the rest.
fn is_log_level(text: &str) -> bool {
    let is_level =
        |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_lowercase().as_str());
    let is_target = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    };
    let (of_targets, for_all): (Vec<&str>, Vec<&str>) =
        text.split(',').map(str::trim).partition(|part| part.contains('='));
    let is_of_target =
        |part: &&str| part.split_once('=').is_some_and(|(name, level)| is_target(name) && is_level(level));
    matches!(for_all[..], [level] if is_level(level)) && of_targets.iter().all(is_of_target)
}

const SCHEMA_NAME: &str = "must be 1 to 63 letters, digits, `_`, `-` or `$`, the first a letter or `_`, and none of \
    PostgreSQL's own (`pg_...`, information_schema)";

/// Other marks would be possible between quotes, and a trap for everybody who types the name. PostgreSQL cuts names to
/// 63 bytes.
fn is_schema_name(name: &str) -> bool {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_next = |letter: char| is_first(letter) || letter.is_ascii_digit() || matches!(letter, '-' | '$');
    name.len() <= 63
        && name.starts_with(is_first)
        && name.chars().all(is_next)
        && !name.starts_with("pg_")
        && name != "information_schema"
}

/// Braces would break the cluster hash tag of asynq's keys, white space the tools that list queues.
fn is_queue_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}
