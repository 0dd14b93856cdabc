//! The `pipeline.yaml` of a pipeline.
//!
//! Takes: the resource and the paths under which the processes see its Secrets. Gives: a [`Document`], which the
//! processes follow live. Does not: read or write files. Fields that concern Kubernetes objects alone have no place in
//! it.

use crate::crd::{
    SignupPipelineSpec,
    mail::{Mail, SmtpTls, Verification},
    observability::{LogFormat, Observability},
    retention::Retention,
    signup::{BreachCheck, EmailDomains, PasswordRules, ReservedUsernames, Signup},
    stores::{Database, Migrations},
    task::{Backoff, BackoffFormula, Queue, Task},
    time_span::TimeSpan,
    webhooks::{Webhook, WebhookEvent},
    workload::{Api, Http, Worker},
};
use pipeline::{Document, document};
use std::path::PathBuf;

/// Where a process finds what the resource names; `None`: the resource does not name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedPaths {
    /// File with PostgreSQL's URI.
    pub database_uri: PathBuf,
    /// PEM file of PostgreSQL's certificate authority.
    pub database_ca: Option<PathBuf>,
    /// File with the URI for migrations alone.
    pub migrations_uri: Option<PathBuf>,
    /// File with Redis' URI.
    pub redis_uri: PathBuf,
    /// PEM file of Redis' certificate authority.
    pub redis_ca: Option<PathBuf>,
    /// Folder with `username` and `password` of the mail server.
    pub smtp_auth: Option<PathBuf>,
    /// PEM file of the mail server's certificate authority.
    pub smtp_ca: Option<PathBuf>,
    /// Folder with the texts of the mails.
    pub templates: Option<PathBuf>,
    /// Folder with lists of domains that may not sign up.
    pub denied_domains: Option<PathBuf>,
    /// Folder with the secrets that sign webhooks, each as `name of the Secret/key`.
    pub webhooks: PathBuf,
    /// Folder with the keys that sign links.
    pub keys: PathBuf,
}

/// Builds the document of pipeline `namespace/name`.
pub fn document(name: &str, namespace: &str, spec: &SignupPipelineSpec, paths: &MountedPaths) -> Document {
    Document {
        pipeline: format!("{namespace}/{name}"),
        task: task(&spec.task),
        queues: spec.queues.iter().map(queue).collect(),
        strict_priority: spec.strict_priority,
        database: database(&spec.database, paths),
        redis: document::Redis { uri_file: paths.redis_uri.clone(), ca_file: paths.redis_ca.clone() },
        mail: mail(&spec.mail, paths),
        verification: verification(spec, paths),
        signup: signup(&spec.signup, spec.expose.is_some(), paths),
        retention: retention(&spec.retention),
        webhooks: spec.webhooks.iter().map(|webhook| self::webhook(webhook, paths)).collect(),
        api: api(&spec.api),
        worker: worker(&spec.worker),
        observability: observability(&spec.observability),
    }
}

/// Base of the links in the mails, without a trailing slash.
pub fn public_url(spec: &SignupPipelineSpec) -> String {
    let Verification { public_url, .. } = &spec.verification;
    let exposed = || spec.expose.as_ref().map(|expose| format!("https://{}{}", expose.host, expose.path));
    let url = public_url.clone().or_else(exposed).unwrap_or_default();
    url.trim_end_matches('/').to_owned()
}

// The schema keeps all integers of the spec at 0 or above, so `unsigned_abs` changes none of them.

fn task(Task { delay, max_retries, queue, deadline, timeout, backoff }: &Task) -> document::Task {
    let Backoff { initial, max, formula } = backoff;
    let formula = match formula {
        BackoffFormula::Jitter => document::BackoffFormula::Jitter,
        BackoffFormula::Asynq => document::BackoffFormula::Asynq,
    };
    document::Task {
        delay: delay.get(),
        max_retries: max_retries.unsigned_abs(),
        queue: queue.clone(),
        deadline: deadline.get(),
        timeout: timeout.get(),
        backoff: document::Backoff { initial: initial.get(), max: max.get(), formula },
    }
}

fn queue(Queue { name, priority, paused, target_latency: _ }: &Queue) -> document::Queue {
    document::Queue { name: name.clone(), priority: priority.unsigned_abs(), paused: *paused }
}

fn database(database: &Database, paths: &MountedPaths) -> document::Database {
    document::Database {
        uri_file: paths.database_uri.clone(),
        ca_file: paths.database_ca.clone(),
        schema: database.schema.clone(),
        max_connections_per_pod: database.max_connections_per_pod.unsigned_abs(),
        migrations: match database.migrations {
            Migrations::Auto => document::Migrations::Auto,
            Migrations::Manual => document::Migrations::Manual,
        },
        migrations_uri_file: paths.migrations_uri.clone(),
        take_over_from: database.take_over_from.clone(),
    }
}

fn mail(mail: &Mail, paths: &MountedPaths) -> document::Mail {
    let Mail { from, envelope_from, reply_to, smtp, templates_ref: _ } = mail;
    document::Mail {
        from: from.clone(),
        envelope_from: envelope_from.clone(),
        reply_to: reply_to.clone(),
        smtp: document::Smtp {
            host: smtp.host.clone(),
            port: u16::try_from(smtp.port).unwrap_or(u16::MAX),
            tls: match smtp.tls {
                SmtpTls::StartTLS => document::SmtpTls::StartTLS,
                SmtpTls::Implicit => document::SmtpTls::Implicit,
                SmtpTls::None => document::SmtpTls::None,
            },
            hello_name: smtp.hello_name.clone(),
            auth_dir: paths.smtp_auth.clone(),
            ca_file: paths.smtp_ca.clone(),
            max_per_second: smtp.max_per_second.map(i32::unsigned_abs),
            max_connections: smtp.max_connections.map(i32::unsigned_abs),
        },
        templates_dir: paths.templates.clone(),
    }
}

fn verification(spec: &SignupPipelineSpec, paths: &MountedPaths) -> document::Verification {
    document::Verification {
        public_url: public_url(spec),
        link_ttl: spec.verification.link_ttl.get(),
        keys_dir: paths.keys.clone(),
    }
}

fn signup(signup: &Signup, behind_proxy: bool, paths: &MountedPaths) -> document::Signup {
    let Signup {
        password_min_length,
        reserved_usernames,
        hide_existing_accounts,
        per_minute_per_ip,
        allowed_origins,
        unicode_names,
        email_domains,
        password,
        page,
    } = signup;
    document::Signup {
        password_min_length: password_min_length.unsigned_abs(),
        reserved_usernames: match reserved_usernames {
            ReservedUsernames::Refuse => document::ReservedUsernames::Refuse,
            ReservedUsernames::Allow => document::ReservedUsernames::Allow,
        },
        hide_existing_accounts: *hide_existing_accounts,
        per_minute_per_ip: per_minute_per_ip.unsigned_abs(),
        behind_proxy,
        // The schema lets nothing pass that is no origin; a test holds both to the same cases.
        allowed_origins: allowed_origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
        unicode_names: *unicode_names,
        email_domains: self::email_domains(email_domains, paths),
        password: self::password(password),
        page: *page,
    }
}

fn email_domains(domains: &EmailDomains, paths: &MountedPaths) -> document::EmailDomains {
    let EmailDomains { allow, deny, deny_list_ref: _, require_mx } = domains;
    let read = |list: &[String]| list.iter().cloned().map(Into::into).collect();
    document::EmailDomains {
        allow: read(allow),
        deny: read(deny),
        deny_list_dir: paths.denied_domains.clone(),
        require_mx: *require_mx,
    }
}

fn password(PasswordRules { refuse_common, refuse_own, breach_check }: &PasswordRules) -> document::PasswordRules {
    document::PasswordRules {
        refuse_common: *refuse_common,
        refuse_own: *refuse_own,
        breach_check: breach_check.as_ref().map(|BreachCheck { url }| document::BreachCheck { url: url.clone() }),
    }
}

fn retention(Retention { mails, unverified_users }: &Retention) -> document::Retention {
    document::Retention { mails: mails.map(TimeSpan::get), unverified_users: unverified_users.map(TimeSpan::get) }
}

fn webhook(webhook: &Webhook, paths: &MountedPaths) -> document::Webhook {
    let Webhook { url, events, secret_ref, allow_local_addresses } = webhook;
    let event = |event: &WebhookEvent| match event {
        WebhookEvent::UserCreated => document::WebhookEvent::UserCreated,
        WebhookEvent::UserVerified => document::WebhookEvent::UserVerified,
        WebhookEvent::MailRefused => document::WebhookEvent::MailRefused,
        WebhookEvent::MailDead => document::WebhookEvent::MailDead,
    };
    document::Webhook {
        url: url.clone(),
        events: events.iter().map(event).collect(),
        secret_file: paths.webhooks.join(&secret_ref.name).join(secret_ref.key()),
        allow_local_addresses: *allow_local_addresses,
    }
}

fn api(api: &Api) -> document::Api {
    document::Api { http: http(&api.http), grpc: document::Grpc { reflection: api.grpc.reflection } }
}

fn http(Http { idle_timeout, trusted_proxies }: &Http) -> document::Http {
    // The schema lets nothing pass that is no network; a test holds both to the same cases.
    let trusted_proxies = trusted_proxies.iter().filter_map(|network| network.parse().ok()).collect();
    document::Http { idle_timeout: idle_timeout.get(), trusted_proxies }
}

fn worker(worker: &Worker) -> document::Worker {
    document::Worker {
        concurrency: worker.concurrency.unsigned_abs(),
        shutdown_grace_period: worker.shutdown_grace_period.get(),
    }
}

fn observability(observability: &Observability) -> document::Observability {
    document::Observability {
        log_level: observability.log_level.clone(),
        log_format: match observability.log_format {
            LogFormat::Json => document::LogFormat::Json,
            LogFormat::Text => document::LogFormat::Text,
        },
        log_personal_data: observability.log_personal_data,
    }
}
