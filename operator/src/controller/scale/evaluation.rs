//! The evaluation of one pipeline, beside its reconciles.
//!
//! Takes: what each reconcile knows of the pipeline. Gives: the newest [`Scaling`], and a reconcile where the status
//! has to say something new. Does not: wait for a reconcile to ask Redis, decide or write.

use super::{
    Inputs, Scaler, Scaling, Servers,
    presence::{self, Neighbours},
    source::Source,
};
use crate::{
    controller::{
        gauges::{Entry, Gauges},
        observe::view::View,
        reason,
        recorder::Recorder,
        status::{FIGURES_INTERVAL, report},
        turns::{Name, Turns},
    },
    crd::SignupPipeline,
};
use kube::{Client, ResourceExt, runtime::events::EventType};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// A reconcile waits no longer for the evaluation of what it found; Redis may be silent.
const EVALUATION_TIMEOUT: Duration = Duration::from_secs(3);

/// While time alone may change a decision (a cool-down, `fallback.after`), it is made again this often.
const TICK: Duration = Duration::from_secs(1);

/// What all evaluations share.
#[derive(Clone)]
pub(in crate::controller) struct Surroundings {
    pub(in crate::controller) client: Client,
    pub(in crate::controller) view: Arc<View>,
    pub(in crate::controller) recorder: Recorder,
    pub(in crate::controller) turns: Arc<Turns>,
    pub(in crate::controller) servers: Arc<Servers>,
    pub(in crate::controller) gauges: Option<Arc<Gauges>>,
}

/// An evaluation that goes on until this is dropped.
pub(in crate::controller) struct Evaluation {
    number: u64,
    inputs: watch::Sender<Option<Numbered<Inputs>>>,
    outcome: watch::Receiver<Numbered<Scaling>>,
    /// A reconcile did not wait for the last one.
    is_late: Arc<AtomicBool>,
    task: AbortOnDropHandle<()>,
}

/// Inputs, or what came of the inputs with that number.
struct Numbered<T> {
    number: u64,
    value: Arc<T>,
}

impl Evaluation {
    /// Begins with the first inputs.
    pub(in crate::controller) fn start(surroundings: Surroundings) -> Self {
        let (inputs, taken) = watch::channel(None);
        let nothing_yet = Numbered { number: 0, value: Arc::new(Scaling::not_known()) };
        let (published, outcome) = watch::channel(nothing_yet);
        let is_late = Arc::new(AtomicBool::new(false));
        let task = Task { surroundings, published, is_late: Arc::clone(&is_late), told: None, gauge: None };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(taken)));
        Self { number: 0, inputs, outcome, is_late, task }
    }

    /// It panicked: another has to begin.
    pub(in crate::controller) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends for good: the pipeline is gone, and its Redis database is free for others.
    pub(in crate::controller) fn leave(self) {
        if let Some(inputs) = self.inputs.borrow().as_ref() {
            presence::leave(Arc::clone(&inputs.value));
        }
    }

    /// Takes over what a reconcile found; gives what came of it, or what was known before where that takes too long.
    pub(in crate::controller) async fn evaluate(&mut self, inputs: Inputs) -> Arc<Scaling> {
        self.number += 1;
        self.inputs.send_replace(Some(Numbered { number: self.number, value: Arc::new(inputs) }));
        let done = self.outcome.wait_for(|outcome| outcome.number >= self.number);
        if timeout(EVALUATION_TIMEOUT, done).await.is_err() {
            self.is_late.store(true, Ordering::Relaxed);
        }
        Arc::clone(&self.outcome.borrow().value)
    }
}

/// What runs.
struct Task {
    surroundings: Surroundings,
    published: watch::Sender<Numbered<Scaling>>,
    is_late: Arc<AtomicBool>,
    /// What a reconcile was last asked for, or given.
    told: Option<(Instant, Arc<Scaling>)>,
    gauge: Option<Entry>,
}

impl Task {
    /// What is done now and then is boxed: it takes no room while this waits.
    async fn run(mut self, mut inputs: watch::Receiver<Option<Numbered<Inputs>>>) {
        let (mut scaler, mut source, mut neighbours) = (Scaler::default(), Source::default(), Neighbours::default());
        let (mut is_asked, mut woken) = (true, Some(Instant::now()));
        if inputs.wait_for(Option::is_some).await.is_err() {
            return;
        }
        loop {
            let taken = inputs.borrow_and_update().as_ref().map(|inputs| (inputs.number, Arc::clone(&inputs.value)));
            let Some((number, current)) = taken else { return };
            if is_asked && source.follow(&self.surroundings.servers, &current, scaler.look_ahead(&current.pipeline)) {
                scaler.moved();
            }
            let reading = source.latest().await;
            let since = woken.or(reading.as_ref().map(|reading| reading.since)).unwrap_or_else(Instant::now);
            let seen = Box::pin(source.queues(&current, reading.as_deref())).await;
            let mut scaling = Box::pin(scaler.evaluate(&self.surroundings, &current, seen, since)).await;
            neighbours.tell(&mut scaling);
            let scaling = Arc::new(scaling);
            self.publish(number, &current.pipeline, &scaling, is_asked);
            Box::pin(publish_event(&self.surroundings.recorder, &current.pipeline, &scaling)).await;
            // After what others wait for.
            if scaling.queues.is_ok() && Box::pin(neighbours.look(&current)).await {
                (is_asked, woken) = (false, None);
                continue;
            }
            let tick = if scaling.is_settled() { FIGURES_INTERVAL } else { TICK };
            is_asked = tokio::select! {
                changed = inputs.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = source.changed() => {
                    (is_asked, woken) = (false, None);
                    continue;
                }
                () = tokio::time::sleep(tick) => false,
            };
            woken = Some(Instant::now());
        }
    }

    /// The reconcile that asked gets the result; otherwise one is asked for where the status would say something new.
    fn publish(&mut self, number: u64, pipeline: &SignupPipeline, scaling: &Arc<Scaling>, is_asked: bool) {
        self.published.send_replace(Numbered { number, value: Arc::clone(scaling) });
        if let Some(gauges) = &self.surroundings.gauges {
            self.gauge.get_or_insert_with(|| Entry::new(gauges, pipeline)).set(scaling);
        }
        let is_news = self.told.as_ref().is_none_or(|(at, told)| {
            told.differs(scaling) || (at.elapsed() >= FIGURES_INTERVAL && told.figures_differ(scaling))
        });
        let is_late = self.is_late.swap(false, Ordering::Relaxed);
        if is_late || (is_news && !is_asked) {
            self.surroundings.turns.changed(Name::from_obj(pipeline));
        }
        if is_news || is_asked {
            self.told = Some((Instant::now(), Arc::clone(scaling)));
        }
    }
}

async fn publish_event(recorder: &Recorder, pipeline: &SignupPipeline, scaling: &Scaling) {
    if let (Some((from, to)), Some(decision)) = (scaling.changed, &scaling.decision) {
        tracing::info!(pipeline = pipeline.name_any(), namespace = pipeline.namespace(), from, to, "workers scaled");
        let note = format!("workers: {from} -> {to} ({})", decision.explanation);
        let action = format!("Scale{from}To{to}");
        report::publish(recorder, pipeline, EventType::Normal, reason::SCALED.name(), &action, note).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call gives takes.
    fn size<A, B, F>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_evaluation_that_waits_is_small_for_there_is_one_to_each_pipeline() {
        let size = size(Task::run);
        assert!(size <= 4096, "{size} bytes");
    }
}
