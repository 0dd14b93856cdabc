//! Are the Secrets and ConfigMaps that a pipeline names there, and is what they hold usable?
//!
//! Takes: the references of a pipeline and what was found under the names. Gives: lines with names of keys. Pure. Does
//! not: show a value, ever.

use super::line::{Level, Line};
use crate::{
    controller::{
        reason::{self, Finding},
        store_secret::StoreSecret,
        validate::{Reference, Resolved, Source, certificate, references, validate},
    },
    crd::{SignupPipeline, stores::Migrations},
    manifest::objects::Content,
};
use pipeline::{PostgresUri, postgres_uri::TargetSessionAttrs, store_secret::StoreKind};
use queue::RedisUri;
use secrecy::ExposeSecret as _;

/// Bytes that a key that signs links needs; the processes refuse a shorter one (`signup::verification`).
const KEY_BYTES: usize = 32;

/// What a pipeline names: what its pods mount, and what the cluster uses on its behalf.
pub(super) fn named(pipeline: &SignupPipeline) -> Vec<Reference> {
    let pull = pipeline.spec.image_pull_secrets.iter();
    let mut named = references(pipeline);
    named.extend(certificate(pipeline));
    named.extend(pull.map(|pull| Reference::to_secret("spec.imagePullSecrets", &pull.name, &[".dockerconfigjson"])));
    named
}

/// Judges each of them. With `from_file`, what is absent is no mistake: it may be in the cluster.
pub(super) fn judge(pipeline: &SignupPipeline, found: &[(Reference, Resolved)], from_file: bool) -> Vec<Line> {
    found.iter().map(|(reference, resolved)| judge_one(pipeline, reference, resolved, from_file)).collect()
}

fn judge_one(pipeline: &SignupPipeline, reference: &Reference, resolved: &Resolved, from_file: bool) -> Line {
    let (kind, keys) = (kind(reference.source), reference.keys.join(", "));
    let subject = format!("{kind} {}", reference.name);
    let content = match resolved {
        Resolved::Found(content) => content,
        Resolved::Missing if from_file && is_generated(pipeline, reference) => {
            return Line::ok(subject, "not in the file; the operator makes it once, with a random key");
        }
        Resolved::Missing if from_file => {
            return Line::ok(subject, format!("not in the file; {} needs it, with {keys}", reference.field));
        }
        Resolved::Missing if is_generated(pipeline, reference) => {
            let fix = "see that the operator runs (`operator check`); it makes the Secret once";
            return Line::error(subject, "the operator has not made it yet", fix);
        }
        Resolved::Forbidden => {
            let fix = format!("look with an account that may get {}s in this namespace", kind.to_lowercase());
            return Line::warning(subject, format!("you may not read it, so whether it has {keys} is not known"), fix);
        }
        Resolved::Missing => &Content::default(),
    };
    if let Some(finding) = validate([(reference, resolved)]).first() {
        return Line::of(Level::Error, subject, finding);
    }
    match unusable(pipeline, reference, content) {
        Some(line) => Line { subject, ..line },
        None => Line::ok(subject, format!("has {}", used(reference, content))),
    }
}

/// The keys that are used; of a server's Secret those that its connection is put together from.
fn used(reference: &Reference, content: &Content) -> String {
    let Some(store) = reference.store() else { return reference.keys.join(", ") };
    let key = reference.keys.first().map(String::as_str).unwrap_or_default();
    let files = StoreSecret::of(store, key, Some(content), false).files();
    files.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(", ")
}

fn kind(source: Source) -> &'static str {
    match source {
        Source::Secret => "Secret",
        Source::ConfigMap => "ConfigMap",
    }
}

/// Whether the operator makes it: a Secret of that name that the resource names is a person's.
fn is_generated(pipeline: &SignupPipeline, reference: &Reference) -> bool {
    reference.field == "spec.verification.keySecretRef" && pipeline.spec.verification.key_secret_ref.is_none()
}

/// What is there and cannot work, or not as it was meant.
fn unusable(pipeline: &SignupPipeline, reference: &Reference, content: &Content) -> Option<Line> {
    let spec = &pipeline.spec;
    match reference.store() {
        Some(StoreKind::Postgres) => {
            let secret = StoreSecret::of(StoreKind::Postgres, reference.keys.first()?, Some(content), false);
            return doubtful(&secret.postgres_uri().ok()?).or_else(|| unused_migrations(pipeline, reference));
        }
        Some(StoreKind::Redis) => {
            let has_authority = spec.redis.ca_secret_ref.is_some();
            let secret = StoreSecret::of(StoreKind::Redis, &spec.redis.secret_ref.key, Some(content), has_authority);
            return redis(pipeline, reference, secret.redis_uri().ok()?.expose_secret());
        }
        None => {}
    }
    let value = content.get(reference.keys.first()?)?;
    match reference.field {
        "spec.verification.keySecretRef" if value.trim_ascii_end().len() < KEY_BYTES => {
            let bytes = value.trim_ascii_end().len();
            let problem = format!("the key `current` has {bytes} bytes, and {KEY_BYTES} are needed");
            Some(Line::error("", problem, "make one with `openssl rand -hex 32`"))
        }
        field if field.ends_with("caSecretRef") && !String::from_utf8_lossy(value).contains(PEM) => {
            let problem = format!("{} holds no PEM certificate", reference.keys.join(", "));
            Some(Line::error("", problem, format!("store the authority's certificate as PEM there, or remove {field}")))
        }
        _ => None,
    }
}

/// Nobody applies the schema on that URI.
fn unused_migrations(pipeline: &SignupPipeline, reference: &Reference) -> Option<Line> {
    let is_unused = reference.field == "spec.database.migrationsSecretRef"
        && pipeline.spec.database.migrations == Migrations::Manual;
    is_unused.then(|| {
        let message = "spec.database.migrationsSecretRef has no effect: spec.database.migrations is Manual";
        Line::warning("", message, "set spec.database.migrations to Auto, or remove spec.database.migrationsSecretRef")
    })
}

const PEM: &str = "-----BEGIN CERTIFICATE-----";

fn redis(pipeline: &SignupPipeline, reference: &Reference, uri: &str) -> Option<Line> {
    let uri = match RedisUri::parse(uri) {
        Ok(uri) => uri,
        Err(error) => {
            let problem = format!("the Redis URI in Secret {} cannot be used: {}", reference.name, error.problem());
            return Some(Line::of(Level::Error, "", &Finding::new(reason::URI_INVALID, problem, error.fix())));
        }
    };
    if uri.is_socket() {
        let message = "the Redis URI names a unix socket, which no pod sees; only `operator local` does";
        return Some(Line::warning("", message, "name the server by host and port for a cluster"));
    }
    // An authority is used with TLS alone.
    (!uri.is_tls() && pipeline.spec.redis.ca_secret_ref.is_some()).then(|| {
        let message = "spec.redis.caSecretRef has no effect: the URI says redis://, which is without TLS";
        Line::warning("", message, "write rediss://, or remove spec.redis.caSecretRef")
    })
}

/// What PostgreSQL takes and people seldom mean.
fn doubtful(uri: &PostgresUri) -> Option<Line> {
    use TargetSessionAttrs::{Any, PreferStandby, ReadOnly, Standby};
    let (message, fix) = if !uri.names_user() {
        ("the PostgreSQL URI names no user", "write the user before the host: postgres://user:password@host/database")
    } else if !uri.names_database() {
        ("the PostgreSQL URI names no database, so that with the user's name is used", "write /database at its end")
    } else {
        match uri.target_session_attrs() {
            Any if uri.hosts().len() > 1 => (
                "the PostgreSQL URI names several hosts, and the first that answers is used, standby or not",
                "add target_session_attrs=read-write to its parameters",
            ),
            ReadOnly | Standby | PreferStandby => (
                "the PostgreSQL URI asks for a server that cannot be written to, and each signup is written",
                "write target_session_attrs=read-write",
            ),
            _ => return None,
        }
    };
    Some(Line::warning("", message, fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crd::stores::LocalReference, manifest};

    fn pipeline(more: &str) -> SignupPipeline {
        let text = include_str!("../../../samples/minimal.yaml").replace("spec:\n", &format!("spec:\n  {more}\n"));
        manifest::parse(&text).expect("valid").pipeline
    }

    fn line(field: &str, keys: &[(&str, &str)]) -> Line {
        let pipeline = pipeline("");
        let reference = named(&pipeline).into_iter().find(|reference| reference.field == field).expect("it is named");
        judge(&pipeline, &[(reference, Resolved::Found(keys.iter().copied().collect()))], false).remove(0)
    }

    #[test]
    fn the_uri_of_postgresql_is_judged_and_never_shown() {
        for (uri, said) in [
            ("postgres://app:canary@db/app", "has uri"),
            ("postgresql://app:canary@[2001:db8::1]:5432/app?sslmode=require", "has uri"),
            ("app:canary@db/app", "begin with postgres://"),
            ("postgres://app:can ary@/app", "names no host"),
            ("jdbc:postgresql://db/app?user=app&password=canary", "begins with jdbc:"),
            ("postgresql+asyncpg://app:canary@db/app", "only SQLAlchemy reads"),
            ("postgres://app:canary@db/app?service=main", "parameter service is not supported"),
            ("postgres://app:canary@db/app?sslmod=require", "parameter sslmod is none of PostgreSQL's"),
            ("postgres://app:canary/canary@db/app", "a port in it is no number"),
            ("postgres://app:canary@one,two/app", "several hosts"),
            ("postgres://app:canary@one,two/app?target_session_attrs=read-write", "has uri"),
            ("mysql://app:canary@db/app", "begin with postgres://"),
            ("postgres://app:canary@db", "names no database"),
            ("canary", "no URI"),
        ] {
            let line = line("spec.database.secretRef", &[("uri", uri)]);
            assert!(line.message.contains(said), "{uri}: {}", line.message);
            assert!(!format!("{line:?}").contains("canary"));
        }
    }

    #[test]
    fn the_uri_for_migrations_is_judged_and_told_where_nobody_uses_it() {
        for (more, uri, said) in [
            ("", "mysql://db/app", "begin with postgres://"),
            ("", "postgres://app@db/app", "has uri"),
            ("migrations: Manual, ", "postgres://app@db/app", "has no effect: spec.database.migrations is Manual"),
        ] {
            let mut pipeline = pipeline("");
            let text = format!("{{{more}secretRef: {{name: app-db}}, migrationsSecretRef: {{name: app-db-direct}}}}");
            pipeline.spec.database = serde_yaml::from_str(&text).expect("valid");
            let reference = named(&pipeline).into_iter().find(|reference| reference.name == "app-db-direct");
            let content = Resolved::Found([("uri", uri)].into_iter().collect());
            let line = judge(&pipeline, &[(reference.expect("it is named"), content)], false).remove(0);
            assert!(line.message.contains(said), "{}", line.message);
        }
    }

    #[test]
    fn the_uri_of_redis_is_judged_by_the_parser_that_uses_it() {
        assert_eq!(line("spec.redis.secretRef", &[("uri", "rediss://:canary@redis:6380/3")]).level, Level::Ok);
        for (uri, level, said) in [
            ("redis+sentinel://:canary@sentinel/master/3?sentinelPassword=canary", Level::Ok, "has uri"),
            ("redis+cluster://:canary@redis-0,redis-1:6380", Level::Ok, "has uri"),
            ("redis+cluster://:canary@redis-0/3", Level::Error, "a cluster has no database 3"),
            ("redis-sentinel://:canary@sentinel", Level::Error, "does not name the master"),
            ("redis://:canary@one,two", Level::Error, "names several hosts"),
            ("http://:canary@redis", Level::Error, "http: is not Redis'"),
            ("redis+unix:///run/redis.sock?pass=canary", Level::Warning, "no pod sees"),
        ] {
            let line = line("spec.redis.secretRef", &[("uri", uri)]);
            assert!(line.level == level && line.message.contains(said), "{uri}: {line:?}");
            assert!(!format!("{line:?}").contains("canary"), "{uri}: {line:?}");
        }
        let bad = line("spec.redis.secretRef", &[("uri", "redis.test:canary")]);
        assert_eq!(bad.level, Level::Error);
        assert!(
            bad.fix.as_deref().is_some_and(|fix| fix.contains("redis://:password@host"))
                && !bad.message.contains("canary")
        );
    }

    #[test]
    fn a_missing_key_is_told_with_those_that_exist() {
        let line = line("spec.database.secretRef", &[("dsn", "canary")]);
        assert_eq!(
            line.message,
            "Secret app-db, named by spec.database.secretRef, has no value under the key uri (it has dsn)"
        );
        assert_eq!(line.fix.as_deref(), Some("add the key, or name the right one in spec.database.secretRef.key"));
    }

    #[test]
    fn a_short_key_and_an_authority_that_is_none_are_told() {
        assert!(line("spec.verification.keySecretRef", &[("current", "short")]).message.contains("has 5 bytes"));
        let pipeline = pipeline("").clone();
        let ca = Reference {
            field: "spec.database.caSecretRef",
            source: Source::Secret,
            name: "ca".into(),
            keys: vec!["ca.crt".into()],
        };
        let found = [(ca, Resolved::Found([("ca.crt", "no certificate")].into_iter().collect()))];
        assert_eq!(judge(&pipeline, &found, false)[0].level, Level::Error);
    }

    #[test]
    fn the_generated_key_is_not_asked_of_people() {
        let mut pipeline = pipeline("");
        let reference =
            named(&pipeline).into_iter().find(|reference| reference.name == "demo-keys").expect("it is named");
        let found = [(reference, Resolved::Missing)];
        let told = |pipeline: &SignupPipeline, from_file| judge(pipeline, &found, from_file).remove(0);
        assert!(told(&pipeline, false).message.contains("has not made it yet"));
        let in_file = "not in the file; the operator makes it once, with a random key";
        assert_eq!(told(&pipeline, true), Line::ok("Secret demo-keys", in_file));
        pipeline.spec.verification.key_secret_ref = Some(LocalReference { name: "demo-keys".into() });
        assert!(told(&pipeline, false).message.contains("does not exist"), "the operator makes none that is named");
        assert!(told(&pipeline, true).message.contains("spec.verification.keySecretRef needs it, with current"));
    }

    #[test]
    fn the_certificate_of_the_ingress_and_the_registrys_credentials_are_looked_at_too() {
        let more = "imagePullSecrets: [{name: registry}]\n  expose: {host: a.test, ingress: {tlsSecretName: cert}}";
        let fields: Vec<_> = named(&pipeline(more)).into_iter().map(|reference| reference.name).collect();
        assert!(fields.contains(&"cert".to_owned()) && fields.contains(&"registry".to_owned()), "{fields:?}");
    }

    #[test]
    fn what_is_not_in_a_file_is_said_with_the_keys_it_needs() {
        let pipeline = pipeline("");
        let found = named(&pipeline).into_iter().map(|reference| (reference, Resolved::Missing)).collect::<Vec<_>>();
        let lines = judge(&pipeline, &found, true);
        assert!(lines.iter().all(|line| line.level == Level::Ok));
        assert_eq!(lines[0].message, "not in the file; spec.database.secretRef needs it, with uri");
    }
}
