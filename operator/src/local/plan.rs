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
use std::net::SocketAddr;

/// Where a store's URI comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Store {
    /// A server is started here.
    StartedHere,
    /// The Secret is given.
    Given { uri: Vec<u8>, ca: Option<Vec<u8>> },
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
    pub(super) redis: Store,
    pub(super) mail: MailServer,
    /// `None`: a key is made for this run.
    pub(super) keys: Option<Content>,
    pub(super) templates: Option<Content>,
}

impl Plan {
    pub(super) fn new(manifest: &Manifest, send_mail: bool) -> Result<Self, LocalError> {
        let (spec, objects) = (&manifest.pipeline.spec, &manifest.objects);
        Ok(Self {
            database: store(
                objects,
                (&spec.database.secret_ref, "spec.database.secretRef"),
                (spec.database.ca_secret_ref.as_ref(), "spec.database.caSecretRef"),
            )?,
            redis: store(
                objects,
                (&spec.redis.secret_ref, "spec.redis.secretRef"),
                (spec.redis.ca_secret_ref.as_ref(), "spec.redis.caSecretRef"),
            )?,
            mail: mail_server(spec, objects, send_mail)?,
            keys: keys(spec.verification.key_secret_ref.as_ref(), objects)?,
            templates: templates(spec.mail.templates_ref.as_ref(), objects)?,
        })
    }

    pub(super) fn uses_inbox(&self) -> bool {
        self.mail == MailServer::Inbox
    }

    /// The first thing that cannot become `other`'s without a new start of everything: processes that start later would
    /// use another store than those that run. Credentials of the mail server, keys and texts change live.
    pub(super) fn needs_new_start(&self, other: &Self) -> Option<&'static str> {
        let Self { database, redis, mail: _, keys: _, templates: _ } = self;
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

fn store(
    objects: &Objects,
    (secret, field): (&UriSecret, &'static str),
    (ca, ca_field): (Option<&CaSecret>, &'static str),
) -> Result<Store, LocalError> {
    if !objects.secrets.contains_key(&secret.name) {
        return Ok(Store::StartedHere);
    }
    let uri = key_of(objects, &secret.name, &secret.key, field)?;
    Ok(Store::Given { uri, ca: authority(objects, ca, ca_field)? })
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
            for key in ["username", "password"] {
                key_of(objects, &secret.name, key, field)?;
            }
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

fn templates(map: Option<&LocalReference>, objects: &Objects) -> Result<Option<Content>, LocalError> {
    let field = "spec.mail.templatesRef";
    let Some(LocalReference { name }) = map else { return Ok(None) };
    match objects.config_maps.get(name) {
        Some(content) => Ok(Some(content.clone())),
        None => Err(LocalError::ObjectMissing { kind: "ConfigMap", name: name.clone(), field }),
    }
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
mod tests {
    use super::*;
    use crate::manifest;

    const PIPELINE: &str = include_str!("../../../samples/minimal.yaml");
    const SMTP: &str = "smtp: {host: smtp.example.com}";

    fn plan(smtp: &str, more: &str, send_mail: bool) -> Result<Plan, LocalError> {
        let text = format!("{}{more}", PIPELINE.replace(SMTP, smtp));
        Plan::new(&manifest::parse(&text).expect("a valid file"), send_mail)
    }

    #[test]
    fn mails_stay_here_unless_their_server_is_meant() {
        let with_auth = "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}";
        let secret =
            "---\n{apiVersion: v1, kind: Secret, metadata: {name: app-smtp}, stringData: {username: a, password: b}}\n";
        let cases = [
            ("no server of one's own", SMTP, "", false, true),
            ("credentials named and not given", with_auth, "", false, true),
            ("credentials given", with_auth, secret, false, false),
            ("a server on this machine", "smtp: {host: localhost, port: 1025, tls: None}", "", false, false),
            ("--send-mail", SMTP, "", true, false),
        ];
        for (name, smtp, more, send_mail, uses_inbox) in cases {
            assert_eq!(plan(smtp, more, send_mail).expect(name).uses_inbox(), uses_inbox, "{name}");
        }
        let error = plan(with_auth, "", true).expect_err("it cannot log in").to_string();
        assert!(error.contains("Secret app-smtp, which spec.mail.smtp.authSecretRef names, is not given"), "{error}");
    }

    #[test]
    fn links_lead_to_the_api_here_when_the_inbox_takes_the_mails_and_only_then() {
        let stand_in = StandIn { smtp: ([127, 0, 0, 1], 1025).into(), api: ([127, 0, 0, 1], 8080).into() };
        let spec = manifest::parse(PIPELINE).expect("a valid file").pipeline.spec;
        let inbox = plan(SMTP, "", false).expect("a plan").applied_to(&spec, Some(&stand_in));
        assert_eq!(inbox.verification.public_url.as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!((inbox.mail.smtp.host.as_str(), inbox.mail.smtp.port), ("127.0.0.1", 1025));
        let sent = plan(SMTP, "", true).expect("a plan").applied_to(&spec, Some(&stand_in));
        assert_eq!(sent, spec);
    }

    #[test]
    fn another_uri_of_a_store_needs_a_new_start_and_another_password_of_the_mail_server_does_not() {
        let secret = |name: &str, content: &str| {
            format!("---\n{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, stringData: {{{content}}}}}\n")
        };
        let smtp = "smtp: {host: smtp.example.com, authSecretRef: {name: app-smtp}}";
        let plan = |more: &[String]| plan(smtp, &more.concat(), false).expect("a plan");
        let what = |before: &[String], after: &[String]| plan(before).needs_new_start(&plan(after));
        for (name, named) in [("app-db", "spec.database"), ("app-redis", "spec.redis")] {
            let [first, second] = ["uri: 'x://a'", "uri: 'x://b'"].map(|uri| [secret(name, uri)]);
            for before in [&[][..], &first] {
                assert!(what(before, &second).is_some_and(|what| what.contains(named)), "{name}: {before:?}");
            }
            assert_eq!(what(&first, &[secret(name, "uri: 'x://a', more: b")]), None, "its URI is the same");
        }
        let login = |password: &str| [secret("app-smtp", &format!("username: a, password: {password}"))];
        assert_eq!(what(&login("a"), &login("b")), None);
    }
}
