//! PostgreSQL and Redis of a local run.
//!
//! Takes: a [`Plan`]. Gives: what says where they are, from servers started here or from the Secrets given; servers
//! that die are started again. Does not: watch servers that were given.

use super::{
    LocalError,
    plan::{Plan, Store},
};
use crate::manifest::objects::Content;
use pipeline::store_secret;
use servers::{Postgres, Redis, ServerError};

/// The servers that were started here; dropped, they end and their folders go.
#[derive(Debug, Default)]
pub(super) struct Stores {
    // Redis first: it is dropped first.
    redis: Option<Redis>,
    postgres: Option<(Postgres, String)>,
}

impl Stores {
    /// Starts what is not given; blocks for 1 to 3 s.
    pub(super) fn start(plan: &Plan) -> Result<Self, LocalError> {
        let mut stores = Self::default();
        if plan.redis == Store::StartedHere {
            stores.redis = Some(Redis::start().map_err(failed("Redis"))?);
        }
        if plan.database == Store::StartedHere {
            let postgres = Postgres::start().map_err(failed("PostgreSQL"))?;
            let uri = postgres.create_database().map_err(failed("PostgreSQL"))?;
            stores.postgres = Some((postgres, uri));
        }
        Ok(stores)
    }

    /// URI of the PostgreSQL started here.
    pub(super) fn postgres_uri(&self) -> Option<&str> {
        self.postgres.as_ref().map(|(_, uri)| uri.as_str())
    }

    /// URI of the Redis started here.
    pub(super) fn redis_uri(&self) -> Option<String> {
        self.redis.as_ref().map(|redis| redis.uri(0))
    }

    /// Starts again what has died; blocks while it does. Gives a line about each.
    pub(super) fn revive(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((postgres, _)) = &mut self.postgres
            && postgres.has_ended()
        {
            lines.push(revived("PostgreSQL", "its data is there", postgres.start_again()));
        }
        if let Some(redis) = &mut self.redis
            && redis.has_ended()
        {
            lines.push(revived("Redis", "it is empty; api fills it again from PostgreSQL", redis.start_again()));
        }
        lines
    }
}

impl Store {
    /// The files that say where it is: those given, or the URI of the server started here.
    pub(super) fn files(&self, started_here: Option<String>) -> Content {
        match self {
            Self::Given { files, .. } => files.clone(),
            Self::StartedHere => [(store_secret::URI, started_here.unwrap_or_default())].into_iter().collect(),
        }
    }

    /// The certificate authority given beside them.
    pub(super) fn authority(&self) -> Option<&[u8]> {
        match self {
            Self::Given { ca, .. } => ca.as_deref(),
            Self::StartedHere => None,
        }
    }
}

fn failed(name: &'static str) -> impl Fn(ServerError) -> LocalError {
    move |source| LocalError::Server { name: name.into(), source }
}

fn revived(name: &str, remark: &str, result: Result<(), ServerError>) -> String {
    match result {
        Ok(()) => format!("{name} ended and was started again; {remark}"),
        Err(error) => format!("{name} ended and could not be started again: {error}"),
    }
}
