//! What a local run says of its workers in the queue, as the operator does in a cluster.
//!
//! Takes: workers that have ended, and workers that shall take no tasks. Gives: both in Redis, and the workers'
//! heartbeats. Does not: decide who; `scaling` does.

use super::screen::say;
use queue::{Inspector, ServerInfo, Supervisor};
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// Whose marks these are. Pipelines do not share a database, so it need not tell them apart.
const OWNER: &str = "operator local";

/// How often heartbeats are read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Marks are renewed long before they end.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);

/// Both ends of what is said and heard.
pub(super) struct Supervised {
    pub(super) ended: mpsc::UnboundedSender<String>,
    pub(super) marked: watch::Sender<Vec<String>>,
    pub(super) heard: watch::Receiver<Vec<ServerInfo>>,
}

/// Begins with it; the task ends with what is given.
pub(super) fn start(supervisor: Supervisor, inspector: Inspector) -> Supervised {
    let (ended, lost) = mpsc::unbounded_channel();
    let (marked, marks) = watch::channel(Vec::new());
    let (answers, heard) = watch::channel(Vec::new());
    tokio::spawn(tell_ended(supervisor.clone(), lost));
    tokio::spawn(drain(supervisor, inspector, marks, answers));
    Supervised { ended, marked, heard }
}

/// Once: should Redis be away, the leases of who has ended are over before long.
async fn tell_ended(supervisor: Supervisor, mut lost: mpsc::UnboundedReceiver<String>) {
    let mut servers = Vec::new();
    while lost.recv_many(&mut servers, usize::MAX).await > 0 {
        if let Err(error) = supervisor.ended(&servers).await {
            say(&format!("tasks of a worker that ended wait for its lease to run out, at most 33 s: {error}"));
        }
        servers.clear();
    }
}

async fn drain(
    supervisor: Supervisor,
    inspector: Inspector,
    mut marks: watch::Receiver<Vec<String>>,
    answers: watch::Sender<Vec<ServerInfo>>,
) {
    let mut renew: Option<Instant> = None;
    loop {
        tokio::select! {
            changed = marks.changed() => match changed {
                Ok(()) => renew = Some(Instant::now()),
                Err(_) => return,
            },
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        if renew.is_some_and(|renew| renew <= Instant::now()) {
            let marked = marks.borrow_and_update().clone();
            // Unsaid, it is said again at the next poll.
            if supervisor.drain(OWNER, &marked).await.is_ok() {
                renew = (!marked.is_empty()).then(|| Instant::now() + RENEW_INTERVAL);
            }
        }
        if let Ok(servers) = inspector.servers().await {
            answers.send_replace(servers);
        }
    }
}
