//! Requests that come while another is under way, or that have time, carried out together by one statement.
//!
//! Takes: single requests, each with its caller's word how long it may wait for others, and how several are one
//! statement. Gives: each its own answer, as if it had come alone. Does not: let a request that has no time wait while
//! nothing is under way, wait for longer than [`MAX_WAIT`], or judge of errors: whoever gets no answer from the
//! statement of all asks alone, and that answer counts. So one row, or one error, decides about nobody else.
//!
//! Why: most of what a statement about one intent costs PostgreSQL does not depend on the number of rows. It reads the
//! checks, the generated column and the conditions of triggers of the table anew each time, and counts once for all.

use crate::{Store, StoreError};
use parking_lot::Mutex;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::oneshot::{self, Receiver},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// How long a request waits for what is under way: a statement that got stuck holds nobody up.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// Requests in one statement at most.
const MAX_REQUESTS: usize = 64;

/// So many that have time wait for no more: another one would save little.
const ENOUGH: usize = 4;

/// What one statement can do for several intents.
pub(crate) trait Request: Clone + Send + Sync + 'static {
    type Answer: Send + 'static;

    /// The intent. Two requests about one never share a statement.
    fn id(&self) -> Uuid;

    /// Carries out what can be without waiting for anybody's lock; answers, by intent, of those that were.
    fn together(
        store: &Store,
        requests: &[Self],
    ) -> impl Future<Output = Result<Vec<(Uuid, Self::Answer)>, StoreError>> + Send;

    /// Takes back what was carried out for a caller who left meanwhile.
    fn unwanted(store: &Store, id: Uuid, answer: Self::Answer) -> impl Future<Output = ()> + Send;
}

/// Requests of one kind to one database; clones share the groups.
pub(crate) struct Batch<R: Request>(Arc<Mutex<Open<R>>>);

/// What is under way, and what waits for its end.
struct Open<R: Request> {
    under_way: usize,
    waiting: Vec<Member<R>>,
}

struct Member<R: Request> {
    since: Instant,
    /// Until then it has time.
    due: Instant,
    request: R,
    /// `None`: to ask alone.
    answer: oneshot::Sender<Option<R::Answer>>,
}

impl<R: Request> Batch<R> {
    /// The answer of a statement that carried the request out together with others. `Err`: there is none, the caller
    /// is to carry it out alone, and what it gets is held until then. The request may wait for others for `max_wait`,
    /// and while another is under way. Needs a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the request is carried out or not; what the answer gave is taken back where that is
    /// still possible.
    pub(crate) async fn together(
        &self,
        store: &Store,
        request: &R,
        max_wait: Duration,
    ) -> Result<R::Answer, UnderWay<R>> {
        let alone = || UnderWay { batch: self.clone(), store: store.clone() };
        let since = Instant::now();
        let due = since + max_wait.min(MAX_WAIT);
        let Some(answer) = self.join(request, since, due) else { return Err(alone()) };
        self.begin_if(store, Open::is_ready);
        self.answer(store, answer, since, due).await.ok_or_else(|| {
            self.0.lock().under_way += 1;
            alone()
        })
    }

    /// `None`: to be carried out alone.
    async fn answer(
        &self,
        store: &Store,
        mut answer: Receiver<Option<R::Answer>>,
        since: Instant,
        due: Instant,
    ) -> Option<R::Answer> {
        if let Ok(answered) = timeout_at(due, &mut answer).await {
            return answered.ok().flatten();
        }
        self.begin_if(store, Open::is_ready);
        if let Ok(answered) = timeout_at(since + MAX_WAIT, &mut answer).await {
            return answered.ok().flatten();
        }
        self.begin_if(store, Open::is_overdue);
        answer.await.ok().flatten()
    }

    /// Those that wait have no time any more.
    pub(crate) fn hurry(&self, store: &Store) {
        let now = Instant::now();
        self.0.lock().waiting.iter_mut().for_each(|member| member.due = now);
        self.begin_if(store, Open::is_ready);
    }

    /// `None`: nothing is under way and nobody waits, or one about the same intent waits already; what comes now waits
    /// for this one.
    fn join(&self, request: &R, since: Instant, due: Instant) -> Option<Receiver<Option<R::Answer>>> {
        let mut open = self.0.lock();
        let is_first = open.under_way == 0 && open.waiting.is_empty() && due <= since;
        if is_first || open.waiting.iter().any(|other| other.request.id() == request.id()) {
            open.under_way += 1;
            return None;
        }
        let (sender, answer) = oneshot::channel();
        open.waiting.push(Member { since, due, request: request.clone(), answer: sender });
        Some(answer)
    }

    /// Begins the statement of those that wait.
    fn begin_if(&self, store: &Store, may_begin: impl Fn(&Open<R>) -> bool) {
        let members = {
            let mut open = self.0.lock();
            if may_begin(&open) { open.close() } else { Vec::new() }
        };
        self.begin(store, members);
    }

    /// Begins a statement, in a task that no caller can cancel. Not to be called under the lock: where the runtime
    /// ends, the task is dropped here.
    fn begin(&self, store: &Store, mut members: Vec<Member<R>>) {
        if members.len() > 1 {
            let written = write(members, UnderWay { batch: self.clone(), store: store.clone() });
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(written);
            }
        } else if let Some(alone) = members.pop() {
            // One that left meanwhile wants no answer.
            let _ = alone.answer.send(None);
        }
    }
}

impl<R: Request> Open<R> {
    /// Nothing is under way, and one of those that wait has no time, or enough are there.
    fn is_ready(&self) -> bool {
        self.under_way == 0 && self.is_due()
    }

    fn is_due(&self) -> bool {
        let now = Instant::now();
        self.waiting.len() >= ENOUGH || self.waiting.iter().any(|member| member.due <= now)
    }

    /// What is under way takes long.
    fn is_overdue(&self) -> bool {
        self.waiting.first().is_some_and(|first| first.since.elapsed() >= MAX_WAIT)
    }

    /// Those that wait, to be begun.
    fn close(&mut self) -> Vec<Member<R>> {
        self.waiting.retain(|member| !member.answer.is_closed());
        let members: Vec<_> = self.waiting.drain(..self.waiting.len().min(MAX_REQUESTS)).collect();
        // One alone counts itself.
        self.under_way += usize::from(members.len() > 1);
        members
    }
}

/// Something under way: dropped, it lets those that wait for it begin.
pub(crate) struct UnderWay<R: Request> {
    batch: Batch<R>,
    store: Store,
}

impl<R: Request> Drop for UnderWay<R> {
    fn drop(&mut self) {
        let next = {
            let mut open = self.batch.0.lock();
            open.under_way -= 1;
            if open.is_due() { open.close() } else { Vec::new() }
        };
        self.batch.begin(&self.store, next);
    }
}

async fn write<R: Request>(members: Vec<Member<R>>, under_way: UnderWay<R>) {
    let (requests, mut answers): (Vec<_>, Vec<_>) =
        members.into_iter().map(|member| (member.request, member.answer)).unzip();
    let store = under_way.store.clone();
    let done = tokio::select! {
        done = R::together(&store, &requests) => done,
        // As if each had been alone: a statement that nobody waits for is given up, and its connection with it.
        () = left(&mut answers) => return,
    };
    // The next may begin before everybody here has read the answer.
    drop(under_way);
    let done = done.unwrap_or_else(|error| {
        // It is nobody's own: whoever asks alone hears of it, where it lasts.
        tracing::debug!(%error, requests = requests.len(), "a statement for several failed, each is carried out alone");
        Vec::new()
    });
    let mut done: HashMap<Uuid, R::Answer> = done.into_iter().collect();
    let mut unwanted = Vec::new();
    for (request, answer) in requests.into_iter().zip(answers) {
        let id = request.id();
        if let Err(Some(late)) = answer.send(done.remove(&id)) {
            unwanted.push((id, late));
        }
    }
    for (id, late) in unwanted {
        R::unwanted(&store, id, late).await;
    }
}

async fn left<A>(answers: &mut [oneshot::Sender<A>]) {
    for answer in answers {
        answer.closed().await;
    }
}

impl<R: Request> Clone for Batch<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Request> Default for Batch<R> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Open { under_way: 0, waiting: Vec::new() })))
    }
}

impl<R: Request> fmt::Debug for Batch<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
