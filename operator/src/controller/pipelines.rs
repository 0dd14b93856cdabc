//! The state that the operator keeps of each pipeline between reconciles.
//!
//! Takes: uids of pipelines, and what the watch shows of them. Gives: the state of each, whether it was edited, how
//! often it failed, and which other pipeline uses its Redis database. Does not: keep the state of a deleted pipeline:
//! its connection to Redis is closed, and its database is free for another.

use super::reconcile::PipelineState;
use crate::crd::SignupPipeline;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};

/// All pipelines, by uid.
#[derive(Default)]
pub(super) struct Pipelines(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    state: Arc<tokio::sync::Mutex<PipelineState>>,
    failures: u32,
    database: Option<Database>,
    generation: Option<i64>,
}

/// What the watch shows of a pipeline, beside what it showed before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was not known.
    New,
    /// Its spec changed, or it is being deleted.
    Edited,
    /// Nothing that a reconcile reads.
    None,
}

/// The Redis database of a pipeline.
struct Database {
    /// Differs between any two databases.
    identity: String,
    /// namespace/name of the pipeline.
    pipeline: String,
}

impl Pipelines {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock()
    }

    /// The state of a pipeline, kept from now on.
    pub(super) fn state(&self, uid: &str) -> Arc<tokio::sync::Mutex<PipelineState>> {
        Arc::clone(&self.entries().entry(uid.to_owned()).or_default().state)
    }

    /// Notes what the watch shows.
    pub(super) fn see(&self, pipeline: &SignupPipeline) -> News {
        let mut entries = self.entries();
        let entry = entries.entry(pipeline.uid().unwrap_or_default()).or_default();
        match std::mem::replace(&mut entry.generation, pipeline.metadata.generation) {
            None => News::New,
            before if before == pipeline.metadata.generation => News::None,
            Some(_) => News::Edited,
        }
    }

    /// Notes the Redis database of a pipeline; gives another pipeline that has it too. The
    /// database of a pipeline that was deleted during its reconcile is not noted.
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

    /// Drops the state of a deleted pipeline.
    pub(super) fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Drops the state of all other pipelines.
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

    /// The last reconcile succeeded.
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

    fn share(pipelines: &Pipelines, name: &str) -> Option<String> {
        pipelines.share(&pipeline(name), Some("redis:6379/0".to_owned()))
    }

    #[test]
    fn a_database_is_shared_until_the_other_pipeline_is_gone() {
        let pipelines = Pipelines::default();
        for name in ["a", "b"] {
            pipelines.state(name);
        }
        assert_eq!(share(&pipelines, "a"), None);
        assert_eq!(share(&pipelines, "b").as_deref(), Some("app/a"));
        pipelines.forget("a");
        assert_eq!(share(&pipelines, "a"), Some("app/b".to_owned()), "its last reconcile");
        assert_eq!(share(&pipelines, "b"), None);
        pipelines.state("c");
        assert_eq!(share(&pipelines, "c").as_deref(), Some("app/b"));
        pipelines.keep(|uid| uid == "c");
        assert_eq!(share(&pipelines, "c"), None);
    }

    #[test]
    fn a_pipeline_is_new_once_and_edited_when_its_generation_changes() {
        let (pipelines, mut pipeline) = (Pipelines::default(), pipeline("a"));
        let mut see = |generation| {
            pipeline.metadata.generation = Some(generation);
            pipelines.see(&pipeline)
        };
        assert_eq!([1, 1, 2, 2].map(&mut see), [News::New, News::None, News::Edited, News::None]);
    }

    #[test]
    fn failures_are_counted_in_a_row() {
        let pipelines = Pipelines::default();
        pipelines.state("a");
        assert_eq!([pipelines.count_failure("a"), pipelines.count_failure("a")], [1, 2]);
        pipelines.forget_failures("a");
        assert_eq!(pipelines.count_failure("a"), 1);
    }
}
