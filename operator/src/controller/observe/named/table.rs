//! Which objects are named, by whom, what they were, and when each is read again.
//!
//! Takes: names, what was read, what a watch shows, and the time. Gives: what is known, what is due, and to whom a
//! change is news. Does not: read anything.

use crate::controller::{
    turns::Name,
    validate::{Reference, Resolved, Source},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Wait for the second look after a doubt, and for what could not be read; it doubles up to the interval.
const MIN_WAIT: Duration = Duration::from_secs(2);

/// However much doubt there is, an object is not read more often.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// What is doubted at once is read one after the other, but for the first second's: where a Redis that a thousand
/// pipelines share is away, they all have trouble, and the API server is not to have it too.
const SPACING: Duration = Duration::from_millis(20);
const AT_ONCE: Duration = Duration::from_secs(1);

/// A named object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: Source,
    pub(super) namespace: String,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct Table {
    every: Duration,
    objects: HashMap<Key, Object>,
    /// What each pipeline names.
    names: HashMap<Name, Vec<Key>>,
    /// Kinds of which a watch has shown all.
    watched: HashSet<Source>,
    /// Until when reads of doubted objects are spread.
    spread_until: Option<Instant>,
}

#[derive(Debug)]
struct Object {
    /// One reads at a time.
    gate: Arc<tokio::sync::Mutex<()>>,
    pipelines: HashSet<Name>,
    read: Option<Read>,
    /// `None`: when a watch shows a change.
    next: Option<Instant>,
    wait: Duration,
}

#[derive(Debug)]
struct Read {
    resolved: Resolved,
    version: Option<String>,
    /// When the read began.
    at: Instant,
}

impl Key {
    pub(super) fn new(namespace: &str, reference: &Reference) -> Self {
        Self { source: reference.source, namespace: namespace.to_owned(), name: reference.name.clone() }
    }
}

impl Table {
    /// What is not watched is read again after `every`.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, objects: HashMap::new(), names: HashMap::new(), watched: HashSet::new(), spread_until: None }
    }

    /// A pipeline names these objects, and no others.
    pub(super) fn name(&mut self, pipeline: &Name, keys: &[Key]) {
        let before = match keys {
            [] => self.names.remove(pipeline),
            keys => self.names.insert(pipeline.clone(), keys.to_vec()),
        };
        for key in before.iter().flatten().filter(|key| !keys.contains(key)) {
            let Some(object) = self.objects.get_mut(key) else { continue };
            object.pipelines.remove(pipeline);
            if object.pipelines.is_empty() {
                self.objects.remove(key);
            }
        }
        for key in keys {
            self.object(key).pipelines.insert(pipeline.clone());
        }
    }

    /// Those that name something.
    pub(super) fn pipelines(&self) -> impl Iterator<Item = &Name> {
        self.names.keys()
    }

    fn object(&mut self, key: &Key) -> &mut Object {
        let new =
            || Object { gate: Arc::default(), pipelines: HashSet::new(), read: None, next: None, wait: self.every };
        self.objects.entry(key.clone()).or_insert_with(new)
    }

    /// Whoever reads an object holds this.
    pub(super) fn gate(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        self.objects.get(key).map(|object| Arc::clone(&object.gate)).unwrap_or_default()
    }

    /// What was read, if the read began at `oldest` or later.
    pub(super) fn known(&self, key: &Key, oldest: Option<Instant>) -> Option<Resolved> {
        let read = self.objects.get(key)?.read.as_ref()?;
        oldest.is_none_or(|oldest| read.at >= oldest).then(|| read.resolved.clone())
    }

    /// Notes what a read that began at `at` found. Gives the pipelines to which it is news. What nobody names any more
    /// is not kept.
    pub(super) fn store(&mut self, key: &Key, resolved: Resolved, version: Option<String>, at: Instant) -> Vec<Name> {
        let (every, is_watched) = (self.every, self.watched.contains(&key.source));
        let Some(object) = self.objects.get_mut(key) else { return Vec::new() };
        let is_first = object.read.is_none();
        let is_news = object.read.as_ref().is_some_and(|read| read.resolved != resolved);
        let wait = object.wait.min(every);
        object.wait = (wait * 2).min(every);
        // Spread over the interval at first, so that what was read at once is not read at once again.
        let by_chance = if is_first { wait.mul_f64(0.75 * chance()) } else { wait.mul_f64(0.1 * chance()) };
        object.next = (!is_watched).then(|| at + wait - by_chance);
        object.read = Some(Read { resolved, version, at });
        if is_news { object.pipelines.iter().cloned().collect() } else { Vec::new() }
    }

    /// What a pipeline names is read soon, and then ever more rarely; a watch shows what changed without that.
    pub(super) fn doubt(&mut self, pipeline: &Name, now: Instant) {
        for key in self.names.get(pipeline).into_iter().flatten() {
            let Some(object) = self.objects.get_mut(key).filter(|_| !self.watched.contains(&key.source)) else {
                continue;
            };
            object.wait = MIN_WAIT.min(self.every);
            let spread = self.spread_until.map_or(now, |until| until.max(now)) + SPACING;
            self.spread_until = Some(spread);
            let earliest = now.max(spread.checked_sub(AT_ONCE).unwrap_or(now));
            let soon = object.read.as_ref().map_or(earliest, |read| earliest.max(read.at + MIN_INTERVAL));
            object.next = Some(object.next.map_or(soon, |next| next.min(soon)));
        }
    }

    /// What a watch shows of an object: its version, `None` when it is gone. Whether it is named.
    pub(super) fn see(&mut self, key: &Key, version: Option<&str>, now: Instant) -> bool {
        let Some(object) = self.objects.get_mut(key) else { return false };
        let is_known = object.read.as_ref().is_some_and(|read| read.version.as_deref() == version);
        if !is_known {
            object.next = Some(now);
        }
        true
    }

    /// A list of a watch is complete: what was not `seen` is gone, and the watch shows changes from now on.
    pub(super) fn listed(&mut self, source: Source, seen: &HashSet<Key>, now: Instant) {
        let is_first = self.watched.insert(source);
        for (key, object) in self.objects.iter_mut().filter(|(key, _)| key.source == source) {
            let is_there = object.read.as_ref().is_some_and(|read| read.version.is_some());
            if is_there && !seen.contains(key) {
                object.next = Some(now);
            } else if is_first && object.next.is_some_and(|next| next > now) {
                object.next = None;
            }
        }
    }

    /// What is to be read now; each is due again only after it was read, or could not be.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Key> {
        let due = self.objects.iter_mut().filter(|(_, object)| object.next.is_some_and(|next| next <= now));
        let take = |(key, object): (&Key, &mut Object)| {
            object.next = Some(now + MIN_WAIT.max(object.wait / 2));
            key.clone()
        };
        due.map(take).collect()
    }
}

/// Between 0 and 1; 0 where the operating system has no random bytes.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
