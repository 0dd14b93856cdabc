//! What is remembered of each pipeline between reconciles.
//!
//! Takes: uids of pipelines. Gives: the memory of each, how often it failed, and who else has its Redis database. Does not:
//! remember a pipeline that is gone: its connection to Redis is closed, and its database is free for another.

use super::reconcile::Memory;
use crate::crd::SignupPipeline;
use kube::ResourceExt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// All pipelines, by uid.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    memory: Arc<tokio::sync::Mutex<Memory>>,
    failures: u32,
    database: Option<Database>,
}

/// The Redis database of a pipeline.
struct Database {
    /// What tells it from another.
    identity: String,
    /// namespace/name of the pipeline.
    pipeline: String,
}

impl Known {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of a pipeline, which is known from now on.
    pub(super) fn memory(&self, uid: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        Arc::clone(&self.entries().entry(uid.to_owned()).or_default().memory)
    }

    /// Notes the Redis database of a pipeline; gives another pipeline that has it too. One that was forgotten while it was
    /// looked at is not noted.
    pub(super) fn share(&self, pipeline: &SignupPipeline, identity: Option<String>) -> Option<String> {
        let identity = identity?;
        let (mut entries, uid) = (self.entries(), pipeline.uid().unwrap_or_default());
        let others =
            entries.iter().filter(|(other, _)| **other != uid).filter_map(|(_, entry)| entry.database.as_ref());
        let other = others.filter(|theirs| theirs.identity == identity).map(|theirs| theirs.pipeline.clone()).min();
        if let Some(entry) = entries.get_mut(&uid) {
            let pipeline = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
            entry.database = Some(Database { identity, pipeline });
        }
        other
    }

    /// The pipeline is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// All pipelines but these are gone.
    pub(super) fn keep(&self, exists: impl Fn(&str) -> bool) {
        self.entries().retain(|uid, _| exists(uid));
    }

    /// One more failure in a row; gives their number.
    pub(super) fn count_failure(&self, uid: &str) -> u32 {
        self.entries().get_mut(uid).map_or(1, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.failures
        })
    }

    /// The last reconcile did not fail.
    pub(super) fn forget_failures(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(name: &str) -> SignupPipeline {
        let text = include_str!("../../../samples/minimal.yaml");
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        (pipeline.metadata.name, pipeline.metadata.uid) = (Some(name.to_owned()), Some(name.to_owned()));
        pipeline.metadata.namespace = Some("app".to_owned());
        pipeline
    }

    fn share(known: &Known, name: &str) -> Option<String> {
        known.share(&pipeline(name), Some("redis:6379/0".to_owned()))
    }

    #[test]
    fn a_database_is_shared_until_the_other_pipeline_is_gone() {
        let known = Known::default();
        for name in ["a", "b"] {
            known.memory(name);
        }
        assert_eq!(share(&known, "a"), None);
        assert_eq!(share(&known, "b").as_deref(), Some("app/a"));
        known.forget("a");
        assert_eq!(share(&known, "a"), Some("app/b".to_owned()), "it is looked at a last time");
        assert_eq!(share(&known, "b"), None);
        known.memory("c");
        assert_eq!(share(&known, "c").as_deref(), Some("app/b"));
        known.keep(|uid| uid == "c");
        assert_eq!(share(&known, "c"), None);
    }

    #[test]
    fn failures_are_counted_in_a_row() {
        let known = Known::default();
        known.memory("a");
        assert_eq!([known.count_failure("a"), known.count_failure("a")], [1, 2]);
        known.forget_failures("a");
        assert_eq!(known.count_failure("a"), 1);
    }
}
