//! What is used as the file says, and what stands in for what.
//!
//! Takes: a manifest. Gives: a [`Plan`]. Pure. The rules, from the least to the most surprising:
//!
//! - PostgreSQL and Redis: started here when the Secret with their URI is not given.
//! - Mail: the inbox takes it, so that no mail leaves the machine, unless the Secret of `mail.smtp.authSecretRef` is
//!   given, or `mail.smtp.host` is this machine, or `--send-mail` asks for it.
//! - Links: when the inbox takes the mails, they lead to the api here, so that their buttons work.
//! - The key that signs links: made for this run when its Secret is not given.
//!
//! Does not: do any of it.

use super::LocalError;
use crate::{
    controller::store_secret::StoreSecret,
    crd::{
        SignupPipelineSpec,
        mail::SmtpTls,
        stores::{CaSecret, LocalReference, UriSecret},
    },
    manifest::{
        Manifest,
        objects::{Content, Objects},
    },
};
use pipeline::store_secret::StoreKind;
use std::{collections::BTreeMap, net::SocketAddr};

/// Where a store's URI comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Store {
    /// A server is started here.
    StartedHere,
    /// The Secret is given: what is used of it, under the names that pods see, and the authority beside it.
    Given { files: Content, ca: Option<Vec<u8>> },
}

/// Who takes the mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MailServer {
    /// The inbox.
    Inbox,
    /// The file's own.
    Given { auth: Option<Content>, ca: Option<Vec<u8>> },
}

/// What is used, and what stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) database: Store,
    /// URI on which the schema is applied, where it is not the database's own.
    pub(super) migrations: Option<Content>,
    pub(super) redis: Store,
    pub(super) mail: MailServer,
    /// `None`: a key is made for this run.
    pub(super) keys: Option<Content>,
    pub(super) templates: Option<Content>,
    /// Lists of domains that may not sign up.
    pub(super) denied_domains: Option<Content>,
    /// What signs webhooks, by the name of its Secret.
    pub(super) webhooks: BTreeMap<String, Content>,
}

impl Plan {
    pub(super) fn new(manifest: &Manifest, send_mail: bool) -> Result<Self, LocalError> {
        let (spec, objects) = (&manifest.pipeline.spec, &manifest.objects);
        Ok(Self {
            database: store(
                objects,
                &StoreSecrets {
                    kind: StoreKind::Postgres,
                    uri: &spec.database.secret_ref,
                    uri_field: "spec.database.secretRef",
                    ca: spec.database.ca_secret_ref.as_ref(),
                    ca_field: "spec.database.caSecretRef",
                },
            )?,
            migrations: migrations(spec, objects)?,
            redis: store(
                objects,
                &StoreSecrets {
                    kind: StoreKind::Redis,
                    uri: &spec.redis.secret_ref,
                    uri_field: "spec.redis.secretRef",
                    ca: spec.redis.ca_secret_ref.as_ref(),
                    ca_field: "spec.redis.caSecretRef",
                },
            )?,
            mail: mail_server(spec, objects, send_mail)?,
            keys: keys(spec.verification.key_secret_ref.as_ref(), objects)?,
            templates: config_map(spec.mail.templates_ref.as_ref(), objects, "spec.mail.templatesRef")?,
            denied_domains: config_map(
                spec.signup.email_domains.deny_list_ref.as_ref(),
                objects,
                "spec.signup.emailDomains.denyListRef",
            )?,
            webhooks: webhooks(spec, objects)?,
        })
    }

    pub(super) fn uses_inbox(&self) -> bool {
        self.mail == MailServer::Inbox
    }

    /// The first thing that cannot become `other`'s without a new start of everything: processes that start later would
    /// use another store than those that run. Credentials of the mail server, keys and texts change live.
    pub(super) fn needs_new_start(&self, other: &Self) -> Option<&'static str> {
        let Self { database, migrations: _, redis, mail: _, keys: _, templates: _, denied_domains: _, webhooks: _ } =
            self;
        [
            ("where PostgreSQL is (the Secrets of spec.database)", *database == other.database),
            ("where Redis is (the Secrets of spec.redis)", *redis == other.redis),
            ("which server takes the mails (spec.mail.smtp)", self.uses_inbox() == other.uses_inbox()),
        ]
        .into_iter()
        .find_map(|(what, same)| (!same).then_some(what))
    }

    /// The spec with what stands in put in its place.
    pub(super) fn applied_to(&self, spec: &SignupPipelineSpec, stand_in: Option<&StandIn>) -> SignupPipelineSpec {
        let mut spec = spec.clone();
        if let Some(StandIn { smtp, api }) = stand_in.filter(|_| self.uses_inbox()) {
            let server = &mut spec.mail.smtp;
            (server.host, server.port, server.tls) = (smtp.ip().to_string(), smtp.port().into(), SmtpTls::None);
            (server.auth_secret_ref, server.ca_secret_ref) = (None, None);
            spec.verification.public_url = Some(format!("http://{api}"));
        }
        spec
    }
}

/// The addresses that replace the mail server and the base of the links.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandIn {
    /// SMTP of the inbox.
    pub(super) smtp: SocketAddr,
    /// HTTP of the api.
    pub(super) api: SocketAddr,
}

/// The Secrets of a store, with the fields that name them.
struct StoreSecrets<'a> {
    kind: StoreKind,
    uri: &'a UriSecret,
    uri_field: &'static str,
    ca: Option<&'a CaSecret>,
    ca_field: &'static str,
}

fn store(objects: &Objects, secrets: &StoreSecrets<'_>) -> Result<Store, LocalError> {
    let StoreSecrets { kind, uri: named, uri_field, ca, ca_field } = secrets;
    let Some(content) = objects.secrets.get(&named.name) else { return Ok(Store::StartedHere) };
    let secret = StoreSecret::of(*kind, &named.key, Some(content), ca.is_some());
    let files = files_of(objects, &secret, named, uri_field)?;
    Ok(Store::Given { files, ca: authority(objects, *ca, ca_field)? })
}

/// The files that a process sees a Secret as; where no connection can be put together from it, its key must be there.
fn files_of(
    objects: &Objects,
    secret: &StoreSecret<'_>,
    named: &UriSecret,
    field: &'static str,
) -> Result<Content, LocalError> {
    if secret.error().is_some() {
        key_of(objects, &named.name, &named.key, field)?;
    }
    let values = secret.files().into_iter().zip(secret.values());
    Ok(values.filter(|(_, value)| !value.is_empty()).map(|((_, file), value)| (file, value)).collect())
}

/// Where PostgreSQL is started here, it is applied there.
fn migrations(spec: &SignupPipelineSpec, objects: &Objects) -> Result<Option<Content>, LocalError> {
    let is_given = |secret: &&UriSecret| objects.secrets.contains_key(&secret.name);
    let named = spec.database.migrations_secret_ref.as_ref().filter(is_given);
    let Some(named) = named.filter(|_| is_given(&&spec.database.secret_ref)) else { return Ok(None) };
    let Some(secret) = StoreSecret::migrations(&spec.database, &objects.secrets) else { return Ok(None) };
    files_of(objects, &secret, named, "spec.database.migrationsSecretRef").map(Some)
}

fn mail_server(spec: &SignupPipelineSpec, objects: &Objects, send_mail: bool) -> Result<MailServer, LocalError> {
    let smtp = &spec.mail.smtp;
    let is_here = ["localhost", "127.0.0.1", "::1"].contains(&smtp.host.as_str());
    let given = smtp.auth_secret_ref.as_ref().filter(|secret| objects.secrets.contains_key(&secret.name));
    if given.is_none() && !is_here && !send_mail {
        return Ok(MailServer::Inbox);
    }
    let auth = match &smtp.auth_secret_ref {
        None => None,
        Some(secret) => {
            let field = "spec.mail.smtp.authSecretRef";
            let key = |key: &str| key_of(objects, &secret.name, key, field);
            key("username")?;
            key("token").or_else(|_| key("password"))?;
            objects.secrets.get(&secret.name).cloned()
        }
    };
    Ok(MailServer::Given { auth, ca: authority(objects, smtp.ca_secret_ref.as_ref(), "spec.mail.smtp.caSecretRef")? })
}

fn keys(secret: Option<&LocalReference>, objects: &Objects) -> Result<Option<Content>, LocalError> {
    let Some(secret) = secret.filter(|secret| objects.secrets.contains_key(&secret.name)) else { return Ok(None) };
    key_of(objects, &secret.name, "current", "spec.verification.keySecretRef")?;
    Ok(objects.secrets.get(&secret.name).cloned())
}

fn config_map(
    map: Option<&LocalReference>,
    objects: &Objects,
    field: &'static str,
) -> Result<Option<Content>, LocalError> {
    let Some(LocalReference { name }) = map else { return Ok(None) };
    match objects.config_maps.get(name) {
        Some(content) => Ok(Some(content.clone())),
        None => Err(LocalError::ObjectMissing { kind: "ConfigMap", name: name.clone(), field }),
    }
}

fn webhooks(spec: &SignupPipelineSpec, objects: &Objects) -> Result<BTreeMap<String, Content>, LocalError> {
    for secret in spec.webhooks.iter().map(|webhook| &webhook.secret_ref) {
        key_of(objects, &secret.name, secret.key(), "spec.webhooks.secretRef")?;
    }
    let named = spec.webhooks.iter().map(|webhook| &webhook.secret_ref.name);
    Ok(named.filter_map(|name| Some((name.clone(), objects.secrets.get(name)?.clone()))).collect())
}

fn authority(objects: &Objects, ca: Option<&CaSecret>, field: &'static str) -> Result<Option<Vec<u8>>, LocalError> {
    ca.map(|ca| key_of(objects, &ca.name, &ca.key, field)).transpose()
}

fn key_of(objects: &Objects, name: &str, key: &str, field: &'static str) -> Result<Vec<u8>, LocalError> {
    let missing = || LocalError::ObjectMissing { kind: "Secret", name: name.into(), field };
    let content = objects.secrets.get(name).ok_or_else(missing)?;
    content.get(key).map(<[u8]>::to_vec).ok_or_else(|| LocalError::KeyMissing {
        kind: "Secret",
        name: name.into(),
        key: key.into(),
        field,
        keys: content.keys().into_iter().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests;
