//! Secrets of each operator's shape, as a pod sees them.

use pipeline::{
    Document,
    document::{Database, Redis},
    postgres_uri::{HostAddress, PostgresUri},
    secret::SecretError,
    store_secret::StoreKind,
};
use secrecy::ExposeSecret as _;
use std::path::Path;

const POSTGRES_URI: &str = "postgresql://app:canary@db-rw:5432/app";

/// Mounts a Secret as the operator has pods mount it.
fn mount(kind: StoreKind, keys: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let value = |key: &str| keys.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    for (key, file) in kind.files("uri", |key| value(key).is_some()) {
        if let Some(value) = value(&key) {
            std::fs::write(folder.path().join(file), value).expect("a file");
        }
    }
    folder
}

fn postgres(keys: &[(&str, &str)]) -> (tempfile::TempDir, Result<PostgresUri, SecretError>) {
    let folder = mount(StoreKind::Postgres, keys);
    let uri_file = folder.path().join("uri");
    let database = Database { uri_file, ca_file: None, ..Document::sample().database };
    let read = database.read();
    (folder, read)
}

fn redis(keys: &[(&str, &str)], ca_file: Option<&Path>) -> Result<String, SecretError> {
    let folder = mount(StoreKind::Redis, keys);
    let redis = Redis { uri_file: folder.path().join("uri"), ca_file: ca_file.map(Path::to_owned) };
    redis.read().map(|access| access.uri.expose_secret().to_owned())
}

/// The one URI of a connection, as a driver gets it.
fn written(uri: &PostgresUri) -> String {
    uri.uri_of(&uri.hosts()[0]).expose_secret().to_owned()
}

#[test]
fn the_secrets_of_postgresqls_operators_say_where_it_is() {
    let shapes: [(&str, &[(&str, &str)]); 5] = [
        (
            "CloudNativePG",
            &[
                ("username", "app"),
                ("user", "app"),
                ("password", "can%ry"),
                ("host", "db-rw"),
                ("port", "5432"),
                ("dbname", "app"),
                ("pgpass", "db-rw:5432:app:app:can%ry"),
                ("jdbc-uri", "jdbc:postgresql://db-rw/app"),
                ("uri", "postgresql://app:can%25ry@db-rw:5432/app"),
            ],
        ),
        (
            "Crunchy without uri",
            &[
                ("dbname", "app"),
                ("host", "db-rw"),
                ("port", "5432"),
                ("user", "app"),
                ("password", "can%ry"),
                ("verifier", "SCRAM-SHA-256$4096:x"),
                ("jdbc-uri", "jdbc:postgresql://db-rw/app"),
            ],
        ),
        (
            "Zalando with a host added",
            &[("username", "app"), ("password", "can%ry\n"), ("host", "db-rw\n"), ("database", "app")],
        ),
        (
            "Bitnami's service binding",
            &[
                ("provider", "bitnami"),
                ("type", "postgresql"),
                ("host", "db-rw"),
                ("port", "5432"),
                ("username", "app"),
                ("database", "app"),
                ("password", "can%ry"),
            ],
        ),
        (
            "variables of libpq",
            &[
                ("PGHOST", "db-rw"),
                ("PGUSER", "app"),
                ("PGPASSWORD", "can%ry"),
                ("PGDATABASE", "app"),
                ("PGPORT", "5432"),
            ],
        ),
    ];
    for (shape, keys) in shapes {
        let (_folder, uri) = postgres(keys);
        let uri = uri.unwrap_or_else(|error| panic!("{shape}: {}", pipeline::chain(&error)));
        assert_eq!(uri.hosts()[0].address, HostAddress::Name("db-rw".into()), "{shape}");
        let expected = "postgres:///?host=db%2Drw&port=5432&dbname=app&password=can%25ry&user=app";
        assert_eq!(written(&uri), expected, "{shape}");
    }
}

#[test]
fn certificates_of_a_secret_are_shown_to_the_server_and_its_authority_is_trusted() {
    let parts =
        [("host", "db"), ("user", "app"), ("tls.crt", "certificate"), ("tls.key", "key"), ("ca.crt", "authority")];
    let (folder, uri) = postgres(&parts);
    let written_uri = written(&uri.expect("it says where"));
    let path = |file: &str| format!("%2F{file}");
    for wanted in ["sslmode=verify%2Dfull", &path("sslcert"), &path("sslkey"), &path("sslrootcert")] {
        assert!(written_uri.contains(wanted), "{wanted}: {written_uri}");
    }
    drop(folder);
    let beside_uri = [("uri", POSTGRES_URI), ("sslcert", "certificate"), ("sslkey", "key"), ("ca.crt", "authority")];
    let (_folder, uri) = postgres(&beside_uri);
    let written_uri = written(&uri.expect("it says where"));
    assert!(written_uri.contains("sslkey") && !written_uri.contains("sslrootcert"), "only caSecretRef: {written_uri}");
    let (_folder, uri) = postgres(&[("uri", POSTGRES_URI), ("tls.crt", "certificate")]);
    assert!(!written(&uri.expect("it says where")).contains("sslcert"), "a certificate without its key");
}

#[test]
fn what_a_secret_lacks_is_named_and_no_value_is() {
    let said = |keys: &[(&str, &str)]| pipeline::chain(&postgres(keys).1.expect_err("it does not say where"));
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("username", "canary"), ("password", "canary")], "failed to read the secret file"),
        (&[("host", "canary"), ("password", "canary")], "neither the key uri nor user (or username)"),
        (&[("host", "canary"), ("user", "canary"), ("port", "canary")], "a port in it is no number"),
        (&[("endpoint", "canary.example.com:5432"), ("user", "canary")], "the port under port"),
        (&[("uri", "jdbc:postgresql://canary/app")], "jdbc:"),
    ];
    for (keys, expected) in cases {
        let said = said(keys);
        assert!(said.contains(expected) && !said.contains("canary"), "{said}");
    }
}

/// Keys of a Secret, an authority, and the URI.
type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a Path>, &'a str);

#[test]
fn the_secrets_of_redis_say_where_it_is() {
    let authority = Path::new("/dev/null");
    let cases: [Case<'_>; 6] = [
        (&[("uri", "redis://:canary@cache:6379/1")], None, "redis://:canary@cache:6379/1"),
        (&[("host", "cache"), ("redis-password", "p@ss")], None, "redis://:p%40ss@cache:6379/0"),
        (&[("host", "::1"), ("port", "6380"), ("database", "3")], None, "redis://[::1]:6380/3"),
        (
            &[("host", "cache"), ("username", "app"), ("password", "x"), ("tls", "true")],
            None,
            "rediss://app:x@cache:6379/0",
        ),
        (&[("host", "cache"), ("valkey-password", "x")], Some(authority), "rediss://:x@cache:6379/0"),
        (&[("host", "cache"), ("tls.crt", "c"), ("tls.key", "k")], None, "rediss://cache:6379/0"),
    ];
    for (keys, ca_file, expected) in cases {
        assert_eq!(redis(keys, ca_file).expect("it says where"), expected);
    }
    let error = redis(&[("host", "cache"), ("port", "canary")], None).expect_err("no port");
    let said = pipeline::chain(&error);
    assert!(said.contains("key port holds no port") && !said.contains("canary"), "{said}");
    let error = redis(&[("endpoint", "canary.example.com:6379")], None).expect_err("a port in the name");
    let said = pipeline::chain(&error);
    assert!(said.contains("under the key port") && !said.contains("canary"), "{said}");
}
