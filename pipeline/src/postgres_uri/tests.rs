//! What is understood, what is refused, and that no error repeats a password.

use super::*;
use proptest::prelude::*;

fn name(name: &str, port: u16) -> Host {
    Host { address: HostAddress::Name(name.into()), port }
}

fn socket(folder: &str, port: u16) -> Host {
    Host { address: HostAddress::SocketFolder(folder.into()), port }
}

fn parsed(text: &str) -> PostgresUri {
    PostgresUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn value<'a>(uri: &'a PostgresUri, keyword: &str) -> Option<&'a str> {
    uri.parameters.get(keyword).map(|value| value.expose_secret())
}

#[test]
fn hosts_are_read_in_every_form_that_libpq_knows() {
    for (text, expected) in [
        ("postgres://app:pass@db:5433/app?sslmode=require", vec![name("db", 5433)]),
        ("postgresql://app@db/app", vec![name("db", 5432)]),
        ("POSTGRES://app@db/app\n", vec![name("db", 5432)]),
        ("postgres://app@[::1]:5433/app", vec![name("::1", 5433)]),
        ("postgres://app@[2001:db8::1]/app", vec![name("2001:db8::1", 5432)]),
        ("postgres://app@one:5433,two,[::1]:5434/app", vec![name("one", 5433), name("two", 5432), name("::1", 5434)]),
        ("postgres://app@/app?host=one,two&port=6432", vec![name("one", 6432), name("two", 6432)]),
        ("postgres://app@one,two/app?port=1,2", vec![name("one", 1), name("two", 2)]),
        ("postgres://app@%2Frun%2Fpostgresql/app", vec![socket("/run/postgresql", 5432)]),
        ("postgres:///app?host=/run/postgresql&user=app", vec![socket("/run/postgresql", 5432)]),
        ("postgres://app@db/app?hostaddr=192.0.2.1", vec![name("192.0.2.1", 5432)]),
        ("host=one,/tmp port = 1,2 user='app'", vec![name("one", 1), socket("/tmp", 2)]),
        ("host=2001:db8::1,fe80::1%eth0 user=app", vec![name("2001:db8::1", 5432), name("fe80::1%eth0", 5432)]),
    ] {
        assert_eq!(parsed(text).hosts(), expected, "{text}");
    }
    assert_eq!(parsed("postgres://app@one:2,two:1,%2Ftmp:3,three:1/app").ports(), [1, 2]);
}

#[test]
fn users_passwords_and_databases_are_decoded_and_an_at_sign_of_a_password_is_forgiven() {
    for (text, user, password, database) in [
        ("postgres://a%40b:p%2Fw%25@db/my%20app", "a@b", "p/w%", "my app"),
        ("postgres://app:p@ss@w@db/app", "app", "p@ss@w", "app"),
        ("postgres://app:a+b@db/app", "app", "a+b", "app"),
        ("postgres://db?user=app&password=p%26w&dbname=app", "app", "p&w", "app"),
        (r"host=db user=app password='it\'s \\ one' dbname=app", "app", r"it's \ one", "app"),
        (r"host=db user=app password=it\'s dbname=app", "app", "it's", "app"),
    ] {
        let uri = parsed(text);
        let found = ["user", "password", "dbname"].map(|keyword| value(&uri, keyword).unwrap_or_default().to_owned());
        assert_eq!(found, [user, password, database], "{text}");
    }
}

#[test]
fn tls_is_what_libpq_makes_of_it() {
    let mode = |text: &str| {
        let uri = parsed(text);
        let uri = uri.uri_of(&uri.hosts()[0]).expose_secret().to_owned();
        uri.split("sslmode=").nth(1).map(|rest| rest.split('&').next().unwrap_or_default().replace("%2D", "-"))
    };
    for (parameters, expected) in [
        ("", None),
        ("?ssl=true", Some("require")),
        ("?sslmode=allow", Some("prefer")),
        ("?sslmode=VERIFY-FULL", Some("verify-full")),
        ("?sslmode=require&sslrootcert=/ca.crt", Some("verify-ca")),
        ("?sslrootcert=system", Some("verify-full")),
        ("?sslrootcert=/ca.crt", None),
    ] {
        assert_eq!(mode(&format!("postgres://app@db/app{parameters}")).as_deref(), expected, "{parameters}");
    }
    assert_eq!(mode("postgres://app@/app?host=/tmp&sslmode=require").as_deref(), Some("disable"), "sockets have none");
    let with_authority = |text: &str| parsed(text).with_authority(Path::new("/ca.crt"));
    let written = |text: &str| value(&with_authority(text), "sslmode").map(str::to_owned);
    assert_eq!(written("postgres://app@db/app").as_deref(), Some("verify-full"));
    assert_eq!(written("postgres://app@db/app?sslmode=verify-ca").as_deref(), Some("verify-ca"));
}

#[test]
fn what_cannot_work_is_named_with_a_fix() {
    let parameter = |text: &str| format!("postgres://app:canary@db/app?{text}");
    for (text, problem, fix) in [
        (String::new(), "is empty", "write it like postgres://"),
        ("canary".into(), "is no URI", "write it like postgres://"),
        ("\"postgres://app:canary@db/app?sslmode=require\"".into(), "is no URI", "write it like postgres://"),
        (r#"{"username":"app","password":"canary=","host":"db"}"#.into(), "is no URI", "write it like postgres://"),
        ("mysql://app:canary@db/app".into(), "does not begin with postgres://", "write it like"),
        ("jdbc:postgresql://db/app?user=app&password=canary".into(), "jdbc:", "without jdbc:"),
        ("postgresql+asyncpg://app:canary@db/app".into(), "behind a +", "remove the +"),
        ("postgres://app:canary%4@db/app".into(), "a % in it", "% is %25"),
        ("postgres://app:canary@[::1/app".into(), "brackets", "[2001:db8::1]"),
        ("postgres://app:canary@db:x/app".into(), "a port", "db.example.com:5432"),
        ("postgres://app:canary/canary@db/app".into(), "a port", "percent-encode"),
        ("postgres://app:canary@one,two:1,three/app?port=1,2".into(), "number of ports", "for each host"),
        ("postgres://app:canary@/app".into(), "names no host", "host=/run/postgresql"),
        (parameter("service=main"), "service is not supported", "write host, user, password"),
        (parameter("sslcrl=/crl"), "sslcrl is not supported", "verify-full"),
        (parameter("sslpassword=canary"), "sslpassword is not supported", "without a passphrase"),
        (parameter("channel_binding=require"), "channel_binding", "verify-full"),
        (parameter("load_balance_hosts=random"), "load_balance_hosts", "the order in which they stand"),
        (parameter("target_session_attrs=master"), "target_session_attrs", "read-write, read-only, primary"),
        (parameter("connect_timeout=2s"), "connect_timeout", "whole seconds"),
        (parameter("sslmode=yes"), "sslmode", "verify-ca, verify-full"),
        (parameter("sslcert=/c.pem"), "sslcert", "give sslkey as well"),
        (parameter("sslmode=require&sslrootcert=system"), "sslmode", "write verify-full"),
        (parameter("sslmod=require"), "parameter sslmod is none of PostgreSQL's", "correct its name"),
        (parameter("schema"), "has no =", "?sslmode=verify-full"),
        (parameter("schema=app"), "schema is not supported", "database.schema"),
        (parameter("currentSchema=app"), "currentSchema is not supported", "database.schema"),
        (parameter("pgbouncer=true&connection_limit=1"), "pgbouncer is not supported", "is found out"),
        (parameter("connection_limit=1"), "connection_limit is not supported", "database.maxConnectionsPerPod"),
        (parameter("sslaccept=strict"), "sslaccept is not supported", "sslmode=require"),
        (parameter("ssl=no-verify"), "ssl is not supported", "sslmode=require"),
        ("host=db.example.com:5432 user=app".into(), "parameter host", "the port under port"),
        ("postgres://app:canary@/app?host=[::1]".into(), "parameter host", "without brackets"),
        ("host=https://db.example.com user=app".into(), "parameter host", "the name or address alone"),
        ("host=db user=app password='canary".into(), "a quote", "end the value"),
    ] {
        let error = PostgresUri::parse(&text).expect_err(&text);
        let said = error.to_string();
        assert!(error.problem().contains(problem) && error.fix().contains(fix), "{text}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn a_parameter_is_not_named_where_it_may_be_a_part_of_a_password() {
    for text in [
        "postgres://app:1/canary?canary=2@db/app",
        "postgres://db/app?password=a&canary=b",
        "host=db password=a canary=b",
    ] {
        let said = PostgresUri::parse(text).expect_err(text).to_string();
        assert!(!said.contains("canary"), "{text}: {said}");
    }
}

#[test]
fn nothing_of_a_connection_shows_in_debug_but_its_hosts() {
    let shown = format!("{:?}", parsed("postgres://app:canary@db/canary?options=canary"));
    assert!(shown.contains("db") && !shown.contains("canary"), "{shown}");
}

/// Text that is near to a URI or to pairs.
fn near() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "postgres://",
            "postgresql://",
            "app",
            "db",
            "@",
            ":",
            "/",
            "?",
            "&",
            "=",
            ",",
            "[",
            "]",
            "::1",
            "%2F",
            "%",
            "%00",
            "host=",
            "port=",
            "5432",
            "user=",
            "password=",
            "sslmode=",
            "require",
            "'",
            "\\",
            " ",
            "é",
            "options[a]=",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in near()) {
        if let Ok(uri) = PostgresUri::parse(&text) {
            for host in uri.hosts() {
                let one = PostgresUri::parse(uri.uri_of(host).expose_secret()).expect("what is written can be read");
                prop_assert_eq!(one.hosts(), std::slice::from_ref(host));
            }
        }
    }

    /// A password that stands as it is, wherever it breaks the text.
    #[test]
    fn no_error_repeats_a_part_of_a_password(
        parts in prop::collection::vec("[/?#@:%&=,\\[\\] ']?CANARY[0-9]{4}", 1..4), form in 0usize..4, rest in near(),
    ) {
        let password = parts.concat();
        let text = match form {
            0 => format!("postgres://app:{password}@db/app?{rest}"),
            1 => format!("postgresql://app:{password}@db:{rest}/app"),
            2 => format!("postgres://db/app?password={password}"),
            _ => format!("host=db password={password}"),
        };
        if let Err(error) = PostgresUri::parse(&text) {
            let said = format!("{error} {error:?}");
            prop_assert!(!said.contains("CANARY"), "{}: {}", text, said);
        }
    }
}
