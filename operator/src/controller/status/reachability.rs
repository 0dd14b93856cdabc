//! Are PostgreSQL, Redis and the mail server reached?
//!
//! Takes: what the pods report on their admin ports, and the result of the operator's own poll of Redis. Gives: the
//! conditions. Pure. Does not: connect to anything.

use super::{
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition,
    },
    facts::Facts,
};
use crate::{
    build::names::Component,
    controller::{
        observe::pods::Mail,
        reason::{self, Finding, condition as kind},
    },
    crd::{mail::Smtp, stores::Database},
};
use pipeline::Unready;

/// What the api pods' readiness says about PostgreSQL and its schema.
pub(super) fn database(facts: &Facts<'_>) -> [UntimedCondition; 2] {
    let answers = || {
        facts
            .reports
            .iter()
            .filter(|report| report.component == Some(Component::Api))
            .filter_map(|report| report.ready.as_ref())
    };
    if answers().any(Result::is_ok) {
        return [
            UntimedCondition::new(kind::DATABASE_REACHABLE, True, reason::ANSWERS, "PostgreSQL answers the api"),
            UntimedCondition::new(
                kind::MIGRATIONS_APPLIED,
                True,
                reason::SCHEMA_PRESENT,
                "the database has the schema",
            ),
        ];
    }
    let unknown = |condition| UntimedCondition::new(condition, Unknown, reason::NOT_KNOWN, "no api pod answers");
    match answers().find_map(|answer| answer.as_ref().err()) {
        None => [unknown(kind::DATABASE_REACHABLE), unknown(kind::MIGRATIONS_APPLIED)],
        Some(missing) if let Some(reason) = schema_trouble(missing) => {
            let finding = Finding::with_default_fix(reason, missing);
            [
                UntimedCondition::new(kind::DATABASE_REACHABLE, True, reason::ANSWERS, "PostgreSQL answers the api"),
                UntimedCondition::from_finding(kind::MIGRATIONS_APPLIED, False, &finding),
            ]
        }
        Some(missing) => {
            let finding = database_trouble(missing, &facts.pipeline.spec.database);
            [
                UntimedCondition::from_finding(kind::DATABASE_REACHABLE, False, &finding),
                unknown(kind::MIGRATIONS_APPLIED),
            ]
        }
    }
}

/// The reason, where PostgreSQL answers and the schema is what is wrong.
fn schema_trouble(missing: &str) -> Option<reason::Reason> {
    match Unready::read(missing)? {
        Unready::NoSchema => Some(reason::SCHEMA_MISSING),
        Unready::MayNotCreate => Some(reason::PRIVILEGES_MISSING),
        Unready::Foreign(_) => Some(reason::DATABASE_FOREIGN),
        _ => None,
    }
}

fn database_trouble(missing: &str, database: &Database) -> Finding {
    let secret = &database.secret_ref.name;
    let (reason, fix) = match Unready::read(missing) {
        Some(Unready::Credentials) => {
            (reason::CREDENTIALS_REFUSED, format!("correct user and password of the URI in Secret {secret}"))
        }
        Some(Unready::NoDatabase) => {
            (reason::DATABASE_MISSING, format!("create it, or correct the end of the URI in Secret {secret}"))
        }
        Some(Unready::TlsNotOffered) => (
            reason::TLS_MISMATCH,
            format!(
                "turn TLS on in the server, or take sslmode out of the URI in Secret {secret} and \
                spec.database.caSecretRef away"
            ),
        ),
        Some(Unready::TlsDemanded) => {
            (reason::TLS_MISMATCH, format!("write sslmode=require or stricter into the URI in Secret {secret}"))
        }
        Some(Unready::Certificate) => (
            reason::TLS_MISMATCH,
            "name the authority that signed the server's certificate in spec.database.caSecretRef, and write the host \
                as that certificate does"
                .to_owned(),
        ),
        Some(Unready::Silent | Unready::NoSchema | Unready::MayNotCreate | Unready::Foreign(_)) | None => (
            reason::NO_ANSWER,
            format!(
                "check that PostgreSQL runs, and that the URI in Secret {secret} names its host, user, password \
                and TLS"
            ),
        ),
    };
    Finding::new(reason, missing, fix)
}

/// Whether Redis answers the operator.
pub(super) fn redis(facts: &Facts<'_>) -> UntimedCondition {
    match &facts.scaling.queues {
        Ok(_) => UntimedCondition::new(kind::REDIS_REACHABLE, True, reason::ANSWERS, "Redis answers the operator"),
        Err(_) if !facts.findings.is_empty() => {
            UntimedCondition::new(kind::REDIS_REACHABLE, Unknown, reason::NOT_KNOWN, "nobody could look yet")
        }
        Err(finding) => UntimedCondition::from_finding(kind::REDIS_REACHABLE, False, finding),
    }
}

/// Whether the workers' last dialogues found a working mail server.
pub(super) fn mail(facts: &Facts<'_>) -> UntimedCondition {
    let told: Vec<&Mail> = facts.reports.iter().filter_map(|report| report.mail.as_ref()).collect();
    let failing = told.iter().find_map(|mail| match mail {
        Mail::Works => None,
        Mail::Fails { phase, said } => Some((phase, said.as_deref())),
    });
    match failing {
        None if told.is_empty() => {
            UntimedCondition::new(kind::MAIL_REACHABLE, Unknown, reason::NOT_KNOWN, "no worker has sent a mail yet")
        }
        Some((phase, said)) if !told.contains(&&Mail::Works) => {
            let finding = mail_trouble(phase, said, &facts.pipeline.spec.mail.smtp);
            UntimedCondition::from_finding(kind::MAIL_REACHABLE, False, &finding)
        }
        _ => UntimedCondition::new(kind::MAIL_REACHABLE, True, reason::ANSWERS, "the mail server takes mails"),
    }
}

/// By the step at which dialogues end (the worker's words), and with what the server said there.
fn mail_trouble(phase: &str, said: Option<&str>, smtp: &Smtp) -> Finding {
    let Smtp { host, port, tls, .. } = smtp;
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    let effect = format!("{said}; signups go on, mails are kept and tried again");
    let secret = smtp.auth_secret_ref.as_ref().map(|secret| format!("Secret {}", secret.name));
    match phase {
        "tls" => Finding::new(
            reason::TLS_MISMATCH,
            format!("no TLS connection to the mail server {host}:{port} can be made with tls {tls:?}{effect}"),
            "set spec.mail.smtp.tls to what that port speaks (StartTLS at 587, Implicit at 465), and name the \
                authority that signed its certificate in spec.mail.smtp.caSecretRef",
        ),
        "greeting" => Finding::new(
            reason::NO_ANSWER,
            format!("the mail server {host}:{port} does not greet{effect}"),
            "set spec.mail.smtp.tls to Implicit when that port speaks TLS from the first byte (465), or see that it \
                is a mail server and takes connections from here",
        ),
        "auth" => Finding::new(
            reason::CREDENTIALS_REFUSED,
            format!("the mail server {host}:{port} refuses the user or the password{effect}"),
            format!("correct username and password in {}", secret.as_deref().unwrap_or("spec.mail.smtp.authSecretRef")),
        ),
        "mail" => Finding::with_default_fix(
            reason::SENDER_REFUSED,
            format!("the mail server {host}:{port} refuses the sender, or wants credentials{effect}"),
        ),
        "rcpt" | "data" | "dot" => Finding::new(
            reason::SENDER_REFUSED,
            format!("the mail server {host}:{port} does not take our mails{effect}"),
            "mend what the reply names: spec.mail.from and spec.mail.smtp.authSecretRef, the right to relay, the \
                records of our domain (SPF, DKIM, DMARC), or the quota of the account",
        ),
        _ => Finding::new(
            reason::NO_ANSWER,
            format!("the mail server {host}:{port} takes no mails{effect}"),
            "check that it runs, that spec.mail.smtp names its host and port, and that network policies let workers \
                reach it; the workers' log has the server's reply",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{
        observe::pods::Report,
        status::fixture::{Fixture, report},
    };

    #[test]
    fn the_condition_says_what_the_mail_server_said() {
        let mut fixture = Fixture::healthy();
        for (phase, said, shown) in [
            (
                "rcpt",
                Some("504 5.5.2 <\u{2026}>: Helo command rejected"),
                "(504 5.5.2 <\u{2026}>: Helo command rejected)",
            ),
            ("dot", Some("550 5.4.5 quota exceeded"), "(550 5.4.5 quota exceeded)"),
            ("rcpt", None, "does not take our mails; signups go on"),
        ] {
            let fails = Mail::Fails { phase: phase.to_owned(), said: said.map(str::to_owned) };
            fixture.reports = vec![Report { mail: Some(fails), ..report(Component::Worker, Ok(())) }];
            let condition = mail(&fixture.facts());
            assert_eq!((condition.status, condition.reason), (False, reason::SENDER_REFUSED));
            assert!(condition.message.contains(shown), "{}", condition.message);
        }
    }
}
