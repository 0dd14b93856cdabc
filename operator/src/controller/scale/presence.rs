//! Which other pipelines use the Redis database, by the key in which each says that it does.
//!
//! Takes: the Redis of a pipeline, and by what the pipeline is known (namespace, name, the namespace's UID). Gives:
//! another pipeline that said so too, be it one of another operator or cluster. Does not: say so more often than every
//! half hour, keep a connection, or need it: where the access list forbids the key, the status says that nobody looked.

use super::{Inputs, Scaling, servers::Account};
use crate::controller::reason::Finding;
use kube::ResourceExt;
use queue::Presence;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Time between two looks while the pipeline is not edited.
const INTERVAL: Duration = Duration::from_secs(300);

/// For a connection and an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What was seen last.
#[derive(Default)]
pub(super) struct Neighbours {
    last: Option<Last>,
    pub(super) shared: Option<Finding>,
    pub(super) is_forbidden: bool,
}

struct Last {
    at: Instant,
    generation: Option<i64>,
    account: Account,
    database: i64,
    inputs: Arc<Inputs>,
}

impl Neighbours {
    /// What is known of them.
    pub(super) fn tell(&self, scaling: &mut Scaling) {
        scaling.shared = scaling.shared.take().or_else(|| self.shared.clone());
        scaling.is_presence_forbidden = self.is_forbidden;
    }

    /// Looks where it is time to; true when something else is known then.
    pub(super) async fn look(&mut self, inputs: &Arc<Inputs>) -> bool {
        let Ok((account, database)) = inputs.endpoint.account() else { return false };
        let generation = inputs.pipeline.metadata.generation;
        let same_place = |last: &Last| last.account == account && last.database == database;
        let is_known = |last: &Last| last.generation == generation && last.at.elapsed() < INTERVAL;
        if let Some(last) = self.last.as_mut().filter(|last| same_place(last) && is_known(last)) {
            // The older need not be kept beside them.
            last.inputs = Arc::clone(inputs);
            return false;
        }
        if let Some(last) = self.last.take().filter(|last| !same_place(last)) {
            leave(last.inputs);
        }
        let before = (self.shared.take(), self.is_forbidden);
        match timeout(TIMEOUT, told(inputs)).await {
            Ok(Ok(others)) => {
                self.is_forbidden = false;
                self.shared = others.iter().find_map(|other| shares_with(&inputs.known_as, other));
            }
            Ok(Err(error)) if error.is_forbidden() => self.is_forbidden = true,
            // That Redis does not answer is told by whoever reads the queues; what was known holds.
            Ok(Err(_)) | Err(_) => self.shared = before.0.clone(),
        }
        if self.is_forbidden && !before.1 {
            let (name, namespace) = (inputs.pipeline.name_any(), inputs.pipeline.namespace());
            let fix = "allow the user of the Redis URI ~asynq:* (the key is asynq:presence)";
            tracing::warn!(pipeline = name, namespace, fix, "nobody looks whether another pipeline uses this Redis");
        }
        self.last = Some(Last { at: Instant::now(), generation, account, database, inputs: Arc::clone(inputs) });
        (&before.0, before.1) != (&self.shared, self.is_forbidden)
    }
}

async fn told(inputs: &Inputs) -> Result<Vec<String>, queue::Error> {
    Presence::new(inputs.endpoint.open()?).tell(&inputs.known_as).await
}

/// The database is free for others, if Redis answers; else it is an hour later.
pub(super) fn leave(inputs: Arc<Inputs>) {
    tokio::spawn(async move {
        let leaving = async { Presence::new(inputs.endpoint.open()?).leave(&inputs.known_as).await };
        if !matches!(timeout(TIMEOUT, leaving).await, Ok(Ok(()))) {
            tracing::debug!(pipeline = inputs.pipeline.name_any(), "its name stays in Redis for an hour at most");
        }
    });
}

/// By what a pipeline is known; a namespace that was made again has another UID.
pub(crate) fn known_as(title: &str, namespace_uid: Option<&str>) -> String {
    namespace_uid.map_or_else(|| title.to_owned(), |uid| format!("{title} {uid}"))
}

/// That `other` is another pipeline. Without a UID it goes by its name alone.
pub(crate) fn shares_with(own: &str, other: &str) -> Option<Finding> {
    let parts = |known: &str| known.split_once(' ').map(|(title, uid)| (title.to_owned(), uid.to_owned()));
    match (parts(own), parts(other)) {
        (Some((own, own_uid)), Some((other, uid))) if own == other => {
            let elsewhere = || format!("{other} of another cluster, or of a namespace that was made again,");
            (own_uid != uid).then(|| Finding::redis_shared(&elsewhere()))
        }
        (own_parts, other_parts) => {
            let title =
                |parts: Option<(String, String)>, known: &str| parts.map_or_else(|| known.to_owned(), |it| it.0);
            let (own, other) = (title(own_parts, own), title(other_parts, other));
            (own != other).then(|| Finding::redis_shared(&other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_that_was_made_again_is_the_same_and_its_namesake_elsewhere_is_another() {
        let told = |own: &str, other: &str| shares_with(own, other).map(|finding| finding.message);
        for (own, other) in [("shop/a 1", "shop/a 1"), ("shop/a", "shop/a 1"), ("shop/a 1", "shop/a")] {
            assert_eq!(told(own, other), None, "{own} {other}");
        }
        let message = told("shop/a 1", "shop/b 1").expect("it is another");
        assert!(message.starts_with("pipeline shop/b uses the same Redis database, so each takes"), "{message}");
        let message = told("shop/a 1", "shop/a 2").expect("it is another");
        let words = "pipeline shop/a of another cluster, or of a namespace that was made again, uses the same Redis";
        assert!(message.starts_with(words), "{message}");
    }
}
