//! Checksums of what cannot change in a running process: a change of them rolls the pods.
//!
//! Takes: the resource, and the content of Secrets. Gives: annotations of the pod template, one per field of the
//! resource, so that an event can name the field. Does not: cover what processes follow live.

use super::{Subject, restarts};
use crate::crd::{observability::LogFormat, stores::Database};
use pipeline::hash;
use std::collections::BTreeMap;

/// Checksums of Secrets' content, made by [`pipeline::hash`] with the pipeline's uid as salt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums {
    /// PostgreSQL's URI and authority.
    pub database: String,
    /// Redis' URI and authority.
    pub redis: String,
}

/// Annotations of both pod templates.
pub(super) fn annotations(subject: &Subject<'_>, checksums: &Checksums) -> BTreeMap<String, String> {
    let spec = subject.spec;
    // The URI for migrations is read when it is used, and again until it works; so is who hands the database over.
    let Database {
        secret_ref: _,
        ca_secret_ref: _,
        migrations_secret_ref: _,
        schema,
        max_connections_per_pod,
        migrations,
        take_over_from: _,
    } = &spec.database;
    let mut database = format!("{} {max_connections_per_pod} {migrations:?}", checksums.database);
    // As before the field came, where it is not set: an upgrade restarts no pod.
    if let Some(schema) = schema {
        database = format!("{database} {schema}");
    }
    let format = match spec.observability.log_format {
        LogFormat::Json => "Json",
        LogFormat::Text => "Text",
    };
    let values = [
        (restarts::DATABASE, hash([database.as_bytes()])),
        (restarts::REDIS, hash([checksums.redis.as_bytes()])),
        (restarts::LOGS, format.to_owned()),
    ];
    values.map(|(key, value)| (key.to_owned(), value)).into()
}
