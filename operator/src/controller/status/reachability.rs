//! Are PostgreSQL and Redis reached?
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
    controller::reason::{self, Finding, condition as kind},
    crd::stores::Database,
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
    // One pod that found it out is right; those of an older version do not look.
    let shared = answers().filter_map(|answer| answer.as_ref().err()).find(|missing| is_shared(missing));
    if shared.is_none() && answers().any(Result::is_ok) {
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
    match shared.or_else(|| answers().find_map(|answer| answer.as_ref().err())) {
        None => [unknown(kind::DATABASE_REACHABLE), unknown(kind::MIGRATIONS_APPLIED)],
        Some(missing) if let Some(finding) = content_trouble(missing) => [
            UntimedCondition::new(kind::DATABASE_REACHABLE, True, reason::ANSWERS, "PostgreSQL answers the api"),
            UntimedCondition::from_finding(kind::MIGRATIONS_APPLIED, False, &finding),
        ],
        Some(missing) => {
            let finding = database_trouble(missing, &facts.pipeline.spec.database);
            [
                UntimedCondition::from_finding(kind::DATABASE_REACHABLE, False, &finding),
                unknown(kind::MIGRATIONS_APPLIED),
            ]
        }
    }
}

/// What is wrong where PostgreSQL answers, and what is in the database is the trouble.
fn content_trouble(missing: &str) -> Option<Finding> {
    let reason = match Unready::read(missing)? {
        Unready::Forbidden { what, needs } => {
            let problem = format!("the role of the database's URI may not {what}");
            return Some(Finding::new(reason::PRIVILEGES_MISSING, problem, format!("as an administrator: {needs}")));
        }
        Unready::NoSchema | Unready::Unclaimed => reason::SCHEMA_MISSING,
        Unready::Shared(_) => reason::DATABASE_SHARED,
        Unready::Foreign(_) => reason::DATABASE_FOREIGN,
        Unready::Missing(_) => reason::SCHEMA_INCOMPLETE,
        Unready::Encoding(_) => reason::ENCODING_UNFIT,
        _ => return None,
    };
    Some(Finding::with_default_fix(reason, missing))
}

fn is_shared(missing: &str) -> bool {
    matches!(Unready::read(missing), Some(Unready::Shared(_)))
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
        Some(Unready::ReadOnly) => {
            let then = "signups go on as soon as writes are taken there";
            let fix = format!("name the primary in the URI of Secret {secret}, or a name that follows it; {then}");
            (reason::DATABASE_READ_ONLY, fix)
        }
        Some(Unready::Full) => return Finding::with_default_fix(reason::DATABASE_FULL, missing),
        Some(Unready::StatementPooling) => return Finding::with_default_fix(reason::POOLER_UNFIT, missing),
        Some(Unready::ParameterRefused) => {
            let fix = "take options out of the URI in Secret";
            let then = "name a schema in spec.database.schema, and settle the rest by ALTER ROLE";
            (reason::POOLER_UNFIT, format!("{fix} {secret}: {then}"))
        }
        Some(unready @ (Unready::TlsNotOffered | Unready::TlsDemanded | Unready::Certificate)) => {
            (reason::TLS_MISMATCH, tls_fix(&unready, secret))
        }
        Some(_) | None => {
            let fix = "check that PostgreSQL runs, and that the URI in Secret";
            (reason::NO_ANSWER, format!("{fix} {secret} names its host, user, password and TLS"))
        }
    };
    Finding::new(reason, missing, fix)
}

fn tls_fix(unready: &Unready, secret: &str) -> String {
    match unready {
        Unready::TlsNotOffered => format!(
            "turn TLS on in the server, or take sslmode out of the URI in Secret {secret} and \
             spec.database.caSecretRef away"
        ),
        Unready::TlsDemanded => format!("write sslmode=require or stricter into the URI in Secret {secret}"),
        _ => "name the authority that signed the server's certificate in spec.database.caSecretRef, and write the \
              host as that certificate does"
            .to_owned(),
    }
}

/// Whether Redis answers the operator.
pub(super) fn redis(facts: &Facts<'_>) -> UntimedCondition {
    match &facts.scaling.queues {
        Ok(_) => {
            let unlooked = "; whether another pipeline uses this database was not looked at, needs ~asynq:presence in \
                the access list of Redis";
            let note = if facts.scaling.is_presence_forbidden { unlooked } else { "" };
            let message = format!("Redis answers the operator{note}");
            UntimedCondition::new(kind::REDIS_REACHABLE, True, reason::ANSWERS, message)
        }
        Err(_) if !facts.findings.is_empty() => {
            UntimedCondition::new(kind::REDIS_REACHABLE, Unknown, reason::NOT_KNOWN, "nobody could look yet")
        }
        Err(finding) => UntimedCondition::from_finding(kind::REDIS_REACHABLE, False, finding),
    }
}
