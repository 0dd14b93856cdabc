//! The threads that hash.
//!
//! Takes: pieces of work that keep a core busy for milliseconds. Gives: each, in order, to the thread that is free first.
//! Does not: bound how many wait; its caller does. The threads end with the last handle, after what was put in before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

/// What a thread runs.
type Work = Box<dyn FnOnce() + Send>;

/// A handle; clones share the threads.
#[derive(Clone)]
pub(super) struct Threads(mpsc::Sender<Work>);

impl Threads {
    /// Starts `count` threads named `hashing`. Those the system does not give are missed, and told in the log.
    pub(super) fn start(count: usize) -> Self {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let receiver = Arc::clone(&receiver);
            let started = std::thread::Builder::new().name("hashing".to_owned()).spawn(move || serve(&receiver));
            if let Err(error) = started {
                tracing::error!(%error, "failed to start a hashing thread");
            }
        }
        Self(sender)
    }

    /// Runs `work` as soon as a thread is free. Without any thread it is dropped.
    pub(super) fn run(&self, work: Work) {
        let _ = self.0.send(work);
    }
}

/// Runs what comes until the last handle is gone. A panic ends the piece of work, not the thread.
fn serve(receiver: &Mutex<mpsc::Receiver<Work>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // The panic's message is on standard error already; its caller learns of it because nothing is sent.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}
