//! The servers start, can be hurt, and leave nothing behind.

use servers::{Haproxy, Nginx, Postgres, Redis, free_port};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn postgres_keeps_its_data_over_a_kill_and_leaves_nothing_behind() {
    let mut server = Postgres::start().expect("PostgreSQL starts");
    let uri = server.create_database().expect("a database is made");
    let psql = |statement: &str| {
        let output = Command::new("psql").args(["-AtXqc", statement, &uri]).output().expect("psql runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert!(psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").0);
    server.kill();
    assert!(!psql("SELECT 1").0, "a killed server must not answer");
    server.start_again().expect("PostgreSQL starts again");
    assert_eq!(psql("SELECT n FROM kept"), (true, "7".into()));
    let port = server.port();
    drop(server);
    assert!(!answers(port));
}

#[test]
fn redis_starts_again_empty_on_its_port_and_leaves_nothing_behind() {
    let mut server = Redis::start().expect("Redis starts");
    let port = server.port();
    server.kill();
    assert!(!answers(port));
    server.start_again().expect("Redis starts again");
    assert!(answers(port));
    drop(server);
    assert!(!answers(port));
}

/// The status line of `GET /`.
fn status(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn proxies_do_what_their_configuration_says_and_leave_nothing_behind() {
    let (behind, before) = (free_port().expect("a port"), free_port().expect("another"));
    let nginx = format!("server {{ listen 127.0.0.1:{behind}; return 204; }}");
    let nginx = Nginx::start(behind, &nginx).expect("nginx starts");
    let haproxy = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         listen all\n  bind 127.0.0.1:{before}\n  server nginx 127.0.0.1:{behind}\n"
    );
    let haproxy = Haproxy::start(before, &haproxy).expect("HAProxy starts");
    assert_eq!(status(before), "HTTP/1.1 204 No Content");
    drop((nginx, haproxy));
    assert!(!answers(behind) && !answers(before));
}

#[test]
fn a_wrong_configuration_is_told() {
    let error = Nginx::start(free_port().expect("a port"), "nonsense;").expect_err("it is wrong");
    assert!(error.to_string().contains("nonsense"), "{error}");
    let error = Haproxy::start(free_port().expect("a port"), "nonsense\n").expect_err("it is wrong");
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn databases_handed_out_differ() {
    let (first, second) = (servers::redis().fresh_database(), servers::redis().fresh_database());
    assert_ne!(first, second);
    let postgres = servers::postgres();
    assert_ne!(postgres.create_database().expect("one"), postgres.create_database().expect("two"));
}
