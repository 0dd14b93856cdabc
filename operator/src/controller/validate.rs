//! Can the pipeline work with what the cluster has?
//!
//! Takes: the resource and what was found under the names it gives. Gives: a [`Finding`] for each thing that is
//! missing; while there is one, nothing is applied, and what runs is left running. Pure. Does not: repeat the schema's
//! rules.

use super::{
    reason::{self, Finding},
    store_secret::StoreSecret,
};
use crate::{
    build::mounts,
    crd::{
        SignupPipeline,
        stores::{CaSecret, UriSecret},
    },
    manifest::objects::Content,
};
use pipeline::store_secret::{StoreKind, StoreSecretError};

/// Kind of an object that the resource names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// A name in the resource: the object that the pods mount, and the keys that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Field of the resource that names it.
    pub field: &'static str,
    /// Its kind.
    pub source: Source,
    /// Its name.
    pub name: String,
    /// Keys that must be there; of `a or b` one is enough.
    pub keys: Vec<String>,
}

impl Reference {
    /// To `keys` of the Secret `name`, named by `field`.
    pub fn to_secret(field: &'static str, name: &str, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Self { field, source: Source::Secret, name: name.to_owned(), keys }
    }

    /// Which server the Secret is about, if it is that of a server.
    pub(crate) fn store(&self) -> Option<StoreKind> {
        match self.field {
            DATABASE | MIGRATIONS => Some(StoreKind::Postgres),
            REDIS => Some(StoreKind::Redis),
            _ => None,
        }
    }
}

const DATABASE: &str = "spec.database.secretRef";
const MIGRATIONS: &str = "spec.database.migrationsSecretRef";
const REDIS: &str = "spec.redis.secretRef";

/// What a reference resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// The object.
    Found(Content),
    /// There is none.
    Missing,
    /// The operator may not read it.
    Forbidden,
}

/// Everything the pods mount, in the order in which findings are reported.
pub fn references(pipeline: &SignupPipeline) -> Vec<Reference> {
    let spec = &pipeline.spec;
    let name = pipeline.metadata.name.as_deref().unwrap_or_default();
    let uri = |field, uri: &UriSecret| Reference::to_secret(field, &uri.name, &[&uri.key]);
    let ca = |field, ca: &Option<CaSecret>| ca.as_ref().map(|ca| Reference::to_secret(field, &ca.name, &[&ca.key]));
    let smtp = &spec.mail.smtp;
    let mut references = vec![uri(DATABASE, &spec.database.secret_ref)];
    references.extend(ca("spec.database.caSecretRef", &spec.database.ca_secret_ref));
    references.extend(spec.database.migrations_secret_ref.as_ref().map(|secret| uri(MIGRATIONS, secret)));
    references.push(uri(REDIS, &spec.redis.secret_ref));
    references.extend(ca("spec.redis.caSecretRef", &spec.redis.ca_secret_ref));
    let auth = smtp.auth_secret_ref.as_ref();
    let credentials = ["username", "password or token"];
    references.extend(auth.map(|auth| Reference::to_secret("spec.mail.smtp.authSecretRef", &auth.name, &credentials)));
    references.extend(ca("spec.mail.smtp.caSecretRef", &smtp.ca_secret_ref));
    references.extend(spec.webhooks.iter().map(|webhook| {
        let secret = &webhook.secret_ref;
        Reference::to_secret("spec.webhooks.secretRef", &secret.name, &[secret.key()])
    }));
    references.push(Reference::to_secret(
        "spec.verification.keySecretRef",
        &mounts::key_secret(name, spec),
        &["current"],
    ));
    let texts = ["subject.txt", "body.txt", "body.html"];
    let maps = [
        ("spec.mail.templatesRef", spec.mail.templates_ref.as_ref(), &texts[..]),
        ("spec.signup.emailDomains.denyListRef", spec.signup.email_domains.deny_list_ref.as_ref(), &[]),
    ];
    references.extend(maps.into_iter().filter_map(|(field, map, keys)| {
        Some(Reference { source: Source::ConfigMap, ..Reference::to_secret(field, &map?.name, keys) })
    }));
    references
}

/// The Secret with the certificate of the Ingress. It holds nothing up, for no pod needs it.
pub(crate) fn certificate(pipeline: &SignupPipeline) -> Option<Reference> {
    let name = pipeline.spec.expose.as_ref()?.ingress.as_ref()?.tls_secret_name.as_deref()?;
    Some(Reference::to_secret("spec.expose.ingress.tlsSecretName", name, &["tls.crt", "tls.key"]))
}

/// Finds what is missing.
pub fn validate<'a>(found: impl IntoIterator<Item = (&'a Reference, &'a Resolved)>) -> Vec<Finding> {
    found.into_iter().filter_map(|(reference, resolved)| judge(reference, resolved)).collect()
}

fn judge(reference: &Reference, resolved: &Resolved) -> Option<Finding> {
    let Reference { field, source, name, keys } = reference;
    let (kind, missing, key_missing) = match source {
        Source::Secret => ("Secret", reason::SECRET_MISSING, reason::SECRET_KEY_MISSING),
        Source::ConfigMap => ("ConfigMap", reason::CONFIG_MAP_MISSING, reason::CONFIG_MAP_KEY_MISSING),
    };
    let content = match resolved {
        Resolved::Found(content) => content,
        Resolved::Missing => {
            let problem = format!("{kind} {name}, named by {field}, does not exist in this namespace");
            let with = match keys.len() {
                0 => String::new(),
                count => format!(" with the {} {}", plural("key", count), keys.join(", ")),
            };
            let fix = format!("create it{with}, or name another");
            return Some(Finding::new(missing, problem, fix));
        }
        Resolved::Forbidden => {
            let problem = format!("the operator may not read {kind} {name}, named by {field}");
            let fix = format!("grant its ServiceAccount `get` on {}s in this namespace", kind.to_lowercase());
            return Some(Finding::new(reason::FORBIDDEN, problem, fix));
        }
    };
    if let Some(kind) = reference.store() {
        return judge_store(kind, reference, content);
    }
    if *source == Source::ConfigMap && content.keys().into_iter().any(is_subject_of_a_language) {
        // Of the other files workers say which one is missing.
        return None;
    }
    let is_empty = |key: &str| content.get(key).is_none_or(<[u8]>::is_empty);
    let key = keys.iter().find(|key| key.split(" or ").all(is_empty))?;
    Some(Finding::new(key_missing, without_key(reference, kind, key, content), "add the key"))
}

/// Whether the templates are those of single languages: `subject.de.txt`. Others have the built-in mails then.
fn is_subject_of_a_language(key: &str) -> bool {
    let subject = key.strip_prefix("notice_").unwrap_or(key).strip_prefix("subject.");
    subject.is_some_and(|rest| rest.len() > ".txt".len() && rest.ends_with(".txt"))
}

fn without_key(Reference { field, name, .. }: &Reference, kind: &str, key: &str, content: &Content) -> String {
    let present = match content.keys() {
        keys if keys.is_empty() => "it has no keys".to_owned(),
        keys => format!("it has {}", keys.join(", ")),
    };
    format!("{kind} {name}, named by {field}, has no value under the key {key} ({present})")
}

/// A Secret of PostgreSQL or Redis has a URI, or the parts of one.
fn judge_store(kind: StoreKind, reference: &Reference, content: &Content) -> Option<Finding> {
    let Reference { field, name, keys, .. } = reference;
    let key = keys.first()?;
    let secret = StoreSecret::of(kind, key, Some(content), false);
    let server = match kind {
        StoreKind::Postgres => "PostgreSQL",
        StoreKind::Redis => "Redis",
    };
    Some(match secret.error()? {
        StoreSecretError::Missing(parts) => {
            let mut problem = without_key(reference, "Secret", key, content);
            let mut fix = format!("add the key, or name the right one in {field}.key");
            if secret.files().iter().any(|(_, file)| *file == "password" || *file == "host") {
                let parts = parts.join(" and ");
                problem.push_str(&format!(", and of the keys that a URI can be put together from, {parts} is missing"));
                fix = format!("add {parts}, which this operator of databases does not write, or {fix}");
            }
            Finding::new(reason::SECRET_KEY_MISSING, problem, fix)
        }
        StoreSecretError::PostgresUri(error) => {
            let problem = format!("the {server} URI in Secret {name} cannot be used: {}", error.problem());
            Finding::new(reason::URI_INVALID, problem, error.fix())
        }
        StoreSecretError::Value { key, expected, fix } => {
            let problem = format!("the key {key} of Secret {name} holds no {expected}");
            Finding::new(reason::URI_INVALID, problem, fix)
        }
    })
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let pipeline = crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        references(&pipeline).remove(0)
    }

    #[test]
    fn a_missing_secret_is_named_with_its_field_and_its_fix() {
        let findings = validate([(&reference(), &Resolved::Missing)]);
        assert_eq!(findings[0].reason, reason::SECRET_MISSING);
        assert_eq!(
            findings[0].message,
            "Secret app-db, named by spec.database.secretRef, does not exist in this namespace. Fix: create it with \
                the key uri, or name another."
        );
    }

    #[test]
    fn a_missing_key_is_told_with_the_keys_that_exist_and_never_a_value() {
        let content = Resolved::Found([("dsn", "canary"), ("host", "canary")].into_iter().collect());
        let findings = validate([(&reference(), &content)]);
        assert_eq!(findings[0].reason, reason::SECRET_KEY_MISSING);
        assert!(findings[0].message.contains("key uri (it has dsn, host)"), "{}", findings[0].message);
        assert!(!findings[0].message.contains("canary"));
    }

    #[test]
    fn of_password_and_token_one_is_enough() {
        let keys = ["username", "password or token"];
        let reference = Reference::to_secret("spec.mail.smtp.authSecretRef", "app-smtp", &keys);
        let findings =
            |found: &[(&str, &str)]| validate([(&reference, &Resolved::Found(found.iter().copied().collect()))]);
        for key in ["password", "token"] {
            assert_eq!(findings(&[("username", "app"), (key, "canary")]), []);
        }
        let missing = findings(&[("username", "app"), ("token", "")]);
        assert!(missing[0].message.contains("under the key password or token (it has"), "{}", missing[0].message);
    }

    #[test]
    fn templates_of_single_languages_need_none_of_the_others() {
        let reference = Reference::to_secret("spec.mail.templatesRef", "texts", &["subject.txt", "body.txt"]);
        let reference = Reference { source: Source::ConfigMap, ..reference };
        let findings =
            |key: &'static str| validate([(&reference, &Resolved::Found([(key, "x")].into_iter().collect()))]);
        assert_eq!(findings("subject.pt-BR.txt"), []);
        assert_eq!(findings("notice_subject.de.txt"), []);
        assert_eq!(findings("subject.txt")[0].reason, reason::CONFIG_MAP_KEY_MISSING);
    }

    #[test]
    fn nothing_is_found_when_everything_is_there() {
        let content = Resolved::Found([("uri", "postgres://db/app")].into_iter().collect());
        assert_eq!(validate([(&reference(), &content)]), []);
    }
}
