//! The queue of verification mails as its Redis shows it.
//!
//! Takes: a Redis URI. Gives: the queue's state, and raw commands through `redis-cli` to do what accidents do. Does
//! not: write through the code under test.

use super::TestApi;
use queue::{Connection, Inspector, QueueState};
use std::{process::Command, time::Duration};

/// One Redis database.
pub(crate) struct Tasks {
    inspector: Inspector,
    uri: String,
}

impl Tasks {
    pub(crate) fn new(uri: &str) -> Self {
        let connection = Connection::open(uri, None).expect("a valid URI");
        Self { inspector: Inspector::new(connection), uri: uri.to_owned() }
    }

    /// The queue `critical` as it is; an unreachable Redis has nothing.
    pub(crate) async fn now(&self) -> QueueState {
        self.inspector.queue("critical", Duration::ZERO).await.unwrap_or_default()
    }

    /// Waits until the queue is as it should be.
    pub(crate) async fn until(&self, api: &TestApi, what: &str, condition: impl Fn(&QueueState) -> bool) {
        api.until(what, async || condition(&self.now().await)).await;
    }

    /// Runs a command with the client that Redis' package brings; it wants the name of the user that has the password.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let uri = self.uri.replace("redis://:", "redis://default:");
        let output = Command::new("redis-cli").args(["-e", "--no-auth-warning", "-u", &uri]).args(command).output();
        let output = output.expect("`redis-cli` runs; install it with `make setup`");
        let text = String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned();
        assert!(output.status.success(), "{command:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        text
    }
}
