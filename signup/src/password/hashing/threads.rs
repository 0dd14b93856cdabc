//! The threads that hash.
//!
//! Takes: pieces of work that keep a core busy for milliseconds. Gives: each, in order, to the thread that is free
//! first, together with the memory which that thread keeps. Does not: bound how many wait; its caller does.
//!
//! A thread without work for a while gives its memory back itself: what another thread frees, an allocator may keep
//! until its owner allocates again. Even then mimalloc (the allocator of `api`) hands memory to the system only when
//! something large is freed a second or more later, so the thread does that too. The threads end with the last handle,
//! after what was put in before.

use super::Memory;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// Bytes whose release makes mimalloc look for memory that was freed long enough ago (`purge_delay`: one second in
/// version 3): too many for it to keep, and never touched, so that they cost nothing.
const LARGE: usize = 1 << 20;

/// What a thread runs.
type Work = Box<dyn FnOnce(&mut Memory) + Send>;

/// A handle; clones share the threads.
#[derive(Clone)]
pub(super) struct Threads(Arc<Handle>);

struct Handle(Arc<Line>);

/// Work that waits for a thread.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    closed: bool,
}

impl Threads {
    /// Starts `count` threads named `hashing`, which keep their memory for `idle_timeout` without work. Those the
    /// system does not give are missed, and logged.
    pub(super) fn start(count: usize, idle_timeout: Duration) -> Self {
        let line = Arc::<Line>::default();
        for _ in 0..count {
            let served = Arc::clone(&line);
            let started =
                std::thread::Builder::new().name("hashing".to_owned()).spawn(move || served.serve(idle_timeout));
            if let Err(error) = started {
                tracing::error!(%error, "failed to start a hashing thread");
            }
        }
        Self(Arc::new(Handle(line)))
    }

    /// Runs `work` as soon as a thread is free.
    pub(super) fn run(&self, work: Work) {
        let Handle(line) = &*self.0;
        line.state.lock().waiting.push_back(work);
        line.changed.notify_one();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Line {
    /// Runs what comes until the last handle is gone. A panic ends the piece of work, not the thread.
    fn serve(&self, idle_timeout: Duration) {
        let mut memory = Memory::new();
        while let Some(work) = self.next(&mut memory, idle_timeout) {
            // The panic's message is on standard error already; its caller learns of it because nothing is sent.
            let _ = catch_unwind(AssertUnwindSafe(|| work(&mut memory)));
        }
    }

    fn next(&self, memory: &mut Memory, idle_timeout: Duration) -> Option<Work> {
        let mut state = self.state.lock();
        let mut freed = false;
        loop {
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if state.closed {
                return None;
            }
            if memory.is_empty() && !freed {
                self.changed.wait(&mut state);
                continue;
            }
            let waited = self.changed.wait_for(&mut state, idle_timeout);
            if waited.timed_out() && freed {
                drop(black_box(Vec::<u8>::with_capacity(LARGE)));
                freed = false;
            } else if waited.timed_out() {
                *memory = Memory::new();
                freed = true;
            }
        }
    }
}
