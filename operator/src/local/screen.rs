//! What the person sees.
//!
//! Takes: addresses, lines, figures. Gives: text on standard output; a closed one is no error.
//! Does not: print a secret that was given; the passwords of the servers started here are made for this run and shown.

use super::{
    figures::Counts,
    plan::{MailServer, Plan, Store},
};
use crate::crd::SignupPipelineSpec;
use std::{
    io::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The table gets a new line at most this often.
const TABLE_INTERVAL: Duration = Duration::from_secs(2);

/// The table repeats its heading after so many lines.
const HEADING_EVERY: u32 = 20;

/// The table: when it was last printed, and what it said.
#[derive(Debug, Default)]
pub(super) struct Screen {
    printed: Option<(Counts, u32, Instant)>,
    rows: u32,
}

/// The addresses of the first screen.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) api: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) inbox: Option<SocketAddr>,
    pub(super) postgres: Option<String>,
    pub(super) redis: Option<String>,
}

/// Prints one line.
pub(super) fn say(line: &str) {
    // Standard output may be closed; the pipeline runs on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Says what stands in for what, and which fields have no effect here.
pub(super) fn explain(plan: &Plan, spec: &SignupPipelineSpec) {
    for line in stand_ins(plan, spec).into_iter().chain(without_effect(spec)) {
        say(&line);
    }
}

/// Prints the first screen, once everything is ready.
pub(super) fn ready(name: &str, addresses: &Addresses, spec: &SignupPipelineSpec) {
    say(&first_screen(name, addresses, spec));
}

impl Screen {
    /// A line of the table, when it changed and the last one is old enough.
    pub(super) fn table(&mut self, counts: Counts, workers: u32, now: Instant) {
        if let Some((before, workers_before, at)) = self.printed
            && ((before, workers_before) == (counts, workers) || now.duration_since(at) < TABLE_INTERVAL)
        {
            return;
        }
        if self.rows.is_multiple_of(HEADING_EVERY) {
            say("     due  scheduled      retry     active   archived       sent    workers");
        }
        self.rows = self.rows.wrapping_add(1);
        self.printed = Some((counts, workers, now));
        let Counts { due, scheduled, retry, active, archived, sent } = counts;
        say(&format!("{due:>8} {scheduled:>10} {retry:>10} {active:>10} {archived:>10} {sent:>10} {workers:>10}"));
    }
}

fn stand_ins(plan: &Plan, spec: &SignupPipelineSpec) -> Vec<String> {
    let mut lines = Vec::new();
    let mut store = |name: &str, store: &Store, secret: &str| {
        if *store == Store::StartedHere {
            lines.push(format!("{name} is started here, empty, because the Secret {secret} is not given"));
        }
    };
    store("PostgreSQL", &plan.database, &spec.database.secret_ref.name);
    store("Redis", &plan.redis, &spec.redis.secret_ref.name);
    match plan.mail {
        MailServer::Inbox => lines.push(format!(
            "the inbox takes the mails instead of {}: none leaves this machine, and their links lead to the api here",
            spec.mail.smtp.host
        )),
        MailServer::Given { .. } => lines.push(format!("mails are sent through {}!", spec.mail.smtp.host)),
    }
    if plan.keys.is_none() {
        lines.push("the key that signs the links is made for this run".into());
    }
    lines
}

/// Fields that concern Kubernetes objects only, with whether the resource sets them.
fn kubernetes_fields(spec: &SignupPipelineSpec) -> [(&'static str, bool); 21] {
    let api = crate::crd::workload::Api::default();
    let worker = crate::crd::workload::Worker::default();
    [
        ("paused", spec.paused),
        ("image", spec.image.is_some()),
        ("imagePullPolicy", spec.image_pull_policy.is_some()),
        ("imagePullSecrets", !spec.image_pull_secrets.is_empty()),
        ("podSecurity", spec.pod_security != Default::default()),
        ("api.replicas", spec.api.replicas != api.replicas),
        ("api.autoscaling", spec.api.autoscaling != api.autoscaling),
        ("api.resources", spec.api.resources.is_some()),
        ("api.pod", spec.api.pod != api.pod),
        ("api.terminationGracePeriodSeconds", spec.api.termination_grace_period_seconds.is_some()),
        ("api.service", spec.api.service != api.service),
        ("api.serviceAccount", spec.api.service_account != api.service_account),
        ("api.podDisruptionBudget", spec.api.pod_disruption_budget.is_some()),
        ("worker.resources", spec.worker.resources.is_some()),
        ("worker.pod", spec.worker.pod != worker.pod),
        ("worker.serviceAccount", spec.worker.service_account != worker.service_account),
        ("worker.podDisruptionBudget", spec.worker.pod_disruption_budget.is_some()),
        ("expose", spec.expose.is_some()),
        ("networkPolicy", !spec.network_policy.enabled),
        ("observability.logFormat", spec.observability.log_format != Default::default()),
        ("observability.podMonitor", spec.observability.pod_monitor),
    ]
}

fn without_effect(spec: &SignupPipelineSpec) -> Option<String> {
    let set: Vec<&str> = kubernetes_fields(spec).into_iter().filter_map(|(name, set)| set.then_some(name)).collect();
    (!set.is_empty()).then(|| format!("without effect on one machine: {}", set.join(", ")))
}

fn first_screen(name: &str, addresses: &Addresses, spec: &SignupPipelineSpec) -> String {
    let Addresses { api, grpc, inbox, postgres, redis } = addresses;
    let mut lines = vec![String::new(), format!("the pipeline {name} is ready"), String::new()];
    lines.push(format!("  api         http://{api} and gRPC on {grpc}"));
    if let Some(inbox) = inbox {
        lines.push(format!("  inbox       http://{inbox}"));
    }
    lines.push(format!("  PostgreSQL  {}", postgres.as_deref().unwrap_or("as its Secret says")));
    lines.push(format!("  Redis       {}", redis.as_deref().unwrap_or("as its Secret says")));
    // A password of any length that the file may ask for.
    let password = "correct horse battery staple ".repeat(5);
    let length = usize::try_from(spec.signup.password_min_length).unwrap_or_default().max(16);
    let password = password.get(..length).unwrap_or(&password).replace(' ', "-");
    let body = format!(
        r#"{{"username":"alice","full_name":"Alice Example","email":"alice@example.com","password":"{password}"}}"#
    );
    let delay = pipeline::duration::format(spec.task.delay.get());
    lines.push(String::new());
    if spec.signup.page {
        lines.push(format!("sign up on http://{api}/signup, and {delay} later one mail arrives; or by this line:"));
    } else {
        lines.push(format!("sign up, and {delay} later one mail arrives:"));
    }
    lines.extend([
        String::new(),
        format!("  curl http://{api}/v1/create_user -d '{body}'"),
        String::new(),
        "edits of the file are applied while this runs; Ctrl-C ends it and leaves nothing behind".into(),
        String::new(),
    ]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{
        names::Component,
        restarts::{self, InLocalRun},
    };

    #[test]
    fn every_field_that_replaces_pods_and_nothing_else_is_named_as_without_effect() {
        let pipeline = crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        let named = kubernetes_fields(&pipeline.spec).map(|(field, _)| format!("spec.{field}"));
        for restart in restarts::ALL.iter().filter(|restart| restart.in_local_run == InLocalRun::Ignored) {
            for component in Component::ALL {
                let path = restart.path().replace("{}", component.name());
                assert!(named.iter().any(|field| path.starts_with(field.as_str())), "{path}");
            }
        }
    }
}
