//! The Secrets and ConfigMaps that pipelines name: each is read once, for all that name it, and again when it may have
//! changed.
//!
//! Takes: references, by `get`. Gives: what they resolve to, and a turn for every pipeline that names an object that
//! was found to be another. Does not: keep the content of an object that no pipeline names.
//!
//! # When an object is read again
//!
//! ConfigMaps are watched. Secrets are with [`SecretAccess::Watch`]: the watch shows their metadata alone, and one that
//! is named and has another resource version is read. With [`SecretAccess::Get`], which needs no right to list them,
//! each is read once in a while, and at once when a pipeline that names it was edited or has trouble: `table` knows
//! when. So is what should be watched until its first list is complete.

mod read;
mod table;
mod watching;

pub(crate) use self::read::resolve;

use self::table::{Key, Table};
use super::ObserveError;
use crate::controller::{
    turns::{Name, Turns},
    validate::{Reference, Resolved, Source},
};
use futures::{StreamExt, stream};
use kube::{Client, ResourceExt, runtime::watcher};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet};

/// How changes of Secrets are found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretAccess {
    /// By reading each Secret that a pipeline names again, and at once when something hints at a change.
    Get {
        /// After this time, or up to a tenth less, by chance.
        every: Duration,
    },
    /// By a watch on the metadata of all Secrets, which takes the rights `list` and `watch`.
    Watch,
}

/// Time between two reads of a Secret by default, and of what should be watched and cannot be.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// What is in the cluster is taken for as new as this after an edit: people write a Secret, then the resource.
const MAX_AGE_AFTER_EDIT: Duration = Duration::from_secs(1);

/// Between two looks at what is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Objects read at once because they are due.
const CONCURRENCY: usize = 8;

/// All named objects.
pub(in crate::controller) struct Named {
    client: Client,
    turns: Arc<Turns>,
    table: Mutex<Table>,
    hints: Notify,
}

impl Named {
    /// Starts the watches, and the reading of what is due.
    pub(in crate::controller) fn start(
        watches: &mut JoinSet<()>,
        client: &Client,
        namespace: Option<&str>,
        access: SecretAccess,
        turns: &Arc<Turns>,
    ) -> Arc<Self> {
        let every = match access {
            SecretAccess::Get { every } => every,
            SecretAccess::Watch => INTERVAL,
        };
        let table = Mutex::new(Table::new(every));
        let named = Self { client: client.clone(), turns: Arc::clone(turns), table, hints: Notify::new() };
        let named = Arc::new(named);
        let scope = (client.clone(), namespace.map(str::to_owned));
        watches.spawn(watching::config_maps(scope.clone(), Arc::clone(&named)));
        if access == SecretAccess::Watch {
            watches.spawn(watching::secrets(scope, Arc::clone(&named)));
        }
        let reader = Arc::clone(&named);
        watches.spawn(async move { reader.read_due().await });
        named
    }

    /// What the references of a pipeline resolve to; `is_edited`: it was edited since it asked last.
    ///
    /// # Errors
    ///
    /// [`ObserveError::Read`] of an object that is not known yet.
    pub(in crate::controller) async fn resolve(
        &self,
        pipeline: &Name,
        references: Vec<Reference>,
        is_edited: bool,
    ) -> Result<Vec<(Reference, Resolved)>, ObserveError> {
        let namespace = pipeline.namespace.clone().unwrap_or_default();
        let keys: Vec<Key> = references.iter().map(|reference| Key::new(&namespace, reference)).collect();
        self.table.lock().name(pipeline, &keys);
        let oldest = if is_edited { Instant::now().checked_sub(MAX_AGE_AFTER_EDIT) } else { None };
        let mut found = Vec::new();
        for (reference, key) in references.into_iter().zip(keys) {
            let resolved = self.newer_than(oldest, &key, pipeline).await?;
            found.push((reference, resolved));
        }
        Ok(found)
    }

    /// Reads an object that was just made.
    ///
    /// # Errors
    ///
    /// [`ObserveError::Read`].
    pub(in crate::controller) async fn again(
        &self,
        pipeline: &Name,
        reference: &Reference,
    ) -> Result<Resolved, ObserveError> {
        let key = Key::new(pipeline.namespace.as_deref().unwrap_or_default(), reference);
        self.newer_than(Some(Instant::now()), &key, pipeline).await
    }

    /// Something is wrong with a pipeline, and a Secret may have been corrected since it was read.
    pub(in crate::controller) fn doubt(&self, pipeline: &Name) {
        self.table.lock().doubt(pipeline, Instant::now());
        self.hints.notify_one();
    }

    /// A pipeline is gone.
    pub(in crate::controller) fn forget(&self, pipeline: &Name) {
        self.table.lock().name(pipeline, &[]);
    }

    /// All others are gone.
    pub(in crate::controller) fn keep(&self, exists: impl Fn(&Name) -> bool) {
        let mut table = self.table.lock();
        let gone: Vec<Name> = table.pipelines().filter(|name| !exists(name)).cloned().collect();
        gone.iter().for_each(|name| table.name(name, &[]));
    }

    /// One read serves all that ask for it meanwhile.
    async fn newer_than(&self, oldest: Option<Instant>, key: &Key, asker: &Name) -> Result<Resolved, ObserveError> {
        let gate = self.table.lock().gate(key);
        let _one = gate.lock().await;
        if let Some(known) = self.table.lock().known(key, oldest) {
            return Ok(known);
        }
        let (resolved, tell) = self.read(key).await?;
        tell.into_iter().filter(|name| name != asker).for_each(|name| self.turns.changed(name));
        Ok(resolved)
    }

    /// Gives also the pipelines to which it is news.
    async fn read(&self, key: &Key) -> Result<(Resolved, Vec<Name>), ObserveError> {
        let began = Instant::now();
        let (resolved, version) = read::read(&self.client, &key.namespace, key.source, &key.name).await?;
        let tell = self.table.lock().store(key, resolved.clone(), version, began);
        Ok((resolved, tell))
    }

    async fn read_due(&self) {
        loop {
            let due = self.table.lock().due(Instant::now());
            let read = |key: Key| async move {
                let gate = self.table.lock().gate(&key);
                let _one = gate.lock().await;
                match self.read(&key).await {
                    Ok((_, tell)) => tell.into_iter().for_each(|name| self.turns.changed(name)),
                    // What was known counts, and it is read again.
                    Err(error) => tracing::debug!(error = pipeline::chain(&error), "a named object was not read"),
                }
            };
            stream::iter(due).map(read).buffer_unordered(CONCURRENCY).collect::<Vec<()>>().await;
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = self.hints.notified() => {}
            }
        }
    }

    /// Follows a watch of metadata; `seen` are the objects of the list under way.
    fn note<K: ResourceExt>(&self, source: Source, event: &watcher::Event<K>, seen: &mut HashSet<Key>) {
        let key = |object: &K| {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            Key { source, namespace, name }
        };
        let (mut table, now) = (self.table.lock(), Instant::now());
        let is_named = match event {
            watcher::Event::Init => {
                seen.clear();
                false
            }
            watcher::Event::InitApply(object) => {
                let key = key(object);
                let is_named = table.see(&key, object.resource_version().as_deref(), now);
                if is_named {
                    seen.insert(key);
                }
                is_named
            }
            watcher::Event::InitDone => {
                table.listed(source, &std::mem::take(seen), now);
                true
            }
            watcher::Event::Apply(object) => table.see(&key(object), object.resource_version().as_deref(), now),
            watcher::Event::Delete(object) => table.see(&key(object), None, now),
        };
        drop(table);
        if is_named {
            self.hints.notify_one();
        }
    }
}
