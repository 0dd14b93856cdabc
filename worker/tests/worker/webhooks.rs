//! Webhooks, from what happens in PostgreSQL to a receiver that judges them with the specification's own library.

use crate::{
    fixture::{Fixture, SOON, task, timing, until},
    program::Program,
};
use inbox::{Phase, Rule};
use serde_json::{Value, json};
use servers::free_port;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use worker::process::{Options, Worker};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// A running receiver.
pub(crate) struct Receiver {
    child: Child,
    pub(crate) port: u16,
    lines: mpsc::Receiver<String>,
}

impl Receiver {
    pub(crate) fn start(secret: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut child = Command::new(format!("{root}/../target/tools/webhooks/bin/python"))
            .args([&format!("{root}/tests/worker/webhook_receiver.py"), secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("target/tools/webhooks/bin/python runs; install it with `make setup`");
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let port = lines.recv_timeout(SOON).expect("it listens").parse().expect("a port");
        Self { child, port, lines }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// What it answers from now on.
    pub(crate) fn answer(&mut self, with: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{with}").expect("it reads");
    }

    /// The next request.
    fn request(&self) -> Value {
        let line = self.lines.recv_timeout(SOON).expect("a request");
        serde_json::from_str(&line).expect("JSON")
    }

    fn is_left_alone(&self) -> bool {
        self.lines.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fixture {
    /// Tells `url`; `more` is YAML of the webhook, such as `, events: [user.created]`.
    pub(crate) async fn tell(&self, url: &str, more: &str) {
        let secret = self.path("hook-secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("a file");
        let webhook = format!("webhooks: [{{url: \"{url}\", secretFile: {}{more}}}]\nworker:", secret.display());
        self.edit("worker:", &webhook).await;
        // As `api` does.
        self.store.set_webhooks(&self.live.document()).await.expect("written down");
    }

    async fn deliveries(&self, expression: &str) -> String {
        let statement = format!("SELECT coalesce(({expression})::text, '') FROM webhook_deliveries");
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&self.sql).await.expect("a row")
    }

    async fn until_deliveries(&self, what: &str, expression: &str, expected: &str) {
        until(what, || async { self.deliveries(expression).await == expected }).await;
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.sql).await.expect("done");
    }
}

pub(crate) const ALLOWED: &str = ", allowLocalAddresses: true";

pub(crate) fn worker(fixture: &Fixture) -> Worker {
    let options = Options { timing: timing(), probe_wait: |_, _| Duration::from_millis(100) };
    Worker::start(&fixture.live, None, options).expect("the worker starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_with_a_signature_that_the_librarys_verify() {
    let (fixture, receiver) = (Fixture::new().await, Receiver::start(SECRET));
    fixture.tell(&receiver.url(), ALLOWED).await;
    let worker = worker(&fixture);
    let alice = fixture.sign_up("alice1").await;
    let created = receiver.request();
    assert_eq!(created["path"], "/hooks");
    assert_eq!(created["verified"]["type"], "user.created", "{created}");
    let data = json!({"username": "alice1", "full_name": "Test User", "email": "alice1@example.com"});
    assert_eq!(created["verified"]["data"], data);
    let time = created["verified"]["timestamp"].as_str().expect("a text");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");

    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "5.1.1 unknown")]).expect("a good rule");
    fixture.client().enqueue(&task(&alice)).await.expect("Redis answers");
    let refused = receiver.request();
    assert_eq!(refused["verified"]["type"], "mail.refused", "{refused}");
    assert_eq!(refused["verified"]["data"]["class"], "permanent");
    assert_eq!(refused["verified"]["data"]["email"], "alice1@example.com");
    fixture.execute("UPDATE email_intents SET state = 'dead'").await;
    assert_eq!(receiver.request()["verified"]["type"], "mail.dead");
    fixture.execute("UPDATE users SET is_email_verified = true").await;
    assert_eq!(receiver.request()["verified"]["type"], "user.verified");
    fixture.until_deliveries("nothing is left", "count(*)", "0").await;
    worker.shutdown().await;
    assert!(receiver.is_left_alone());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_replaced_both_sign_and_an_edit_needs_no_restart() {
    let (fixture, old, new) = (Fixture::new().await, Receiver::start(SECRET), Receiver::start(OTHER_SECRET));
    let worker = worker(&fixture);
    fixture.sign_up("before").await;
    fixture.tell(&old.url(), ", allowLocalAddresses: true, events: [user.created]").await;
    fixture.sign_up("alice1").await;
    assert_eq!(old.request()["verified"]["data"]["username"], "alice1");
    std::fs::write(fixture.path("hook-secret"), format!("{OTHER_SECRET}\n{SECRET}\n")).expect("a file");
    fixture.sign_up("bob1").await;
    assert_eq!(old.request()["verified"]["data"]["username"], "bob1");
    fixture.edit(&old.port.to_string(), &new.port.to_string()).await;
    fixture.store.set_webhooks(&fixture.live.document()).await.expect("written down");
    fixture.execute("UPDATE users SET is_email_verified = true").await;
    fixture.sign_up("carol1").await;
    assert_eq!(new.request()["verified"]["data"]["username"], "carol1");
    fixture.until_deliveries("nothing is left", "count(*)", "0").await;
    worker.shutdown().await;
    assert!(old.is_left_alone() && new.is_left_alone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_burns_nothing_and_delays_no_mail() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    fixture.tell(&receiver.url(), ", allowLocalAddresses: true, events: [user.created]").await;
    receiver.answer("503");
    let worker = worker(&fixture);
    let mut signups = Vec::new();
    for number in 0..20 {
        signups.push(fixture.sign_up(&format!("user{number}")).await);
    }
    fixture.until_deliveries("attempts, and probes after them", "sum(attempts) >= 12", "true").await;
    for created in &signups {
        fixture.client().enqueue(&task(created)).await.expect("Redis answers");
    }
    fixture.inbox.wait_for(|message| message.id == 20, SOON).await.expect("all mails");
    assert_eq!(fixture.deliveries("count(*) || ' ' || sum(failures) || ' ' || max(last_class)").await, "20 0 down");
    receiver.answer("200");
    fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
    fixture.until_deliveries("nothing is left", "count(*)", "0").await;
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_refuses_is_given_up_after_its_retries() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    fixture.tell(&receiver.url(), ALLOWED).await;
    receiver.answer("404");
    let worker = worker(&fixture);
    fixture.sign_up("alice1").await;
    let first = receiver.request();
    for _ in 0..2 {
        fixture.until_deliveries("a failure", "bool_and(state = 'owed' AND failures > 0)", "true").await;
        fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
        let again = receiver.request();
        assert_eq!((&again["id"], &again["body"]), (&first["id"], &first["body"]));
    }
    fixture
        .until_deliveries("it is given up", "max(state || ' ' || failures || ' ' || last_class)", "dead 3 refused")
        .await;
    worker.shutdown().await;
    assert!(receiver.is_left_alone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_after_the_request_and_before_its_record_tells_again_under_the_same_id() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    fixture.tell(&receiver.url(), ALLOWED).await;
    receiver.answer("hold");
    let killed = Program::start(&fixture);
    fixture.sign_up("alice1").await;
    let first = receiver.request();
    killed.signal("-KILL");
    drop(killed);
    receiver.answer("200");
    let leased = "max(state || ' ' || attempts || ' ' || (due_at > now()))";
    assert_eq!(fixture.deliveries(leased).await, "owed 1 true");
    let next = worker(&fixture);
    // As if its minute were over.
    fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
    let second = receiver.request();
    assert_eq!((&second["id"], &second["body"]), (&first["id"], &first["body"]));
    assert_eq!(second["verified"]["data"]["username"], "alice1");
    fixture.until_deliveries("nothing is left", "count(*)", "0").await;
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_goes_to_this_machine_by_whatever_name_nor_after_a_redirect() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    let url = format!("http://localhost:{}/hooks", receiver.port);
    fixture.tell(&url, "").await;
    let worker = worker(&fixture);
    fixture.sign_up("alice1").await;
    let refused = "bool_and(failures = 0 AND attempts > 0 AND last_class = 'misconfigured')";
    fixture.until_deliveries("it is not sent", refused, "true").await;
    assert!(receiver.is_left_alone());
    receiver.answer("302");
    fixture.edit("hook-secret", "hook-secret, allowLocalAddresses: true").await;
    fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
    assert_eq!(receiver.request()["path"], "/hooks");
    fixture.until_deliveries("it is refused", "bool_and(failures = 1 AND last_class = 'refused')", "true").await;
    worker.shutdown().await;
    assert!(receiver.is_left_alone(), "the redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_with_what_is_under_way_and_what_is_told_holds_no_secret() {
    let (fixture, mut receiver) = (Fixture::new().await, Receiver::start(SECRET));
    // Another one, which nobody listens to.
    let away = format!("http://127.0.0.1:{}/hooks/topsecret", free_port().expect("a port"));
    fixture.tell(&receiver.url(), &format!("{ALLOWED}}}, {{url: \"{away}\", secretFile: none")).await;
    receiver.answer("hold");
    let mut program = Program::start(&fixture);
    for number in 0..8 {
        fixture.sign_up(&format!("user{number}")).await;
    }
    program.line("webhooks to this host wait until a probe is taken");
    receiver.request();
    program.signal("-TERM");
    program.line("graceful shutdown task processor");
    receiver.answer("200");
    program.line("task processor is stopped");
    let printed = format!("{:?}", program.seen);
    for secret in ["topsecret", SECRET, "@example.com", "whsec"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    let taken = fixture.deliveries(&format!("count(*) FILTER (WHERE url = '{}')", receiver.url())).await;
    assert!(taken.parse::<u32>().is_ok_and(|left| left < 8), "{taken}");
}
