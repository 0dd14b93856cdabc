//! The reader of PostgreSQL's URIs beside libpq itself, the client library that psql and most drivers are made with.
//!
//! What libpq refuses is refused; what it takes is understood in the same way, or refused for a reason that has nothing
//! to do with the grammar.

use pipeline::postgres_uri::{Host, HostAddress, PostgresUri, PostgresUriError};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use secrecy::ExposeSecret as _;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

type Understood = Option<BTreeMap<String, String>>;

/// libpq, in a process of its own.
struct Libpq {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Libpq {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pipeline/libpq.py");
        // The system's Python: Debian's package of psycopg2 is for it.
        let mut command = Command::new("/usr/bin/python3");
        let piped = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().expect("python3; scripts/setup.sh installs it");
        let questions = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, questions, answers }
    }

    fn read(&mut self, text: &str) -> Understood {
        let question = serde_json::to_string(text).expect("text");
        writeln!(self.questions, "{question}").expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        serde_json::from_str(&answer).expect("psycopg2; scripts/setup.sh installs it")
    }
}

impl Drop for Libpq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The URI of each of our hosts, read by libpq again, says what libpq read in the first place.
/// True when both understand it.
fn agree(libpq: &mut Libpq, text: &str) -> Result<bool, TestCaseError> {
    let theirs = libpq.read(text);
    match (theirs, PostgresUri::parse(text)) {
        (None, Err(_)) => Ok(false),
        (None, Ok(_)) => Err(TestCaseError::fail(format!("libpq refuses {text:?}"))),
        (Some(_), Err(error)) => {
            use PostgresUriError::{Count, NoHost, Port, Unsupported, Value};
            let is_no_grammar = matches!(error, Count(_) | NoHost | Port | Unsupported { .. } | Value { .. });
            prop_assert!(is_no_grammar, "libpq understands {:?}: {}", text, error);
            Ok(false)
        }
        (Some(theirs), Ok(ours)) => {
            for (index, host) in ours.hosts().iter().enumerate() {
                let uri = ours.uri_of(host).expose_secret().to_owned();
                let one = libpq.read(&uri).ok_or_else(|| TestCaseError::fail(format!("libpq refuses {uri:?}")))?;
                same(&theirs, &one, index, host, text)?;
            }
            Ok(true)
        }
    }
}

fn same(
    all: &BTreeMap<String, String>,
    one: &BTreeMap<String, String>,
    index: usize,
    host: &Host,
    text: &str,
) -> Result<(), TestCaseError> {
    let element = |keyword: &str| {
        let values: Vec<&str> = all.get(keyword).map_or(Vec::new(), |list| list.split(',').collect());
        let of_all = values.first().filter(|_| values.len() == 1 && keyword == "port").copied();
        of_all.or_else(|| values.get(index).copied()).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let expected = element("hostaddr").or_else(|| element("host"));
    prop_assert_eq!(one.get("host"), expected.as_ref(), "host of {:?}", text);
    let port = element("port").unwrap_or_else(|| "5432".into());
    prop_assert_eq!(one.get("port").map(String::as_str), Some(port.trim()), "port of {:?}", text);
    let is_socket = matches!(host.address, HostAddress::SocketFolder(_));
    for keyword in ["user", "password", "dbname", "options", "sslkey", "application_name"] {
        if is_socket && keyword == "sslkey" {
            // A socket has no TLS.
            continue;
        }
        let given = all.get(keyword).filter(|value| !value.is_empty());
        prop_assert_eq!(one.get(keyword), given, "{} of {:?}", keyword, text);
    }
    prop_assert_eq!(is_socket, expected.is_some_and(|host| host.starts_with('/')), "socket of {:?}", text);
    Ok(())
}

/// A word, and sometimes what has to be encoded in it, encoded or not.
fn word() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a", "B7", "-", "_", ".", "+", "#", "!", "%20", "%2F", "%40", "%3a", "%25", "%C3%A4", "ä", "%zz", "%2", ":",
        "/", "?", "=", "&", "'", "\\", " ",
    ]);
    prop::collection::vec(prop_oneof![6 => select(vec!["a", "b", "c1"]), 1 => piece], 0..5).prop_map(|all| all.concat())
}

fn uri() -> impl Strategy<Value = String> {
    let server = prop_oneof![
        4 => select(vec!["db", "db:5433", "192.0.2.1:1", "[::1]", "[2001:db8::1]:5433", "%2Frun%2Fpg"]),
        1 => select(vec!["", ":", ":5433", "db:", "db:x", "[::1", "[]", "[::1]x", "db:70000", "[::1]:"]),
    ];
    let servers = prop::collection::vec(server, 1..4).prop_map(|servers| servers.join(","));
    let login = prop_oneof![
        1 => Just(String::new()),
        2 => word().prop_map(|user| format!("{user}@")),
        3 => (word(), word()).prop_map(|(user, password)| format!("{user}:{password}@")),
    ];
    let database = prop_oneof![1 => Just(String::new()), 3 => word().prop_map(|name| format!("/{name}"))];
    let parameters = prop::collection::vec(parameter(), 0..4)
        .prop_map(|all| if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) });
    let scheme = select(vec!["postgres://", "postgresql://"]);
    (scheme, login, servers, database, parameters).prop_map(|(a, b, c, d, e)| [a, &b, &c, &d, &e].concat())
}

/// Parameters that libpq knows in every version that the tests may meet.
fn parameter() -> impl Strategy<Value = String> {
    let known = select(vec![
        "host",
        "port",
        "hostaddr",
        "user",
        "password",
        "dbname",
        "options",
        "application_name",
        "sslkey",
        "sslcert",
        "connect_timeout",
        "target_session_attrs",
        "sslmode",
        "ssl",
        "keepalives",
        "service",
        "nonsense",
        "",
    ]);
    let value = prop_oneof![
        3 => word(),
        2 => select(vec!["one,two", "/run/pg", "5433,5434", "5433", "192.0.2.1", "3", "read-write", "require", "true"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![8 => (known, value).prop_map(|(keyword, value)| format!("{keyword}={value}")), 1 => word()]
}

fn pairs() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        3 => word(),
        1 => word().prop_map(|word| format!("'{word}'")),
        1 => word().prop_map(|word| format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))),
    ];
    let keyword = select(vec!["host", "user", "password", "dbname", "port", "options", "nonsense"]);
    let pair =
        (keyword, select(vec!["=", " = ", "= ", ""]), value).prop_map(|(key, is, value)| format!("{key}{is}{value}"));
    prop::collection::vec(pair, 1..6).prop_map(|pairs| format!("host=db {}", pairs.join(" ")))
}

/// Where ours is wider: a second `@` before the host's end is a part of the password.
fn has_two_signs(text: &str) -> bool {
    let start = text.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    start.matches('@').count() > 1
}

#[test]
fn what_libpq_takes_is_understood_alike_and_what_it_refuses_is_refused() {
    let libpq = std::cell::RefCell::new(Libpq::start());
    assert_eq!(
        libpq.borrow_mut().read("postgres://db").and_then(|found| found.get("host").cloned()).as_deref(),
        Some("db")
    );
    let mut runner = TestRunner::new(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() });
    let text = prop_oneof![3 => uri(), 1 => pairs()];
    let understood = std::cell::Cell::new(0);
    let result = runner.run(&text, |text| {
        prop_assume!(!has_two_signs(&text));
        if agree(&mut libpq.borrow_mut(), text.trim())? {
            understood.set(understood.get() + 1);
        }
        Ok(())
    });
    result.expect("they agree");
    assert!(understood.get() > 300, "of 1500 texts both understand {} only", understood.get());
}
