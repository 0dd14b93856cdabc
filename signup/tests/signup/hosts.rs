//! Every form of a URI that names hosts, on real servers: sockets, IPv6, and a primary with a standby that streams.

use pipeline::{Document, Unready, document::Database};
use servers::{Authority, Postgres};
use signup::Store;
use std::{process::Command, time::Instant};

/// User and password of a server of ours.
fn login(uri: &str) -> String {
    let (login, _) = uri.trim_start_matches("postgres://").split_once('@').expect("our servers have passwords");
    login.to_owned()
}

/// Sessions of ours on a server, by the name that the URI gives them.
fn sessions(server: &Postgres, name: &str) -> usize {
    let question = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'");
    let output = Command::new("psql").args(["-AtXqc", &question, &server.uri("postgres")]).output().expect("psql runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0)
}

fn store(uri: &str) -> Store {
    Store::connect(uri, None, 2).unwrap_or_else(|error| panic!("{}", pipeline::chain(&error)))
}

/// A primary and its standby, and the URI of both in an order.
struct Pair {
    primary: Postgres,
    standby: Postgres,
}

impl Pair {
    async fn start() -> Self {
        let start = || {
            let primary = Postgres::start().expect("a server of its own");
            let standby = primary.start_standby().expect("a standby");
            Self { primary, standby }
        };
        tokio::task::spawn_blocking(start).await.expect("it does not panic")
    }

    fn uri(&self, servers: [&Postgres; 2], parameters: &str) -> String {
        let [one, two] = servers.map(|server| format!("127.0.0.1:{}", server.port()));
        let login = login(&self.primary.uri("postgres"));
        format!("postgres://{login}@{one},{two}/postgres?{parameters}")
    }
}

#[tokio::test]
async fn a_socket_and_an_ipv6_address_are_reached_and_passwords_are_decoded() {
    let start = || Postgres::start_with(&["listen_addresses=127.0.0.1,::1"]).expect("a server of its own");
    let server = tokio::task::spawn_blocking(start).await.expect("it does not panic");
    let (login, port) = (login(&server.uri("postgres")), server.port());
    let (user, password) = login.split_once(':').expect("a password");
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let folder = server.socket_folder().display().to_string();
    for uri in [
        format!("postgresql://{user}:{encoded}@[::1]:{port}/postgres"),
        format!("postgres://{login}@{}:{port}/postgres?sslmode=require", folder.replace('/', "%2F")),
        format!("postgres:///postgres?host={folder}&port={port}&user={user}&password={encoded}"),
        format!("host={folder} port={port} user={user} password='{password}' dbname=postgres"),
        format!("postgres://{login}@127.0.0.1:1,[::1]:{port}/postgres"),
    ] {
        let store = store(&uri);
        store.ping().await.unwrap_or_else(|error| panic!("{}", pipeline::chain(&error)));
        store.close().await;
    }
}

#[tokio::test]
async fn of_a_primary_and_a_standby_the_one_that_is_asked_for_is_used_in_either_order() {
    let pair = Pair::start().await;
    let (primary, standby) = (&pair.primary, &pair.standby);
    for (attrs, first, second, right) in [
        ("read-write", primary, standby, primary),
        ("read-write", standby, primary, primary),
        ("primary", standby, primary, primary),
        ("read-only", primary, standby, standby),
        ("standby", primary, standby, standby),
        ("prefer-standby", primary, standby, standby),
        ("any", standby, primary, standby),
    ] {
        let name = format!("{attrs}{}", u8::from(std::ptr::eq(first, standby)));
        let store = store(&pair.uri([first, second], &format!("target_session_attrs={attrs}&application_name={name}")));
        store.ping().await.unwrap_or_else(|error| panic!("{attrs}: {}", pipeline::chain(&error)));
        let wrong = if std::ptr::eq(right, primary) { standby } else { primary };
        assert_eq!((sessions(right, &name), sessions(wrong, &name)), (1, 0), "{name}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_uri_without_a_host_of_the_kind_asked_for_says_so_at_once() {
    let pair = Pair::start().await;
    let begun = Instant::now();
    let only_standby = pair.uri([&pair.standby, &pair.standby], "target_session_attrs=read-write");
    let error = store(&only_standby).ping().await.expect_err("none takes writes");
    assert_eq!(error.unready(), Unready::ReadOnly, "{}", pipeline::chain(&error));
    let single = pair.standby.uri("postgres") + "?target_session_attrs=primary";
    assert_eq!(store(&single).ping().await.expect_err("it is none").unready(), Unready::ReadOnly);
    let wrong = pair.uri([&pair.primary, &pair.standby], "").replace("//postgres:", "//postgres:wrong");
    assert_eq!(store(&wrong).ping().await.expect_err("a wrong password").unready(), Unready::Credentials);
    assert!(begun.elapsed().as_secs() < 3, "no answer was waited for");
}

#[tokio::test]
async fn signups_go_on_at_the_standby_that_was_promoted() {
    let mut pair = Pair::start().await;
    let uri = pair.uri([&pair.primary, &pair.standby], "target_session_attrs=read-write&application_name=moving");
    let store = store(&uri);
    store.migrate().await.expect("the primary takes the schema");
    pair.primary.kill();
    pair.standby.promote().expect("it is promoted");
    let begun = Instant::now();
    while store.counts().await.is_err() {
        assert!(begun.elapsed().as_secs() < 10, "it never goes on");
    }
    let waited = begun.elapsed();
    assert!(waited.as_secs_f32() < 2.0, "signups waited {waited:?}");
    assert!(sessions(&pair.standby, "moving") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_parts_with_a_certificate_opens_a_server_that_asks_for_one() {
    let authority = Authority::make().expect("openssl");
    let server = Postgres::start_with_client_certificates(&authority).expect("a server of its own");
    let folder = tempfile::tempdir().expect("a folder");
    let (login, port) = (login(&server.uri("postgres")), server.port().to_string());
    let (user, password) = login.split_once(':').expect("a password");
    let parts =
        [("host", "127.0.0.1"), ("port", &port), ("dbname", "postgres"), ("user", user), ("password", password)];
    for (file, text) in parts {
        std::fs::write(folder.path().join(file), text).expect("a file");
    }
    std::fs::copy(authority.ca(), folder.path().join("sslrootcert")).expect("a file");
    let uri_file = folder.path().join("uri");
    let database = Database { uri_file, ca_file: None, ..Document::sample().database };
    let store = Store::open(&database).expect("the parts are enough");
    store.ping().await.expect_err("the server wants a certificate");
    for (file, from) in [("sslcert", authority.certificate()), ("sslkey", authority.key())] {
        std::fs::copy(from, folder.path().join(file)).expect("a file");
    }
    let store = Store::open(&database).expect("the parts are enough");
    store.ping().await.unwrap_or_else(|error| panic!("{}", pipeline::chain(&error)));
}
