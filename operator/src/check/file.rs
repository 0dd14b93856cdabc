//! What is wrong with a file?
//!
//! Takes: the text of a manifest. Gives: lines. Pure: validated by the schema and rules of this program's definition,
//! as `operator local` and the API server do. Does not: ask a cluster.

use super::{
    exposure,
    line::{Level, Line, Report},
    secrets,
};
use crate::{
    build,
    controller::{
        reason::{self, Finding},
        validate::{Reference, Resolved, Source},
    },
    manifest::{self, Manifest, objects::Objects, problem::Problem},
};

/// Judges a file's text.
pub(super) fn judge(text: &str) -> Report {
    let mut report = Report::default();
    let manifest = match manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(problems) => {
            report.findings = problems.0.iter().map(line).collect();
            return report;
        }
    };
    let Manifest { pipeline, objects } = &manifest;
    let name = pipeline.metadata.name.as_deref().unwrap_or_default();
    let mut lines = vec![match build::configuration(pipeline) {
        Ok(_) => Line::ok("manifest", "is valid"),
        Err(error) => Line::of(Level::Error, "manifest", &Finding::with_default_fix(reason::CONFIG_INVALID, error)),
    }];
    let found: Vec<(Reference, Resolved)> =
        secrets::named(pipeline).into_iter().map(|reference| with(objects, reference)).collect();
    lines.extend(secrets::judge(pipeline, &found, true));
    lines.extend(exposure::links(&pipeline.spec));
    report.add_about(name, lines);
    report
}

fn with(objects: &Objects, reference: Reference) -> (Reference, Resolved) {
    let found = match reference.source {
        Source::Secret => objects.secrets.get(&reference.name),
        Source::ConfigMap => objects.config_maps.get(&reference.name),
    };
    (reference, found.map_or(Resolved::Missing, |content| Resolved::Found(content.clone())))
}

/// A problem says itself what to do.
fn line(problem: &Problem) -> Line {
    let (path, text) = (problem.path(), problem.to_string());
    let subject = if path.is_empty() { "the file" } else { path };
    let message = text.strip_prefix(subject).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
    let fix = match path.strip_prefix("spec.").map(|path| path.split('[').next().unwrap_or(path)) {
        Some(field) => {
            format!("change it as said; `kubectl explain sup.spec.{field}` and docs/resource-reference.md describe it")
        }
        None => "change it as said; docs/resource-reference.md describes every field".to_owned(),
    };
    Line::error(subject, message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");

    #[test]
    fn every_problem_of_a_file_is_an_error_with_its_path() {
        let report = judge(&MINIMAL.replace("spec:\n", "spec:\n  task: {delay: 1e9h, queue: none}\n"));
        let subjects: Vec<&str> = report.findings.iter().map(|line| line.subject.as_str()).collect();
        assert!(subjects.contains(&"spec.task.delay") && subjects.contains(&"spec.task.queue"), "{subjects:?}");
        assert!(report.findings.iter().all(|line| line.level == Level::Error && line.fix.is_some()));
        let delay = report.findings.iter().find(|line| line.subject == "spec.task.delay").expect("it is there");
        assert!(delay.message.starts_with("\"1e9h\" must be a duration"), "{}", delay.message);
    }

    #[test]
    fn a_valid_file_lists_the_secrets_that_the_cluster_has_to_have() {
        let report = judge(MINIMAL);
        assert_eq!(report.exit_code(), 0);
        assert!(
            report
                .findings
                .iter()
                .any(|line| line.subject == "demo Secret app-db" && line.message.contains("not in the file"))
        );
    }

    #[test]
    fn an_exposed_file_whose_links_need_a_certificate_that_it_does_not_name_is_warned_of() {
        let exposed = "expose: {host: app.example.com, ingress: {}}";
        let report = judge(&MINIMAL.replace("verification: {publicURL: https://app.example.com}", exposed));
        assert_eq!((report.exit_code(), report.count(Level::Warning)), (0, 1), "{}", report.to_text());
        assert!(report.to_text().contains("demo links") && report.to_text().contains("tlsSecretName"));
    }

    #[test]
    fn a_secret_of_the_file_is_looked_into_without_being_shown() {
        let secret =
            "---\napiVersion: v1\nkind: Secret\nmetadata: {name: app-db}\nstringData: {uri: \"mysql://canary\"}\n";
        let report = judge(&format!("{MINIMAL}{secret}"));
        assert_eq!(report.exit_code(), 1);
        assert!(report.to_text().contains("does not begin with postgres://") && !report.to_text().contains("canary"));
    }
}
