//! The real mail servers start beside each other, take mail, count it, and leave nothing behind.

use servers::{Accepted, Security, until_blocking};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends one mail to alice1@example.com and tells the reply to RCPT, and to the final dot when it came to that.
fn send(port: u16, name: &str) -> (String, Option<String>) {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let (mut writer, mut reader) = (stream.try_clone().expect("a second handle"), BufReader::new(stream));
    let mut ask = |line: &str| {
        write!(writer, "{line}").expect("the server listens");
        loop {
            let mut answer = String::new();
            reader.read_line(&mut answer).expect("the server answers");
            if answer.as_bytes().get(3) != Some(&b'-') {
                return answer.trim_end().to_owned();
            }
        }
    };
    ask("");
    ask("EHLO client.example.com\r\n");
    ask("MAIL FROM:<no-reply@example.com>\r\n");
    let recipient = ask("RCPT TO:<alice1@example.com>\r\n");
    if !recipient.starts_with("250") {
        return (recipient, None);
    }
    ask("DATA\r\n");
    let end = ask(&format!("Message-ID: <{name}@example.com>\r\nSubject: x\r\n\r\nHello\r\n.\r\n"));
    ask("QUIT\r\n");
    (recipient, Some(end))
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn until_accepted(accepted: impl Fn() -> Accepted, expected: &Accepted) {
    until_blocking("each mail was counted", PATIENCE, || {
        let accepted = accepted();
        if accepted == *expected { Ok(()) } else { Err(format!("{accepted:?}")) }
    });
}

fn once_and_twice() -> Accepted {
    Accepted::from([("one@example.com".to_owned(), 1), ("two@example.com".to_owned(), 2)])
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").expect("Linux")
}

#[test]
fn postfix_counts_what_it_took_and_leaves_nothing_behind() {
    let Some(server) = servers::postfix(Security::Plain, &[]) else { return };
    for name in ["one", "two", "two"] {
        assert!(send(server.port(), name).1.is_some_and(|end| end.starts_with("250 ")));
    }
    until_accepted(|| server.accepted(), &once_and_twice());
    let port = server.port();
    drop(server);
    assert!(!answers(port));
    assert!(!mounts().contains("/private"), "{}", mounts());
}

#[test]
fn exim_counts_what_it_took_and_leaves_nothing_behind() {
    let Some(server) = servers::exim(Security::Plain, &[], &[]) else { return };
    for name in ["one", "two", "two"] {
        assert!(send(server.port(), name).1.is_some_and(|end| end.starts_with("250 ")));
    }
    until_accepted(|| server.accepted(), &once_and_twice());
    let port = server.port();
    drop(server);
    assert!(!answers(port));
}

#[test]
fn opensmtpd_counts_what_it_took_and_leaves_nothing_behind() {
    let Some(server) = servers::opensmtpd(&[], &[]) else { return };
    for name in ["one", "two", "two"] {
        assert!(send(server.port(), name).1.is_some_and(|end| end.starts_with("250 ")));
    }
    until_accepted(|| server.accepted(), &once_and_twice());
    let port = server.port();
    drop(server);
    assert!(!answers(port));
}

#[test]
fn two_of_a_kind_run_beside_each_other_and_know_what_their_tests_say() {
    let parameters = ["local_recipient_maps = inline:{ {bob1=1} }"];
    let Some(first) = servers::postfix(Security::Plain, &parameters) else { return };
    let Some(second) = servers::postfix(Security::Plain, &[]) else { return };
    assert!(send(first.port(), "one").0.starts_with("550 5.1.1 "));
    assert!(send(second.port(), "one").0.starts_with("250 "));
    let Some(exim) = servers::exim(Security::Plain, &["KNOWN = bob1"], &[]) else { return };
    assert_eq!(send(exim.port(), "one").0, "550 Unrouteable address");
    let Some(opensmtpd) = servers::opensmtpd(&["bob1"], &[]) else { return };
    assert!(send(opensmtpd.port(), "one").0.starts_with("524 5.2.4 "));
}

/// Set in the process that is killed.
const VICTIM: &str = "SERVERS_TEST_VICTIM";

#[test]
fn a_server_ends_with_a_test_that_is_killed() {
    let Some(server) = servers::exim(Security::Plain, &[], &[]) else { return };
    if std::env::var_os(VICTIM).is_some() {
        println!("\nport {}", server.port());
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().expect("a path"));
    victim.args(["--exact", "a_server_ends_with_a_test_that_is_killed", "--nocapture"]).env(VICTIM, "1");
    let mut victim = victim.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.strip_prefix("port ")?.parse().ok()).expect("its server's port");
    assert!(answers(port) && port != server.port());
    victim.kill().expect("killed");
    victim.wait().expect("gone");
    until_blocking("its server ended with it", PATIENCE, || {
        if answers(port) { Err("it answers".to_owned()) } else { Ok(()) }
    });
    assert!(answers(server.port()), "the server of a living test");
}
