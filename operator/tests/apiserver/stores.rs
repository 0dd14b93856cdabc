//! Trouble with PostgreSQL, Redis and the mail server: each usual mistake has its own words.
//!
//! What pods report about PostgreSQL and mail comes from [`FakePod`] in the words of api and worker, whose own tests
//! hold them against real servers; Redis is asked by the operator itself.

use super::operator_run::{FakePod, MINIMAL, Run};
use k8s_openapi::api::apps::v1::Deployment;
use pipeline::Unready;
use serde_json::json;
use servers::{Authority, Redis};

#[tokio::test]
async fn each_trouble_with_postgresql_has_its_reason_and_its_fix() {
    let run = Run::with_pipeline(MINIMAL).await;
    let api = FakePod::new().await;
    api.is_not_ready("starting");
    run.pod("demo-api", &api).await;
    for (unready, reason, fix) in [
        (Unready::Credentials, "CredentialsRefused", "Fix: correct user and password of the URI in Secret app-db."),
        (
            Unready::TlsNotOffered,
            "TlsMismatch",
            "Fix: turn TLS on in the server, or take sslmode out of the URI in Secret app-db",
        ),
        (Unready::Silent, "NoAnswer", "Fix: check that PostgreSQL runs, and that the URI in Secret app-db"),
        (Unready::TlsDemanded, "TlsMismatch", "Fix: write sslmode=require or stricter into the URI in Secret app-db."),
        (Unready::ReadOnly, "DatabaseReadOnly", "Fix: name the primary in the URI of Secret app-db, or a name that"),
        (Unready::Full, "DatabaseFull", "Fix: raise max_connections of PostgreSQL (max_client_conn of PgBouncer)"),
        (Unready::StatementPooling, "PoolerUnfit", "Fix: set its pool_mode to transaction (or session)"),
        (
            Unready::ParameterRefused,
            "PoolerUnfit",
            "Fix: take options out of the URI in Secret app-db: name a schema in",
        ),
        (Unready::NoDatabase, "DatabaseMissing", "Fix: create it, or correct the end of the URI in Secret app-db."),
        (Unready::Certificate, "TlsMismatch", "Fix: name the authority that signed the server's certificate"),
    ] {
        api.is_not_ready(&unready.to_string());
        let condition = run.condition_saying("DatabaseReachable", "False", fix).await;
        assert_eq!(condition.reason, reason);
        assert!(condition.message.starts_with(&unready.to_string()), "{}", condition.message);
        run.condition("Ready", "False", reason).await;
    }
    api.is_not_ready(&Unready::NoSchema.to_string());
    let migrations = run.condition("MigrationsApplied", "False", "SchemaMissing").await;
    assert!(
        migrations.message.contains("Fix: with migrations Manual apply the files of migrations/"),
        "{}",
        migrations.message
    );
    run.condition("DatabaseReachable", "True", "Answers").await;
    for (unready, reason, fix) in [
        (Unready::Foreign("table users".to_owned()), "DatabaseForeign", "Fix: set spec.database.schema to a schema of"),
        (
            Unready::Forbidden {
                what: "create tables in the schema public".to_owned(),
                needs: "GRANT CREATE, USAGE ON SCHEMA public TO <role>".to_owned(),
            },
            "PrivilegesMissing",
            "Fix: as an administrator: GRANT CREATE, USAGE ON SCHEMA public TO <role>.",
        ),
        (
            Unready::Shared("shop/other".to_owned()),
            "DatabaseShared",
            "the database belongs to pipeline shop/other. Fix: name a database of its own",
        ),
        (
            Unready::Missing("column users.email".to_owned()),
            "SchemaIncomplete",
            "the database lacks the column users.email. Fix: put back what the message names",
        ),
        (Unready::Encoding("LATIN1".to_owned()), "EncodingUnfit", "Fix: CREATE DATABASE ... ENCODING 'UTF8'"),
    ] {
        api.is_not_ready(&unready.to_string());
        let migrations = run.condition_saying("MigrationsApplied", "False", fix).await;
        assert_eq!(migrations.reason, reason);
        run.condition("Ready", "False", reason).await;
    }
    api.is_ready();
    run.condition("MigrationsApplied", "True", "SchemaPresent").await;
}

#[tokio::test]
async fn each_trouble_with_the_mail_server_has_its_reason_and_its_fix() {
    let run = Run::with_pipeline(MINIMAL).await;
    let worker = FakePod::new().await;
    run.pod("demo-worker", &worker).await;
    run.condition("MailReachable", "Unknown", "NotKnown").await;
    for (phase, reason, fix) in [
        ("tls", "TlsMismatch", "set spec.mail.smtp.tls to what that port speaks (StartTLS at 587, Implicit at 465)"),
        ("greeting", "NoAnswer", "set spec.mail.smtp.tls to Implicit when that port speaks TLS from the first byte"),
        ("auth", "CredentialsRefused", "correct username and password in spec.mail.smtp.authSecretRef"),
        ("mail", "SenderRefused", "set spec.mail.from to an address that the server accepts"),
        ("rcpt", "SenderRefused", "mend what the reply names"),
        ("connect", "NoAnswer", "check that it runs, that spec.mail.smtp names its host and port"),
    ] {
        worker.measures(&format!("signup_mail_reachable 0\nsignup_mail_failing{{phase=\"{phase}\"}} 1\n"));
        let condition = run.condition_saying("MailReachable", "False", fix).await;
        assert_eq!(condition.reason, reason, "{}", condition.message);
        assert!(condition.message.contains("smtp.example.com:587"), "{}", condition.message);
    }
    worker
        .tells_of_mail(r#"{"works":false,"phase":"connect","said":"504 5.5.2 Helo command rejected","fault":"helo"}"#);
    run.condition_saying("MailReachable", "False", "rejected); signups go on, mails are kept").await;
    run.condition_saying("MailReachable", "False", "Fix: set spec.mail.smtp.helloName").await;
    worker.measures("signup_mail_reachable 1\n");
    worker.tells_of_mail(r#"{"works":true,"connections":3}"#);
    run.condition_saying("MailReachable", "True", "the mail server takes mails, 3 connections at once").await;
}

/// A server with a plain port and one with TLS, and the URIs of both.
fn redis_with_tls(authority: &Authority) -> (Redis, String, String) {
    let port = servers::free_port().expect("a free port");
    let path = |path: std::path::PathBuf| path.display().to_string();
    let (ca, certificate, key) = (path(authority.ca()), path(authority.certificate()), path(authority.key()));
    let mut arguments = vec!["--tls-auth-clients", "no", "--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate];
    let tls_port = port.to_string();
    arguments.extend(["--tls-key-file", &key, "--tls-port", &tls_port]);
    let redis = Redis::start_with(&arguments).expect("a server of its own");
    let plain = redis.uri(0);
    let (credentials, _) = plain.split_once("@127").expect("our servers have passwords");
    let through_tls = format!("{}@127.0.0.1:{port}/0", credentials.replace("redis://", "rediss://"));
    (redis, plain, through_tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mismatch_of_tls_with_redis_is_told_as_such() {
    let (ours, other) = (Authority::make().expect("openssl"), Authority::make().expect("openssl"));
    let (_redis, plain, through_tls) = redis_with_tls(&ours);
    let pem = |authority: &Authority| std::fs::read_to_string(authority.ca()).expect("a PEM file");
    let with_ca = "{secretRef: {name: app-redis}, caSecretRef: {name: app-ca}}";
    let run = Run::with_pipeline(&MINIMAL.replace("{secretRef: {name: app-redis}}", with_ca)).await;
    run.secret("app-ca", &[("ca.crt", &pem(&ours))]).await;
    run.secret("app-redis", &[("uri", &through_tls)]).await;
    run.condition("RedisReachable", "True", "Answers").await;
    let mismatches = [
        ("TLS with a plain port", plain.replace("redis://", "rediss://"), pem(&ours)),
        ("an authority that did not sign it", through_tls.clone(), pem(&other)),
    ];
    for (what, uri, ca) in mismatches {
        run.secret("app-ca", &[("ca.crt", &ca)]).await;
        run.secret("app-redis", &[("uri", &uri)]).await;
        let fix = "write rediss:// in Secret app-redis for a port with TLS and redis:// for one without";
        let condition = run.condition("RedisReachable", "False", "TlsMismatch").await;
        assert!(condition.message.contains(fix), "{what}: {}", condition.message);
        run.secret("app-ca", &[("ca.crt", &pem(&ours))]).await;
        run.secret("app-redis", &[("uri", &through_tls)]).await;
        run.condition("RedisReachable", "True", "Answers").await;
    }
    run.secret("app-redis", &[("uri", &through_tls.replace("rediss://", "redis://"))]).await;
    let condition = run.condition("RedisReachable", "False", "TlsMismatch").await;
    assert!(condition.message.contains("write rediss:// there, or remove caSecretRef"), "{}", condition.message);
    run.edit(json!({"redis": {"caSecretRef": null}})).await;
    run.condition_saying("RedisReachable", "False", "no TLS connection to Redis can be made").await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
}
