//! Where the Redis of a pipeline is, and how it is spoken to.
//!
//! Takes: `spec.redis` and the Secrets that it names. Gives: an [`Endpoint`], or why there can be none. Does not:
//! connect.

use super::{redis, servers::Account};
use crate::{
    controller::{reason::Finding, store_secret::StoreSecret},
    crd::stores::Redis,
    manifest::objects::Content,
};
use pipeline::store_secret;
use queue::{Certificates, Connection, RedisUri};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;

/// A Redis with what is needed to log in there.
pub(crate) struct Endpoint {
    settings: Redis,
    uri: SecretString,
    authority: Option<Vec<u8>>,
    /// The client's, and its key.
    certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl Endpoint {
    /// Without a Secret that says where Redis is the URI is empty, and opening it says what is wrong.
    pub(crate) fn new(settings: &Redis, secrets: &BTreeMap<String, Content>) -> Self {
        let secret = StoreSecret::redis(settings, secrets);
        let uri = secret.redis_uri().unwrap_or_default();
        let named = settings.ca_secret_ref.as_ref().and_then(|ca| secrets.get(&ca.name)?.get(&ca.key));
        let authority = named.or_else(|| secret.file(store_secret::AUTHORITY));
        let certificate = secret.certificate();
        Self {
            settings: settings.clone(),
            authority: authority.map(<[u8]>::to_vec),
            certificate: certificate.map(|(certificate, key)| (certificate.to_vec(), key.to_vec())),
            uri,
        }
    }

    /// The login, which other pipelines may have too, and the index of the database.
    ///
    /// # Errors
    ///
    /// What is wrong with the URI.
    pub(super) fn account(&self) -> Result<(Account, i64), Finding> {
        let uri = RedisUri::parse(self.uri.expose_secret()).map_err(|error| self.unusable(&error.into()))?;
        if uri.is_socket() {
            return Err(redis::socket(&self.settings));
        }
        let (authority, certificate, database) = (self.authority.clone(), self.certificate.clone(), uri.database());
        Ok((Account { uri: uri.with_database(0), authority, certificate }, database))
    }

    /// Names the database, whoever logs in; `None` where the URI cannot be used.
    pub(super) fn database(&self) -> Option<String> {
        RedisUri::parse(self.uri.expose_secret()).ok().map(|uri| uri.identity())
    }

    /// A connection of its own, for what is said of workers now and then.
    ///
    /// # Errors
    ///
    /// As [`account`](Self::account) and the certificates have it.
    pub(crate) fn open(&self) -> Result<Connection, queue::Error> {
        let client = self.certificate.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
        let certificates = Certificates { authority: self.authority.as_deref(), client };
        Connection::open_with(self.uri.expose_secret(), certificates)
    }

    /// Why it cannot be opened.
    pub(crate) fn unusable(&self, error: &queue::Error) -> Finding {
        redis::unusable(&self.settings, self.uri.expose_secret(), error)
    }

    /// Why Redis could not be asked.
    pub(super) async fn trouble(&self, error: &queue::Error) -> Finding {
        redis::trouble(&self.settings, self.uri.expose_secret(), error).await
    }
}
