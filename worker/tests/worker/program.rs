//! The program itself: what it prints, what its admin port says, how it ends on a signal.

use crate::fixture::{Fixture, SOON, task, until};
use inbox::{Action, Phase, Rule};
use queue::Task;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// A worker process and the lines it prints.
pub(crate) struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) seen: Vec<serde_json::Value>,
}

impl Program {
    pub(crate) fn start(fixture: &Fixture) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .arg("--config")
            .arg(fixture.path("pipeline.yaml"))
            .args(["--admin", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for the line with this message.
    pub(crate) fn line(&mut self, message: &str) -> serde_json::Value {
        loop {
            let line = self.lines.recv_timeout(SOON).unwrap_or_else(|_| panic!("no line `{message}`: {:?}", self.seen));
            let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
            self.seen.push(line.clone());
            if line["message"] == message {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the admin port listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[tokio::test]
async fn the_log_lines_are_those_of_the_go_program_and_hold_no_secret() {
    let fixture = Fixture::new().await;
    let mut program = Program::start(&fixture);
    program.line("start task processor");
    let sent = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&sent)).await.expect("Redis answers");
    let line = program.line("processed task");
    assert_eq!(line["type"], "task:send_verify_email");
    assert_eq!(line["payload"], r#"{"username":"alice1"}"#);
    assert_eq!(line["email"], "a***@e***.com");
    assert_eq!(line["level"], "INFO");
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "5.1.1 <bob1@example.com> unknown")]).expect("a good rule");
    let refused = fixture.sign_up("bob1").await;
    fixture.client().enqueue(&task(&refused)).await.expect("Redis answers");
    let line = program.line("process task failed");
    assert_eq!(line["error"], "mail server answered 550 5.1.1 at rcpt");
    assert_eq!((&line["type"], &line["level"]), (&"task:send_verify_email".into(), &"ERROR".into()));
    program.signal("-TERM");
    program.line("task processor is stopped");
    let output = format!("{:?}", program.seen);
    let code = fixture.keys().current_code(sent.intent.id);
    for secret in ["alice1@example.com", "bob1@example.com", code.as_str(), "secret_code", "postgres:"] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
}

#[tokio::test]
async fn addresses_are_shown_only_when_asked_for() {
    let fixture = Fixture::new().await;
    fixture.edit("logFormat: Json", "logFormat: Json, logPersonalData: true").await;
    let mut program = Program::start(&fixture);
    let created = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    assert_eq!(program.line("processed task")["email"], "alice1@example.com");
}

#[tokio::test]
async fn the_admin_port_tells_readiness_metrics_and_the_configuration_in_force() {
    let fixture = Fixture::new().await;
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    until("readiness", || async { get(&address, "/readyz").starts_with("HTTP/1.1 200") }).await;
    assert!(get(&address, "/config").contains(&fixture.live.now().hash));
    assert!(get(&address, "/webhooks").ends_with("[]") && get(&address, "/state").contains(r#""webhooks":[]"#));
    let created = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    program.line("processed task");
    let metrics = get(&address, "/metrics");
    for expected in [
        "signup_mail_sent_total 1",
        "signup_mail_reachable 1",
        "signup_mail_failing{phase=\"tls\"} 0",
        "signup_mail_breaker_open 0",
        "signup_mail_last_reply_code 250",
        "signup_mail_outcomes_total{class=\"permanent\"} 0",
        "signup_mail_outcomes_total{class=\"unknown_user\"} 0",
        "signup_webhook_requests_total{result=\"down\"} 0",
        "signup_webhooks_dead_total 0",
        "signup_smtp_phase_duration_seconds_count{phase=\"dot\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
    assert!(!metrics.contains("alice1"));
    fixture.edit("name: critical, priority: 10", "name: critical, priority: 11").await;
    let hash = fixture.live.now().hash;
    until("the edit", || async { get(&address, "/config").contains(&hash) }).await;
}

#[tokio::test]
async fn the_metrics_name_the_step_at_which_the_mail_server_fails() {
    let fixture = Fixture::new().await;
    fixture.edit("tls: None", "tls: Implicit").await;
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    let created = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    program.line("process task failed");
    let metrics = get(&address, "/metrics");
    for expected in
        ["signup_mail_reachable 0", "signup_mail_failing{phase=\"tls\"} 1", "signup_mail_failing{phase=\"auth\"} 0"]
    {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test]
async fn the_admin_port_tells_what_the_mail_server_said_without_addresses() {
    let fixture = Fixture::new().await;
    let helo = Rule::reply(Phase::Rcpt, 504, "5.5.2 <worker>: Helo command rejected for alice1@example.com");
    fixture.inbox.rules([helo]).expect("a good rule");
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    assert!(get(&address, "/mail").ends_with("null"));
    let created = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    program.line("process task failed");
    let said = "\"said\":\"504 5.5.2 <\u{2026}>: Helo command rejected for \u{2026}\"";
    let told = get(&address, "/mail");
    assert!(told.contains("\"works\":false,\"phase\":\"rcpt\"") && told.contains(said), "{told}");
}

#[tokio::test]
async fn a_mail_server_that_never_answers_is_not_reachable() {
    let fixture = Fixture::new().await;
    fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hold("rcpt".into()))]).expect("a good rule");
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    let created = fixture.sign_up("alice1").await;
    let task = Task { timeout: Duration::from_secs(1), ..task(&created) };
    fixture.client().enqueue(&task).await.expect("Redis answers");
    let line = program.line("process task failed");
    assert_eq!(line["error"], "mail server did not answer in time at rcpt");
    let metrics = get(&address, "/metrics");
    for expected in
        ["signup_mail_reachable 0", "signup_mail_failing{phase=\"rcpt\"} 1", "signup_mail_failing{phase=\"connect\"} 0"]
    {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test]
async fn a_task_that_is_put_off_for_an_unusual_reason_has_a_line_and_a_count() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    let hour = Duration::from_secs(3_600);
    fixture.store.lease(created.intent.id, "another worker", hour).await.expect("a lease");
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    let line = program.line("task put off");
    assert_eq!((&line["why"], &line["level"]), (&"another worker is sending the mail".into(), &"WARN".into()));
    let metrics = get(&address, "/metrics");
    for expected in [
        "signup_mail_put_off_total{reason=\"held\"} 1",
        "signup_mail_put_off_total{reason=\"link_missing\"} 0",
        "signup_mail_links_remade_total 0",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test]
async fn a_task_of_another_type_fails_with_a_line_in_the_log() {
    let fixture = Fixture::new().await;
    let mut program = Program::start(&fixture);
    program.line("listening");
    let task = Task { queue: "critical".into(), ..Task::new("task:of_somebody_else", "{}") };
    fixture.client().enqueue(&task).await.expect("Redis answers");
    let line = program.line("process task failed");
    assert_eq!((line["type"].as_str(), line["task.id"].as_str()), (Some("task:of_somebody_else"), Some(&*task.id)));
}

#[tokio::test]
async fn a_worker_without_its_database_lives_and_is_not_ready() {
    let fixture = Fixture::new().await;
    std::fs::write(fixture.path("database"), "postgres://nobody:nothing@127.0.0.1:1/none").expect("a writable file");
    let mut program = Program::start(&fixture);
    let address = program.line("listening")["admin"].as_str().expect("an address").to_owned();
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let answer = get(&address, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("PostgreSQL does not answer"), "{answer}");
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    let fixture = Fixture::new().await;
    let mut program = Program::start(&fixture);
    program.line("start task processor");
    program.signal("-TERM");
    program.line("task processor is stopped");
    assert!(program.child.wait().expect("the program ends").success());
}

#[test]
fn a_mistake_is_one_line_also_for_whoever_asks_for_backtraces() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    let output = command.args(["--config", "/none.yaml"]).env("RUST_BACKTRACE", "1").output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    let told = "error: failed to load the configuration (--config, CONFIG): failed to read the configuration file \
                /none.yaml: No such file or directory (os error 2)\n";
    assert_eq!((output.status.code(), text.as_str()), (Some(1), told));
}
