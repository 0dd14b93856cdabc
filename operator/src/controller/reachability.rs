//! Are PostgreSQL, Redis and the mail server reached?
//!
//! Takes: what the pods tell on their admin ports, and what the operator's own look at Redis gave. Gives: the conditions.
//! Pure. Does not: connect to anything.

use super::{
    condition::{Draft, Holds},
    reason::{self, Finding, condition as kind},
    status::Facts,
};
use crate::build::names::Part;

/// What the api pods' readiness says about PostgreSQL and its schema.
pub(super) fn database(facts: &Facts<'_>) -> [Draft; 2] {
    let answers = || {
        facts.reports.iter().filter(|report| report.part == Some(Part::Api)).filter_map(|report| report.ready.as_ref())
    };
    if answers().any(Result::is_ok) {
        return [
            Draft::new(kind::DATABASE_REACHABLE, Holds::True, reason::ANSWERS, "PostgreSQL answers the api"),
            Draft::new(kind::MIGRATIONS_APPLIED, Holds::True, reason::SCHEMA_PRESENT, "the database has the schema"),
        ];
    }
    let unknown = |condition| Draft::new(condition, Holds::Unknown, reason::NOT_KNOWN, "no api pod answers");
    match answers().find_map(|answer| answer.as_ref().err()) {
        None => [unknown(kind::DATABASE_REACHABLE), unknown(kind::MIGRATIONS_APPLIED)],
        Some(missing) if missing.contains("schema") => [
            Draft::new(kind::DATABASE_REACHABLE, Holds::True, reason::ANSWERS, "PostgreSQL answers the api"),
            Draft::from_finding(
                kind::MIGRATIONS_APPLIED,
                Holds::False,
                &Finding::usual(reason::SCHEMA_MISSING, missing),
            ),
        ],
        Some(missing) => [
            Draft::from_finding(
                kind::DATABASE_REACHABLE,
                Holds::False,
                &Finding::new(
                    reason::NO_ANSWER,
                    missing,
                    format!(
                        "check that PostgreSQL runs, and that the URI in Secret {} names its host, user, password and TLS",
                        facts.pipeline.spec.database.secret_ref.name
                    ),
                ),
            ),
            unknown(kind::MIGRATIONS_APPLIED),
        ],
    }
}

/// Whether Redis answers the operator.
pub(super) fn redis(facts: &Facts<'_>) -> Draft {
    match &facts.scaling.queues {
        Ok(_) => Draft::new(kind::REDIS_REACHABLE, Holds::True, reason::ANSWERS, "Redis answers the operator"),
        Err(_) if !facts.findings.is_empty() => {
            Draft::new(kind::REDIS_REACHABLE, Holds::Unknown, reason::NOT_KNOWN, "nobody could look yet")
        }
        Err(finding) => Draft::from_finding(kind::REDIS_REACHABLE, Holds::False, finding),
    }
}

/// Whether the workers' last dialogues found a working mail server.
pub(super) fn mail(facts: &Facts<'_>) -> Draft {
    let mut told = facts.reports.iter().filter_map(|report| report.mail).peekable();
    if told.peek().is_none() {
        return Draft::new(kind::MAIL_REACHABLE, Holds::Unknown, reason::NOT_KNOWN, "no worker has sent a mail yet");
    }
    if told.any(|works| works) {
        return Draft::new(kind::MAIL_REACHABLE, Holds::True, reason::ANSWERS, "the mail server takes mails");
    }
    let smtp = &facts.pipeline.spec.mail.smtp;
    let problem = format!("the mail server {}:{} takes no mails; they are kept and tried again", smtp.host, smtp.port);
    let fix = "check spec.mail.smtp (host, port, tls) and the credentials; the workers' log has the server's reply";
    Draft::from_finding(kind::MAIL_REACHABLE, Holds::False, &Finding::new(reason::NO_ANSWER, problem, fix))
}
