//! The state that the operator keeps of each pipeline between reconciles.
//!
//! Takes: uids of pipelines, and what the watch shows of them. Gives: the state of each, whether it was edited, how
//! often it failed, which other operator has it, and which other pipeline uses its Redis database. Does not: keep the
//! state of a deleted pipeline: its connection to Redis is closed, and its database is free for another.

use super::{
    reconcile::PipelineState,
    status::stored::{StatusWatch, Stored},
    turns::Name,
};
use crate::crd::SignupPipeline;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};

/// All pipelines, by uid.
#[derive(Default)]
pub(super) struct Pipelines(Mutex<Entries>);

#[derive(Default)]
struct Entry {
    state: Arc<tokio::sync::Mutex<PipelineState>>,
    failures: u32,
    database: Option<Database>,
    generation: Option<i64>,
    /// As the watch showed it last; what clears it is no news.
    operator: Option<String>,
    /// Which other operator has it, as it was told.
    yielded: Option<String>,
    status: StatusWatch,
}

/// What the watch shows of a pipeline, beside what it showed before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was not known.
    New,
    /// Its spec changed, or it is being deleted.
    Edited,
    /// Another operator has it than before.
    Operator,
    /// Somebody else has changed its status.
    Status,
    /// Nothing that a reconcile reads.
    None,
}

/// The Redis database of a pipeline.
struct Database {
    /// Differs between any two databases.
    identity: String,
    /// Of the pipeline.
    name: Name,
}

impl Database {
    /// namespace/name of the pipeline.
    fn pipeline(&self) -> String {
        format!("{}/{}", self.name.namespace.as_deref().unwrap_or_default(), self.name.name)
    }
}

type Entries = HashMap<String, Entry>;

fn of_others<'a>(entries: &'a Entries, uid: &str, identity: &str) -> impl Iterator<Item = &'a Database> {
    let others =
        entries.iter().filter(move |(other, _)| *other != uid).filter_map(|(_, entry)| entry.database.as_ref());
    others.filter(move |theirs| theirs.identity == identity)
}

fn names(entries: &Entries, uid: &str, identity: &str) -> Vec<Name> {
    of_others(entries, uid, identity).map(|database| database.name.clone()).collect()
}

fn count_yielded(entries: &Entries) {
    let count = entries.values().filter(|entry| entry.yielded.is_some()).count();
    metrics::gauge!("signup_operator_pipelines_yielded").set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

impl Pipelines {
    fn entries(&self) -> MutexGuard<'_, Entries> {
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
        let operator = pipeline.status.as_ref().and_then(|status| status.operator.clone());
        let before = if operator.is_some() { std::mem::replace(&mut entry.operator, operator.clone()) } else { None };
        let is_handed_over = before.is_some() && before != operator;
        let is_foreign = entry.status.see(pipeline);
        match std::mem::replace(&mut entry.generation, pipeline.metadata.generation) {
            None => News::New,
            before if before == pipeline.metadata.generation => {
                if is_handed_over {
                    News::Operator
                } else if is_foreign {
                    News::Status
                } else {
                    News::None
                }
            }
            Some(_) => News::Edited,
        }
    }

    /// Its status is written from now on; true: somebody else has changed what was written before.
    pub(super) fn begin_status(&self, uid: &str) -> bool {
        self.entries().get_mut(uid).is_some_and(|entry| entry.status.begin())
    }

    /// No longer, and `stored` was written last; true: somebody else has changed it.
    pub(super) fn end_status(&self, uid: &str, stored: Option<Stored>) -> bool {
        self.entries().get_mut(uid).is_some_and(|entry| entry.status.end(stored))
    }

    /// Notes the Redis database of a pipeline; gives another pipeline that has it too, and those to which that is news.
    /// The database of a pipeline that was deleted during its reconcile is not noted.
    pub(super) fn share(&self, pipeline: &SignupPipeline, identity: Option<String>) -> (Option<String>, Vec<Name>) {
        let Some(identity) = identity else { return (None, Vec::new()) };
        let (mut entries, uid) = (self.entries(), pipeline.uid().unwrap_or_default());
        let name = Name::from_obj(pipeline);
        let other = of_others(&entries, &uid, &identity).map(Database::pipeline).min();
        let Some(entry) = entries.get_mut(&uid) else { return (other, Vec::new()) };
        let before = entry.database.replace(Database { identity: identity.clone(), name });
        let tell = match before {
            Some(before) if before.identity == identity => Vec::new(),
            before => {
                let identities = before.map(|before| before.identity).into_iter().chain([identity]);
                identities.flat_map(|identity| names(&entries, &uid, &identity)).collect()
            }
        };
        (other, tell)
    }

    /// Notes that another operator has it, and its Redis database with it; gives those that had that too, or nothing
    /// where the same was said before.
    pub(super) fn yield_to(&self, uid: &str, operator: String) -> Option<Vec<Name>> {
        let mut entries = self.entries();
        let entry = entries.entry(uid.to_owned()).or_default();
        if entry.yielded.as_ref() == Some(&operator) {
            return None;
        }
        entry.yielded = Some(operator);
        let database = entry.database.take();
        count_yielded(&entries);
        Some(database.map(|database| names(&entries, uid, &database.identity)).unwrap_or_default())
    }

    /// This operator has it.
    pub(super) fn is_ours(&self, uid: &str) {
        let mut entries = self.entries();
        if entries.get_mut(uid).is_some_and(|entry| entry.yielded.take().is_some()) {
            count_yielded(&entries);
        }
    }

    /// Drops the state of a deleted pipeline; gives those that had its Redis database too.
    pub(super) fn forget(&self, uid: &str) -> Vec<Name> {
        let mut entries = self.entries();
        let Some(entry) = entries.remove(uid) else { return Vec::new() };
        if entry.yielded.is_some() {
            count_yielded(&entries);
        }
        let Entry { state, database, .. } = entry;
        let free = Arc::clone(&state).try_lock_owned();
        match free {
            Ok(mut state) => state.leave_redis(),
            // A reconcile is under way, and would say so again.
            Err(_) => drop(tokio::spawn(async move { state.lock().await.leave_redis() })),
        }
        database.map(|database| names(&entries, uid, &database.identity)).unwrap_or_default()
    }

    /// Drops the state of all other pipelines; gives those that had the Redis database of one of these too.
    pub(super) fn keep(&self, exists: impl Fn(&str) -> bool) -> Vec<Name> {
        let gone: Vec<String> = self.entries().keys().filter(|uid| !exists(uid)).cloned().collect();
        gone.iter().flat_map(|uid| self.forget(uid)).collect()
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

    /// Whom a pipeline shares the database with, and who is told.
    fn share(pipelines: &Pipelines, name: &str) -> (Option<String>, Vec<String>) {
        let (other, tell) = pipelines.share(&pipeline(name), Some("redis:6379/0".to_owned()));
        (other, sorted(tell))
    }

    fn sorted(names: Vec<Name>) -> Vec<String> {
        let mut names: Vec<String> = names.into_iter().map(|name| name.name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_database_is_shared_until_the_other_pipeline_is_gone_and_each_change_is_told_to_the_others() {
        let pipelines = Pipelines::default();
        for name in ["a", "b", "c"] {
            pipelines.state(name);
        }
        let with = |other: &str, tell: &[&str]| {
            let other = (!other.is_empty()).then(|| other.to_owned());
            (other, tell.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(share(&pipelines, "a"), with("", &[]));
        assert_eq!(share(&pipelines, "b"), with("app/a", &["a"]));
        assert_eq!(share(&pipelines, "b"), with("app/a", &[]), "it is no news any more");
        assert_eq!(sorted(pipelines.forget("a")), ["b"]);
        assert_eq!(share(&pipelines, "a"), with("app/b", &[]), "its last reconcile");
        assert_eq!(share(&pipelines, "b"), with("", &[]));
        assert_eq!(share(&pipelines, "c"), with("app/b", &["b"]));
        let (other, tell) = pipelines.share(&pipeline("c"), Some("redis:6379/1".to_owned()));
        assert_eq!((other, sorted(tell)), with("", &["b"]), "it has another database now");
        assert_eq!(share(&pipelines, "c"), with("app/b", &["b"]));
        assert_eq!(sorted(pipelines.keep(|uid| uid == "c")), ["c"]);
        assert_eq!(share(&pipelines, "c"), with("", &[]));
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
    fn another_operator_is_news_and_what_takes_its_name_away_is_none() {
        let (pipelines, mut pipeline) = (Pipelines::default(), pipeline("a"));
        let mut see = |operator: Option<&str>| {
            pipeline.metadata.generation = Some(1);
            pipeline.status = Some(Default::default());
            pipeline.status.as_mut().expect("it was set").operator = operator.map(str::to_owned);
            pipelines.see(&pipeline)
        };
        let seen = [None, Some("a/b"), Some("a/b"), None, Some("a/b"), Some("c/d")].map(&mut see);
        assert_eq!(seen, [News::New, News::None, News::None, News::None, News::None, News::Operator]);
    }

    #[test]
    fn that_another_operator_has_it_is_told_once_and_frees_its_redis_database() {
        let pipelines = Pipelines::default();
        for name in ["a", "b"] {
            pipelines.state(name);
            share(&pipelines, name);
        }
        let yield_to = |operator: &str| pipelines.yield_to("a", operator.to_owned()).map(sorted);
        assert_eq!(yield_to("c/d"), Some(vec!["b".to_owned()]));
        assert_eq!(yield_to("c/d"), None);
        assert_eq!(share(&pipelines, "b"), (None, Vec::new()));
        pipelines.is_ours("a");
        assert_eq!(yield_to("c/d"), Some(Vec::new()), "it was ours in between");
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
