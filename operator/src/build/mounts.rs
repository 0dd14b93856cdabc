//! Where the pods see the ConfigMap and the Secrets.
//!
//! Takes: what the resource names, and which keys the Secrets of PostgreSQL and Redis have. Gives: paths for
//! `pipeline.yaml`, and the volumes that make them true. Secrets are files, never variables. Does not: read them.

use super::{Inputs, Subject, document::MountedPaths, names, names::Component, pod_security};
use crate::crd::{
    SignupPipelineSpec,
    stores::{CaSecret, UriSecret},
};
use pipeline::store_secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Folder of `pipeline.yaml`.
pub const CONFIG: &str = "/etc/signup";
/// Folder of replaced mail texts.
const TEMPLATES: &str = "/etc/signup-templates";

/// Folder of lists of domains that may not sign up.
const DENIED_DOMAINS: &str = "/etc/signup-denied-domains";

/// Folder of the secrets that sign webhooks, each as `name of the Secret/key`.
const WEBHOOKS: &str = "/run/secrets/webhooks";

/// One mounted folder.
struct Mount {
    name: &'static str,
    path: String,
    source: Value,
    /// The component that sees it; `None`: both do.
    only: Option<Component>,
}

/// Paths inside every pod.
pub fn paths(spec: &SignupPipelineSpec) -> MountedPaths {
    let secret = |folder: &str| format!("/run/secrets/{folder}").into();
    MountedPaths {
        database_uri: secret("database/uri"),
        database_ca: spec.database.ca_secret_ref.as_ref().map(|_| secret("database-ca/ca.crt")),
        migrations_uri: spec.database.migrations_secret_ref.as_ref().map(|_| secret("database-migrations/uri")),
        redis_uri: secret("redis/uri"),
        redis_ca: spec.redis.ca_secret_ref.as_ref().map(|_| secret("redis-ca/ca.crt")),
        smtp_auth: spec.mail.smtp.auth_secret_ref.as_ref().map(|_| secret("smtp")),
        smtp_ca: spec.mail.smtp.ca_secret_ref.as_ref().map(|_| secret("smtp-ca/ca.crt")),
        templates: spec.mail.templates_ref.as_ref().map(|_| TEMPLATES.into()),
        denied_domains: spec.signup.email_domains.deny_list_ref.as_ref().map(|_| DENIED_DOMAINS.into()),
        webhooks: WEBHOOKS.into(),
        keys: secret("keys"),
    }
}

/// Name of the Secret with the keys: the given one, or the generated one.
pub fn key_secret(pipeline: &str, spec: &SignupPipelineSpec) -> String {
    spec.verification.key_secret_ref.as_ref().map_or_else(|| names::key_secret(pipeline), |given| given.name.clone())
}

/// Volumes and mounts of a component's pods: `api` never sees the mail server's credentials, `worker` never the URI for
/// migrations.
pub(super) fn volumes(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> (Vec<Value>, Vec<Value>) {
    let mounts = mounts(subject, inputs).into_iter().filter(|mount| mount.only.is_none_or(|only| only == component));
    let mode = pod_security::secret_mode(subject);
    mounts
        .map(|Mount { name, path, source, only: _ }| {
            let mut volume = source;
            volume["name"] = name.into();
            for kind in ["secret", "projected"] {
                if let Some(secrets) = volume.get_mut(kind) {
                    secrets["defaultMode"] = mode.into();
                }
            }
            (volume, json!({"name": name, "mountPath": path, "readOnly": true}))
        })
        .unzip()
}

fn mounts(subject: &Subject<'_>, inputs: &Inputs) -> Vec<Mount> {
    let (pipeline, spec) = (subject.name, subject.spec);
    let (database, redis, smtp) = (&spec.database, &spec.redis, &spec.mail.smtp);
    let config_map = |name: &str| json!({"configMap": {"name": name, "defaultMode": 0o444}});
    let config =
        Mount { name: "config", path: CONFIG.into(), source: config_map(&names::config_map(pipeline)), only: None };
    let (api, worker) = (Some(Component::Api), Some(Component::Worker));
    let mut mounts = vec![config, store("database", &database.secret_ref, &inputs.database_files, None)];
    let authority = |name, ca: &CaSecret, only| {
        let item = [(ca.key.clone(), "ca.crt")];
        items(name, &ca.name, &item, only)
    };
    mounts.extend(database.ca_secret_ref.as_ref().map(|ca| authority("database-ca", ca, None)));
    let migrations = database.migrations_secret_ref.as_ref();
    mounts.extend(migrations.map(|secret| store("database-migrations", secret, &inputs.migrations_files, api)));
    mounts.push(store("redis", &redis.secret_ref, &inputs.redis_files, None));
    mounts.extend(redis.ca_secret_ref.as_ref().map(|ca| authority("redis-ca", ca, None)));
    mounts.push(whole("keys", &key_secret(pipeline, spec), None));
    mounts.extend(smtp.auth_secret_ref.as_ref().map(|auth| whole("smtp", &auth.name, worker)));
    mounts.extend(smtp.ca_secret_ref.as_ref().map(|ca| authority("smtp-ca", ca, worker)));
    mounts.extend(webhooks(spec));
    let maps = [
        ("templates", TEMPLATES, spec.mail.templates_ref.as_ref(), worker),
        ("denied-domains", DENIED_DOMAINS, spec.signup.email_domains.deny_list_ref.as_ref(), api),
    ];
    mounts.extend(maps.into_iter().filter_map(|(name, path, map, only)| {
        Some(Mount { name, path: path.into(), source: config_map(&map?.name), only })
    }));
    mounts
}

/// The keys of all Secrets that sign webhooks, in one folder, so that only a new one of them changes a pod.
fn webhooks(spec: &SignupPipelineSpec) -> Option<Mount> {
    let keys: BTreeSet<(&str, &str)> =
        spec.webhooks.iter().map(|webhook| (webhook.secret_ref.name.as_str(), webhook.secret_ref.key())).collect();
    let item = |(name, key): (&str, &str)| {
        let path = format!("{name}/{key}");
        json!({"secret": {"name": name, "items": [{"key": key, "path": path}]}})
    };
    let sources: Vec<Value> = keys.into_iter().map(item).collect();
    let source = json!({"projected": {"sources": sources}});
    let only = Some(Component::Worker);
    (!spec.webhooks.is_empty()).then(|| Mount { name: "webhooks", path: WEBHOOKS.into(), source, only })
}

/// A whole Secret as a folder. The files belong to root and the pod's group.
fn whole(name: &'static str, secret: &str, only: Option<Component>) -> Mount {
    let source = json!({"secret": {"secretName": secret}});
    Mount { name, path: format!("/run/secrets/{name}"), source, only }
}

/// The keys of a server's Secret that say where it is.
fn store(name: &'static str, secret: &UriSecret, files: &[(String, &'static str)], only: Option<Component>) -> Mount {
    let uri = [(secret.key.clone(), store_secret::URI)];
    items(name, &secret.name, if files.is_empty() { &uri } else { files }, only)
}

/// Some keys of a Secret as files of a folder.
fn items(name: &'static str, secret: &str, files: &[(String, &'static str)], only: Option<Component>) -> Mount {
    let mut mount = whole(name, secret, only);
    let items: Vec<Value> = files.iter().map(|(key, file)| json!({"key": key, "path": file})).collect();
    mount.source["secret"]["items"] = items.into();
    mount
}
