//! Gives each pipeline its turn, and a later one when a reconcile asks for it.
//!
//! Takes: the turns and the store of pipelines. Gives: reconciles, as many at once as the turns allow; a failed one is
//! done again after 1, 2, 4 ... 60 seconds. Does not: know why a pipeline has a turn.

use super::{
    Context, operators,
    reconcile::ReconcileError,
    turns::{MIN_WAIT, Name, Turn},
};
use crate::crd::SignupPipeline;
use futures::{StreamExt, stream::FuturesUnordered};
use kube::{ResourceExt, runtime::reflector::Store};
use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::time::{DelayQueue, delay_queue::Key};

/// The wait after failures doubles from [`MIN_WAIT`] up to this.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The API server may never answer (kube has no read timeout), and the pipeline has to be reconciled again.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);

/// A reconcile that takes longer waits for something, and the next one may as well.
const SLOW: Duration = Duration::from_millis(2500);

/// How a turn ended.
struct Ended {
    name: Name,
    /// When the pipeline wants another one although nothing happens.
    again: Option<Duration>,
    is_suspect: bool,
}

/// Reconciles until `stop`, and lets those under way end.
pub(super) async fn dispatch(context: &Context, store: &Store<SignupPipeline>, stop: impl Future<Output = ()>) {
    let (mut running, mut later, mut stop) = (FuturesUnordered::new(), Later::default(), pin!(stop));
    loop {
        tokio::select! {
            () = &mut stop => break,
            turn = context.turns.next() => {
                later.forget(&turn.name);
                running.push(take(context, store, turn));
            }
            Some(ended) = running.next() => {
                let Ended { name, again, is_suspect } = ended;
                context.turns.ended(&name, is_suspect);
                if let Some(after) = again {
                    later.add(name, after);
                }
            }
            Some(name) = later.next() => context.turns.changed(name),
        }
    }
    while running.next().await.is_some() {}
}

async fn take(context: &Context, store: &Store<SignupPipeline>, turn: Turn) -> Ended {
    let Turn { name, waited } = turn;
    for (cause, waited) in waited {
        metrics::histogram!("signup_operator_reconcile_queue_seconds", "cause" => cause).record(waited);
    }
    let Some(pipeline) = store.get(&name) else {
        // A reconcile may have been under way when it was deleted.
        context.named.forget(&name);
        return Ended { name, again: None, is_suspect: false };
    };
    let began = Instant::now();
    let done = attempt(&pipeline, context).await;
    let (again, has_failed) = match done {
        // What passes at a whole second may not have passed yet.
        Ok(again) => (again.map(|again| again.max(MIN_WAIT)), false),
        Err(error) => (Some(failed(&pipeline, &error, context)), true),
    };
    Ended { name, again, is_suspect: has_failed || began.elapsed() > SLOW }
}

#[tracing::instrument(skip_all, fields(pipeline = pipeline.name_any(), namespace = pipeline.namespace()))]
async fn attempt(pipeline: &Arc<SignupPipeline>, context: &Context) -> Result<Option<Duration>, ReconcileError> {
    let uid = pipeline.uid().unwrap_or_default();
    if pipeline.metadata.deletion_timestamp.is_some() {
        // The children go by their owner references.
        context.pipelines.forget(&uid).into_iter().for_each(|name| context.turns.changed(name));
        return Ok(None);
    }
    let state = context.pipelines.state(&uid);
    let mut state = state.lock().await;
    let done = tokio::time::timeout(RECONCILE_TIMEOUT, operators::turn(pipeline, context, &mut state)).await;
    let again = match done.map_err(|_| ReconcileError::TooSlow)? {
        Err(error) if error.is_of_a_namespace_that_goes() => None,
        done => done?,
    };
    context.pipelines.forget_failures(&uid);
    Ok(again)
}

/// Tells it; gives the wait until the next attempt.
fn failed(pipeline: &SignupPipeline, error: &ReconcileError, context: &Context) -> Duration {
    metrics::counter!("signup_operator_reconcile_failures_total").increment(1);
    let failures = context.pipelines.count_failure(&pipeline.uid().unwrap_or_default());
    let source = std::error::Error::source(error).map(pipeline::chain);
    let (name, namespace) = (pipeline.name_any(), pipeline.namespace());
    tracing::warn!(pipeline = name, namespace, %error, source, failures, "reconcile failed");
    wait(failures)
}

fn wait(failures: u32) -> Duration {
    MIN_WAIT.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(MAX_WAIT)
}

/// Pipelines that want a turn at a time, one each.
#[derive(Default)]
struct Later {
    queue: DelayQueue<Name>,
    keys: HashMap<Name, Key>,
}

impl Later {
    fn add(&mut self, name: Name, after: Duration) {
        self.forget(&name);
        let key = self.queue.insert(name.clone(), after);
        self.keys.insert(name, key);
    }

    /// Its turn came for another reason, and says anew what it wants.
    fn forget(&mut self, name: &Name) {
        if let Some(key) = self.keys.remove(name) {
            self.queue.remove(&key);
        }
    }

    /// `None` while there is none.
    async fn next(&mut self) -> Option<Name> {
        let name = self.queue.next().await?.into_inner();
        self.keys.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_failures_doubles_up_to_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|failures| wait(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_has_one_time_and_the_newest_counts() {
        let mut later = Later::default();
        let (a, b) = (Name::new("a"), Name::new("b"));
        later.add(a.clone(), Duration::from_secs(1));
        later.add(b.clone(), Duration::from_secs(2));
        later.add(a.clone(), Duration::from_secs(3));
        assert_eq!(later.next().await, Some(b.clone()));
        later.add(b.clone(), Duration::from_secs(9));
        later.forget(&b);
        assert_eq!(later.next().await, Some(a));
        assert_eq!(later.next().await, None);
    }
}
