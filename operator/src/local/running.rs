//! The loop that drives a local run.
//!
//! Takes: what `start` has started. Gives: it is followed while it runs, and stopped in order: api, workers (they
//! finish what they send), inbox, Redis, PostgreSQL. Does not: give up when a process dies.

use super::{
    LocalError,
    child::Child,
    edits::{self, Differences, Source},
    figures::{Figures, Question},
    files::Files,
    fleet::Fleet,
    neighbours::Neighbours,
    plan::{Plan, StandIn},
    screen::{Screen, say},
    stores::Stores,
    supervise::Supervised,
    wait::{self, POLL_INTERVAL},
};
use crate::{
    crd::SignupPipelineSpec,
    manifest::Manifest,
    scaling::{Autoscaler, Decision, Drain},
};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Time between polls of the file and the stores.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A running pipeline. Fields are dropped in this order: processes, then stores, then files.
pub(super) struct Running {
    pub(super) fleet: Fleet,
    pub(super) inbox: Option<Child>,
    /// Of a Redis that was given.
    pub(super) _neighbours: Option<Neighbours>,
    pub(super) stores: Stores,
    pub(super) files: Files,
    pub(super) manifest: Manifest,
    pub(super) plan: Plan,
    pub(super) send_mail: bool,
    pub(super) client: reqwest::Client,
    pub(super) stand_in: Option<StandIn>,
    pub(super) question: watch::Sender<Question>,
    pub(super) figures: watch::Receiver<Figures>,
    pub(super) supervised: Supervised,
    pub(super) drain: Drain,
    /// What the person was told of last: from how many workers to how many.
    pub(super) announced: Option<(u32, u32)>,
    pub(super) autoscaler: Autoscaler,
    pub(super) screen: Screen,
}

impl Running {
    /// Keeps it running; never returns by itself.
    pub(super) async fn follow(&mut self, mut source: Source) {
        let (mut poll, mut poll_files) =
            (tokio::time::interval(POLL_INTERVAL), tokio::time::interval(FILE_POLL_INTERVAL));
        loop {
            tokio::select! {
                _ = poll.tick() => self.poll(Instant::now()),
                _ = poll_files.tick() => self.poll_files(&mut source),
            }
        }
    }

    fn poll(&mut self, now: Instant) {
        let mut lines = self.fleet.poll(now);
        lines.extend(self.inbox.iter_mut().flat_map(|inbox| inbox.poll(now)));
        lines.iter().for_each(|line| say(line));
        for server in self.fleet.take_lost() {
            // The task that says so ends with us.
            let _ = self.supervised.ended.send(server);
        }
        self.ask();
        if self.figures.has_changed().unwrap_or(false) {
            let figures = self.figures.borrow_and_update().clone();
            self.scale(&figures, now);
            self.screen.table(figures.counts, self.fleet.worker_count(), now);
        }
    }

    fn poll_files(&mut self, source: &mut Source) {
        // Blocks only while a store that died is started again; nothing else could be done without it.
        let lines = tokio::task::block_in_place(|| self.stores.revive());
        lines.iter().for_each(|line| say(line));
        match source.changed() {
            None => {}
            Some(Err(error)) => self.refuse(&error),
            Some(Ok(manifest)) => {
                if let Err(error) = self.apply(manifest) {
                    self.refuse(&error);
                }
            }
        }
    }

    fn refuse(&self, error: &LocalError) {
        let error = pipeline::chain(error);
        say(&format!("{error}\nthe edit is not applied; what ran before runs on"));
    }

    fn apply(&mut self, manifest: Manifest) -> Result<(), LocalError> {
        let plan = Plan::new(&manifest, self.send_mail)?;
        if let Some(what) = self.plan.needs_new_start(&plan) {
            say(&format!("the edit changes {what}, which needs a new start; what ran before runs on"));
            return Ok(());
        }
        let hash = self.files.write(&manifest.pipeline, &plan, &self.stores, self.stand_in.as_ref())?;
        let in_force = |spec: &SignupPipelineSpec| plan.applied_to(spec, self.stand_in.as_ref());
        let Differences { live, at_start, overridden } = edits::differences(&self.manifest, &manifest, in_force);
        if !overridden.is_empty() {
            let fields = overridden.join(", ");
            say(&format!(
                "without effect here, where the inbox takes the mails and links lead to this machine: {fields}"
            ));
        }
        if !at_start.is_empty() {
            say(&format!("from a new start on: {}; what runs keeps the old value until then", at_start.join(", ")));
        }
        if !live.is_empty() {
            let processes = self.fleet.admin_addresses();
            tokio::spawn(wait::announce(self.client.clone(), processes, hash, live.join(", ")));
        }
        (self.manifest, self.plan) = (manifest, plan);
        Ok(())
    }

    /// Gives the task that polls Redis and the api its new questions.
    fn ask(&mut self) {
        let spec = &self.manifest.pipeline.spec;
        let question = Question {
            queues: spec.queues.clone(),
            look_ahead: self.autoscaler.look_ahead(&spec.worker.autoscaling),
            api_admin: self.fleet.api().listening().and_then(|addresses| addresses.admin),
        };
        self.question.send_if_modified(|asked| std::mem::replace(asked, question.clone()) != question);
    }

    fn scale(&mut self, figures: &Figures, now: Instant) {
        let spec = &self.manifest.pipeline.spec;
        let running = self.fleet.worker_count();
        self.autoscaler.ready(self.fleet.listening_workers(), now);
        let decision = self.autoscaler.decide(spec, figures.depths.as_deref(), Some(running), now);
        let Decision { desired, explanation, .. } = decision;
        // Workers that leave one by one were told of when the first was chosen.
        let is_told = self.announced.is_some_and(|(from, to)| to == desired && (to..=from).contains(&running));
        if desired != running && !is_told {
            say(&format!("workers: {running} -> {desired} ({explanation})"));
        }
        self.announced = (desired != running)
            .then(|| (self.announced.filter(|_| is_told).map_or(running, |(from, _)| from), desired));
        self.shrink(running.saturating_sub(desired), now);
        if let Err(error) = self.fleet.grow_to(desired) {
            say(&format!("{error}; it is tried again"));
        }
        let changed = self.fleet.worker_count();
        if changed != running {
            self.autoscaler.changed(running, changed, now);
        }
    }

    /// Lets go of so many workers: of those that have not started yet at once, of others when they are idle.
    fn shrink(&mut self, surplus: u32, now: Instant) {
        let timeout = self.manifest.pipeline.spec.worker.autoscaling.drain.timeout.get();
        let servers = self.fleet.servers();
        let unknown = self.fleet.worker_count() as usize - servers.len();
        let mut heard = self.supervised.heard.borrow().clone();
        heard.retain(|server| servers.contains(&server.identity()));
        let surplus = surplus as usize;
        let step = self.drain.step(&heard, surplus.saturating_sub(unknown), timeout, now);
        if step.overdue > 0 {
            say(&format!("{} of the workers that leave still work after drain.timeout and finish now", step.overdue));
        }
        self.fleet.dismiss(&step.leaving, unknown.min(surplus));
        self.supervised.marked.send_if_modified(|marked| {
            let is_new = *marked != step.marked;
            *marked = step.marked;
            is_new
        });
    }

    /// Stops everything in order, or at once when `hard` says so; then nothing is left.
    pub(super) async fn stop(mut self, hard: CancellationToken) {
        say("stopping: api, workers (they finish what they send), inbox, Redis, PostgreSQL; Ctrl-C again: at once");
        tokio::select! {
            () = self.stop_processes() => {}
            () = hard.cancelled() => {
                self.fleet.kill();
                self.inbox.iter_mut().for_each(Child::kill);
            }
        }
        // Dropping waits for the servers to end.
        tokio::task::block_in_place(|| drop(self));
        say("stopped; nothing is left");
    }

    async fn stop_processes(&mut self) {
        self.fleet.stop_api();
        while !self.fleet.api_has_ended() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.fleet.stop_workers();
        while !self.fleet.workers_have_ended() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        if let Some(inbox) = &mut self.inbox {
            inbox.stop();
            while inbox.ended().is_none() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}
