//! The thread that an inbox runs on.
//!
//! Gives: a Tokio runtime on a thread of its own. Does not: leave anything running when it is dropped,
//! from whatever context (a runtime itself must not be dropped in an async one).

use std::{io, thread::JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(crate) struct Thread {
    runtime: Handle,
    ended: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, ended) = (runtime.handle().clone(), CancellationToken::new());
        let end = ended.clone();
        let run = move || runtime.block_on(end.cancelled());
        let thread = std::thread::Builder::new().name("inbox".into()).spawn(run)?;
        Ok(Self { runtime: handle, ended, thread: Some(thread) })
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The runtime ends with its thread, and with it every socket.
        self.ended.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
