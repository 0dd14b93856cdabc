//! Whose turn it is: the pipelines that wait for a reconcile, and the ones under way.
//!
//! Takes: names of pipelines, each with what happened to it. Gives: the next one when a reconcile may start, one at
//! once per pipeline, and how long it waited. Pure but for the wait. Does not: reconcile, or know deadlines.
//!
//! # Why there is an order
//!
//! kube's `Controller` serves in the order of arrival: an edit waits behind a thousand pipelines that were created at
//! once, and pipelines whose reconciles run into timeouts keep every other from its turn. Here an edit comes first,
//! every fourth turn is somebody else's, an eighth of the permits is kept free for edits, and pipelines that failed or
//! were slow share a quarter.

use crate::crd::SignupPipeline;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroU16,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A pipeline, by namespace and name.
pub(super) type Name = ObjectRef<SignupPipeline>;

/// A pipeline has no two turns within it that only time asks for; a failed one waits for so long at least.
pub(super) const MIN_WAIT: Duration = Duration::from_secs(1);

/// Of so many turns one goes to a pipeline that was not edited, if one waits.
const EDITS_IN_A_ROW: u32 = 3;

/// What made a pipeline wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A person edited it.
    Edited,
    /// Something else changed.
    Changed,
    /// The same, and its last reconcile failed or was slow.
    Failing,
}

impl Class {
    fn label(self) -> &'static str {
        match self {
            Self::Edited => "edit",
            Self::Changed => "change",
            Self::Failing => "failing",
        }
    }
}

/// A pipeline that may be reconciled now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Which.
    pub(super) name: Name,
    /// Since the first thing that happened to it after its last turn began, and since the edit where another came
    /// before it; each with what it waited for, as a label of metrics.
    pub(super) waited: Vec<(&'static str, Duration)>,
}

/// What a pipeline waits for.
#[derive(Debug)]
struct Wait {
    class: Class,
    /// The first thing that happened.
    since: Instant,
    edited: Option<Instant>,
}

impl Wait {
    fn waited(&self, now: Instant) -> Vec<(&'static str, Duration)> {
        let edit = self.edited.map(|at| (Class::Edited, at));
        let other = match self.class {
            Class::Edited => Class::Changed,
            class => class,
        };
        let first = self.edited.is_none_or(|at| self.since < at).then_some((other, self.since));
        let waits = first.into_iter().chain(edit);
        waits.map(|(class, at)| (class.label(), now.saturating_duration_since(at))).collect()
    }
}

/// All pipelines that wait or run.
#[derive(Debug)]
pub(super) struct Turns {
    lines: Mutex<Lines>,
    news: Notify,
}

#[derive(Debug)]
struct Lines {
    permits: usize,
    waiting: HashMap<Name, Wait>,
    /// In the order of arrival. A name whose class has changed, or whose turn came, is skipped.
    edited: VecDeque<Name>,
    changed: VecDeque<Name>,
    failing: VecDeque<Name>,
    running: HashMap<Name, Class>,
    suspects: HashSet<Name>,
    edits_in_a_row: u32,
}

impl Turns {
    /// `concurrency` reconciles at once.
    pub(super) fn new(concurrency: NonZeroU16) -> Self {
        let lines = Lines {
            permits: usize::from(concurrency.get()),
            waiting: HashMap::new(),
            edited: VecDeque::new(),
            changed: VecDeque::new(),
            failing: VecDeque::new(),
            running: HashMap::new(),
            suspects: HashSet::new(),
            edits_in_a_row: 0,
        };
        Self { lines: Mutex::new(lines), news: Notify::new() }
    }

    /// Something that a pipeline depends on changed.
    pub(super) fn changed(&self, name: Name) {
        self.lines.lock().wait(name, false, Instant::now());
        self.news.notify_one();
    }

    /// A person edited the pipeline.
    pub(super) fn edited(&self, name: Name) {
        self.lines.lock().wait(name, true, Instant::now());
        self.news.notify_one();
    }

    /// The next turn, once there is one.
    ///
    /// # Cancel safety
    ///
    /// A turn is taken by the call that returns it.
    pub(super) async fn next(&self) -> Turn {
        loop {
            if let Some(turn) = self.lines.lock().take(Instant::now()) {
                return turn;
            }
            self.news.notified().await;
        }
    }

    /// The turn of a pipeline is over; `is_suspect` when it failed or took long.
    pub(super) fn ended(&self, name: &Name, is_suspect: bool) {
        self.lines.lock().end(name, is_suspect);
        self.news.notify_one();
    }
}

impl Lines {
    /// A pipeline that waits already keeps its time, and may come forward.
    fn wait(&mut self, name: Name, is_edit: bool, now: Instant) {
        let class = match is_edit {
            true => Class::Edited,
            false if self.suspects.contains(&name) => Class::Failing,
            false => Class::Changed,
        };
        let since = match self.waiting.get(&name) {
            Some(known) if known.class == class || known.class == Class::Edited => return,
            Some(known) => known.since,
            None => now,
        };
        self.waiting.insert(name.clone(), Wait { class, since, edited: is_edit.then_some(now) });
        if !self.running.contains_key(&name) {
            self.line(class).push_back(name);
        }
    }

    fn line(&mut self, class: Class) -> &mut VecDeque<Name> {
        match class {
            Class::Edited => &mut self.edited,
            Class::Changed => &mut self.changed,
            Class::Failing => &mut self.failing,
        }
    }

    /// Places that pipelines of a class may have at once.
    fn share(&self, class: Class) -> usize {
        let quarter = self.permits / 4;
        match class {
            Class::Edited => self.permits,
            Class::Changed => self.permits.saturating_sub(quarter).saturating_sub(self.permits / 8),
            Class::Failing => quarter,
        }
        .max(1)
    }

    fn take(&mut self, now: Instant) -> Option<Turn> {
        if self.running.len() >= self.permits {
            return None;
        }
        let order = if self.edits_in_a_row < EDITS_IN_A_ROW {
            [Class::Edited, Class::Changed, Class::Failing]
        } else {
            [Class::Changed, Class::Failing, Class::Edited]
        };
        let (class, name) = order.into_iter().find_map(|class| Some((class, self.first(class)?)))?;
        self.edits_in_a_row = if class == Class::Edited { self.edits_in_a_row.saturating_add(1) } else { 0 };
        let waited = self.waiting.remove(&name)?.waited(now);
        self.running.insert(name.clone(), class);
        Some(Turn { name, waited })
    }

    /// Takes the first of a class out of its line, if one may run.
    fn first(&mut self, class: Class) -> Option<Name> {
        let running = self.running.values().filter(|running| **running == class).count();
        if running >= self.share(class) {
            return None;
        }
        while let Some(name) = self.line(class).pop_front() {
            let waits = self.waiting.get(&name).is_some_and(|wait| wait.class == class);
            if waits && !self.running.contains_key(&name) {
                return Some(name);
            }
        }
        None
    }

    fn end(&mut self, name: &Name, is_suspect: bool) {
        self.running.remove(name);
        let is_news = if is_suspect { self.suspects.insert(name.clone()) } else { self.suspects.remove(name) };
        let Some(wait) = self.waiting.get_mut(name) else { return };
        if is_news && wait.class != Class::Edited {
            wait.class = if is_suspect { Class::Failing } else { Class::Changed };
        }
        let class = wait.class;
        self.line(class).push_back(name.clone());
    }
}

#[cfg(test)]
mod tests;
