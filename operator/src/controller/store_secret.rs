//! The Secret of PostgreSQL or Redis, read as the processes read it.
//!
//! Takes: the resource, and Secrets by name. Gives: which keys the pods mount, and the connection they stand for. Pure.
//! Does not: know which keys there are (`pipeline::store_secret` does) or show a value.

use crate::{
    crd::stores::{Database, Redis},
    manifest::objects::Content,
};
use pipeline::{
    PostgresUri,
    store_secret::{self, StoreKind, StoreSecretError},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::Path};

/// A Secret, or none yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreSecret<'a> {
    kind: StoreKind,
    /// The key that holds the whole URI.
    key: &'a str,
    content: Option<&'a Content>,
    has_authority: bool,
}

impl<'a> StoreSecret<'a> {
    /// That of `spec.database`.
    pub(crate) fn postgres(database: &'a Database, secrets: &'a BTreeMap<String, Content>) -> Self {
        let content = secrets.get(&database.secret_ref.name);
        Self::of(StoreKind::Postgres, &database.secret_ref.key, content, database.ca_secret_ref.is_some())
    }

    /// That of `spec.database.migrationsSecretRef`, where it is named.
    pub(crate) fn migrations(database: &'a Database, secrets: &'a BTreeMap<String, Content>) -> Option<Self> {
        let named = database.migrations_secret_ref.as_ref()?;
        Some(Self::of(StoreKind::Postgres, &named.key, secrets.get(&named.name), database.ca_secret_ref.is_some()))
    }

    /// That of `spec.redis`.
    pub(crate) fn redis(redis: &'a Redis, secrets: &'a BTreeMap<String, Content>) -> Self {
        let content = secrets.get(&redis.secret_ref.name);
        Self::of(StoreKind::Redis, &redis.secret_ref.key, content, redis.ca_secret_ref.is_some())
    }

    /// One whose content is at hand.
    pub(crate) fn of(kind: StoreKind, key: &'a str, content: Option<&'a Content>, has_authority: bool) -> Self {
        Self { kind, key, content, has_authority }
    }

    /// The keys that pods need, with the files that they see them as.
    pub(crate) fn files(&self) -> Vec<(String, &'static str)> {
        self.kind.files(self.key, |key| self.value(key).is_some())
    }

    /// The values under those keys; nothing for one that is absent.
    pub(crate) fn values(&self) -> Vec<&'a [u8]> {
        let value = |(key, _): (String, _)| self.content.and_then(|content| content.get(&key)).unwrap_or_default();
        self.files().into_iter().map(value).collect()
    }

    /// The content of a file that pods see.
    pub(crate) fn file(&self, file: &str) -> Option<&'a [u8]> {
        let (key, _) = self.files().into_iter().find(|(_, name)| *name == file)?;
        self.value(&key)
    }

    /// The client's certificate and its key.
    pub(crate) fn certificate(&self) -> Option<(&'a [u8], &'a [u8])> {
        let [certificate, key] = store_secret::CERTIFICATE;
        Some((self.file(certificate)?, self.file(key)?))
    }

    /// PostgreSQL's connection.
    ///
    /// # Errors
    ///
    /// What is missing or wrong, without a value.
    pub(crate) fn postgres_uri(&self) -> Result<PostgresUri, StoreSecretError> {
        store_secret::postgres(Path::new(""), |file| self.text(file))
    }

    /// Redis' URI.
    ///
    /// # Errors
    ///
    /// What is missing or wrong, without a value.
    pub(crate) fn redis_uri(&self) -> Result<SecretString, StoreSecretError> {
        store_secret::redis(|file| self.text(file), self.has_authority)
    }

    /// What keeps it from saying where the server is.
    pub(crate) fn error(&self) -> Option<StoreSecretError> {
        match self.kind {
            StoreKind::Postgres => self.postgres_uri().err(),
            StoreKind::Redis => self.redis_uri().err(),
        }
    }

    fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.content?.get(key).filter(|value| !value.trim_ascii().is_empty())
    }

    fn text(&self, file: &str) -> Option<String> {
        self.file(file).map(|value| String::from_utf8_lossy(value).trim().to_owned())
    }
}
