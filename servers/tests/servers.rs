//! The servers start, can be hurt, and leave nothing behind.

use servers::{Postgres, Redis};
use std::{net::TcpStream, process::Command};

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

#[test]
fn databases_handed_out_differ() {
    let (first, second) = (servers::redis().fresh_database(), servers::redis().fresh_database());
    assert_ne!(first, second);
    let postgres = servers::postgres();
    assert_ne!(postgres.create_database().expect("one"), postgres.create_database().expect("two"));
}
