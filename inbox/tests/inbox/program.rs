//! The program `inbox`: flags, the line `listening`, signals and exit codes.

use crate::client::mail;
use lettre::{
    AsyncTransport,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// The program; a failed test does not leave it behind.
struct Program(Child);

impl Program {
    fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs").success());
        self.0.wait().expect("ended").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program on free ports, and what it said when it listened.
fn start(arguments: &[&str]) -> (Program, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inbox"))
        .args(["--smtp", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    (Program(child), serde_json::from_str(&line).expect("a JSON line"))
}

fn port(listening: &Value, of: &str) -> u16 {
    let address: std::net::SocketAddr = listening[of].as_str().and_then(|text| text.parse().ok()).expect("an address");
    address.port()
}

#[test]
fn a_signal_ends_it_cleanly_even_with_a_session_open() {
    for name in ["TERM", "INT"] {
        let (mut program, listening) = start(&[]);
        assert_eq!(listening["message"], "listening");
        let open = std::net::TcpStream::connect(("127.0.0.1", port(&listening, "smtp"))).expect("connected");
        assert_eq!(program.end(name), Some(0), "{name}");
        drop(open);
    }
}

#[tokio::test]
async fn certificates_credentials_and_journal_come_from_files_and_the_ca_outlives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("auth"), "app:s3cret\n").expect("written");
    let (certs, auth, log) = (file("certs"), file("auth"), file("log"));
    let arguments = ["--tls", "starttls", "--cert-dir", &certs, "--auth", &auth, "--log", &log];
    let mut authorities = Vec::new();
    for round in 1..=2 {
        let (mut program, listening) = start(&arguments);
        let pem = std::fs::read(folder.path().join("certs/ca.pem")).expect("the CA");
        let ca = Certificate::from_pem(&pem).expect("a PEM");
        let tls = TlsParameters::builder("localhost".into()).add_root_certificate(ca).build().expect("parameters");
        let transport = crate::client::Transport::builder_dangerous("localhost")
            .port(port(&listening, "smtp"))
            .tls(Tls::Required(tls))
            .credentials(Credentials::new("app".into(), "s3cret".into()))
            .build();
        transport.send(mail("alice@example.com", "x")).await.expect("accepted");
        assert_eq!(std::fs::read_to_string(&log).expect("the journal").lines().count(), 2 * round);
        program.end("TERM");
        authorities.push(pem);
    }
    assert_eq!(authorities[0], authorities[1]);
}

#[test]
fn a_taken_address_is_named_in_the_error() {
    let (_program, listening) = start(&[]);
    let taken = listening["http"].as_str().expect("an address");
    let output = Command::new(env!("CARGO_BIN_EXE_inbox")).args(["--smtp", "127.0.0.1:0", "--http", taken]).output();
    let output = output.expect("ran");
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(taken) && error.contains("HTTP"), "{error}");
}

#[test]
fn tls_without_a_folder_for_certificates_is_refused_with_the_flag_to_set() {
    let output = Command::new(env!("CARGO_BIN_EXE_inbox")).args(["--tls", "starttls"]).output().expect("ran");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--cert-dir"));
}
