//! Where the Redis of a pipeline is, and how it is spoken to.
//!
//! Takes: `spec.redis` and the Secrets that it names. Gives: an [`Endpoint`], or why there can be none. Does not:
//! connect.

use super::redis;
use crate::{
    controller::{reason::Finding, store_secret::StoreSecret},
    crd::stores::Redis,
    manifest::objects::Content,
};
use pipeline::{hash, store_secret};
use queue::{Certificates, Connection, RedisUri};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;

/// A Redis with what is needed to log in there.
pub(in crate::controller) struct Endpoint {
    settings: Redis,
    uri: SecretString,
    authority: Option<Vec<u8>>,
    /// The client's, and its key.
    certificate: Option<(Vec<u8>, Vec<u8>)>,
    version: String,
}

impl Endpoint {
    /// Without a Secret that says where Redis is the URI is empty, and opening it says what is wrong.
    pub(in crate::controller) fn new(settings: &Redis, secrets: &BTreeMap<String, Content>) -> Self {
        let secret = StoreSecret::redis(settings, secrets);
        let uri = secret.redis_uri().unwrap_or_default();
        let named = settings.ca_secret_ref.as_ref().and_then(|ca| secrets.get(&ca.name)?.get(&ca.key));
        let authority = named.or_else(|| secret.file(store_secret::AUTHORITY));
        let certificate = secret.certificate();
        let (client, key) = certificate.unwrap_or_default();
        let parts = [uri.expose_secret().as_bytes(), authority.unwrap_or_default(), client, key];
        let lengths = parts.map(|part| part.len().to_be_bytes());
        let version = hash(lengths.iter().map(|length| &length[..]).chain(parts));
        Self {
            settings: settings.clone(),
            authority: authority.map(<[u8]>::to_vec),
            certificate: certificate.map(|(certificate, key)| (certificate.to_vec(), key.to_vec())),
            uri,
            version,
        }
    }

    /// Differs between endpoints of which anything differs.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A connection there, which is not used yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the Secrets.
    pub(super) fn open(&self) -> Result<Connection, Finding> {
        let uri = self.uri.expose_secret();
        if RedisUri::parse(uri).is_ok_and(|uri| uri.is_socket()) {
            return Err(redis::socket(&self.settings));
        }
        let opened = Connection::open_with(uri, self.certificates());
        opened.map_err(|error| redis::unusable(&self.settings, uri, &error))
    }

    /// Why Redis could not be asked.
    pub(super) async fn trouble(&self, error: &queue::Error) -> Finding {
        redis::trouble(&self.settings, self.uri.expose_secret(), error).await
    }

    fn certificates(&self) -> Certificates<'_> {
        let client = self.certificate.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
        Certificates { authority: self.authority.as_deref(), client }
    }
}
