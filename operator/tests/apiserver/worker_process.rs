//! A worker in a process of its own, as in a pod: the host in its heartbeat is the pod's name.
//!
//! Takes: a pod and a Redis. Gives: a process that takes tasks by the project's own queue: this program once more,
//! which runs nothing but the entry below. Does not: send mails. A task is the path of a file: it runs until somebody
//! makes that file, and who runs it is written to the file of that name that ends in `.by`. One without a path ends at
//! once.

use super::{
    api_server::until,
    operator_run::{FakePod, Run},
    scaling::enqueue_with,
};
use queue::{Connection, Handler, Job, QueuePriority, Server, Settings, TaskError};
use rustix::process::Signal;
use servers::Process;
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tokio::sync::watch;

/// What the process is to do: Redis, queue and slots.
const SETTINGS: &str = "TEST_WORKER";

/// A running worker; dropped, it is killed.
pub(crate) struct Worker {
    pub(crate) pod: String,
    _process: Process,
    _answers: FakePod,
}

impl Worker {
    /// Makes a pod, and starts its process.
    pub(crate) async fn start(run: &Run, uri: &str, queue: &str, slots: usize) -> Self {
        let answers = FakePod::new().await;
        let pod = run.pod("demo-worker", &answers).await;
        let mut process = Process::new("test-worker", Signal::KILL).expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command.args(["--exact", "worker_process::is_a_worker", "--ignored", "--nocapture"]);
        command.env("HOSTNAME", &pod).env(SETTINGS, format!("{uri} {queue} {slots}"));
        process.spawn(command).expect("it starts");
        Self { pod, _process: process, _answers: answers }
    }
}

/// Tasks of one test.
pub(crate) struct Tasks(tempfile::TempDir);

impl Tasks {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Enqueues a task.
    pub(crate) async fn enqueue(&self, uri: &str, name: &str) {
        enqueue_with(uri, self.file(name).to_str().expect("it is text")).await;
    }

    /// Lets it end.
    pub(crate) fn release(&self, name: &str) {
        fs::write(self.file(name), "").expect("the folder is ours");
    }

    /// Waits until it runs; gives the pod that runs it.
    pub(crate) async fn runs(&self, name: &str) -> String {
        let file = self.file(name).with_extension("by");
        let written = || fs::read_to_string(&file).ok().filter(|pod| !pod.is_empty());
        until(&format!("task {name} runs"), async || written()).await
    }
}

struct UntilReleased;

impl Handler for UntilReleased {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let file = PathBuf::from(String::from_utf8_lossy(&job.task.payload).into_owned());
        if job.task.payload.is_empty() {
            return Ok(());
        }
        let pod = std::env::var("HOSTNAME").expect("it was given");
        fs::write(file.with_extension("by"), pod).expect("the folder of the test");
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

#[tokio::test]
#[ignore = "no test, but what Worker::start starts"]
async fn is_a_worker() {
    let settings = std::env::var(SETTINGS).expect("Worker::start sets it");
    let mut settings = settings.split(' ');
    let mut next = || settings.next().expect("three words").to_owned();
    let (uri, name, slots) = (next(), next(), next());
    let queues = vec![QueuePriority { name, priority: 1, paused: false }];
    let settings = Settings { queues, concurrency: slots.parse().expect("a number"), ..Settings::default() };
    let (_sender, live) = watch::channel(settings);
    let connection = Connection::open(&uri, None).expect("a URI");
    let _server = Server::start(connection, live, Duration::ZERO, UntilReleased);
    std::future::pending::<()>().await;
}
