//! The file of a local run, and its changes.
//!
//! Takes: the file and the folder of Secrets. Gives: the manifest at first, then again whenever either changes, and the
//! fields that differ: those that running processes follow, those that they read at their start, and those that
//! something here stands in for. Does not: apply anything.

use super::{LocalError, options::Options};
use crate::{
    build::restarts::{self, InLocalRun},
    crd::SignupPipelineSpec,
    manifest::{self, Manifest, objects::Objects},
};
use serde_json::Value;
use std::path::PathBuf;

/// What an edit changes, as `spec.task.delay: 10s -> 1s`, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Running processes follow it.
    pub(super) live: Vec<String>,
    /// A process reads it at its start.
    pub(super) at_start: Vec<String>,
    /// Something that stands in here has its place, so no process hears of it.
    pub(super) overridden: Vec<String>,
}

/// The file, and what it held when it was last read.
#[derive(Debug)]
pub(super) struct Source {
    file: PathBuf,
    secrets_dir: Option<PathBuf>,
    seen: Option<Result<(String, Objects), String>>,
}

impl Source {
    pub(super) fn new(options: &Options) -> Self {
        Self { file: options.file.clone(), secrets_dir: options.secrets_dir.clone(), seen: None }
    }

    /// Reads and validates.
    pub(super) fn read(&mut self) -> Result<Manifest, LocalError> {
        let (text, secrets) = self.load()?;
        self.seen = Some(Ok((text.clone(), secrets.clone())));
        self.parse(&text, secrets)
    }

    /// Reads again; `None` when nothing changed since it was last read.
    pub(super) fn changed(&mut self) -> Option<Result<Manifest, LocalError>> {
        let loaded = self.load();
        let now = match &loaded {
            Ok(content) => Ok(content.clone()),
            Err(error) => Err(error.to_string()),
        };
        let before = self.seen.replace(now)?;
        if self.seen == Some(before) {
            return None;
        }
        Some(loaded.and_then(|(text, secrets)| self.parse(&text, secrets)))
    }

    fn load(&self) -> Result<(String, Objects), LocalError> {
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| LocalError::Read { path, source }
        };
        let text = std::fs::read_to_string(&self.file).map_err(failed(&self.file))?;
        let mut secrets = Objects::default();
        if let Some(folder) = &self.secrets_dir {
            secrets.add_secrets_from(folder).map_err(failed(folder))?;
        }
        Ok((text, secrets))
    }

    fn parse(&self, text: &str, secrets: Objects) -> Result<Manifest, LocalError> {
        let invalid = |problems| LocalError::Invalid { path: self.file.clone(), problems };
        let mut manifest = manifest::parse(text).map_err(invalid)?;
        manifest.objects.secrets.extend(secrets.secrets);
        Ok(manifest)
    }
}

/// The fields that differ. `in_force` gives what of a spec the processes are told here.
pub(super) fn differences(
    old: &Manifest,
    new: &Manifest,
    in_force: impl Fn(&SignupPipelineSpec) -> SignupPipelineSpec,
) -> Differences {
    let [old_spec, new_spec] = [&old.pipeline.spec, &new.pipeline.spec];
    let told = compared(&in_force(old_spec), &in_force(new_spec));
    let (mut found, overridden): (Vec<_>, Vec<_>) =
        compared(old_spec, new_spec).into_iter().partition(|line| told.contains(line));
    if old.objects != new.objects {
        found.push("the content of a Secret or ConfigMap".into());
    }
    let (at_start, live) = found.into_iter().partition(|line| is_read_at_start(line));
    Differences { live, at_start, overridden }
}

fn compared(old: &SignupPipelineSpec, new: &SignupPipelineSpec) -> Vec<String> {
    let json = |spec| serde_json::to_value(spec).unwrap_or_default();
    let mut found = Vec::new();
    compare("spec", &json(old), &json(new), &mut found);
    found
}

/// Whether `line` begins with a field that a process reads at its start alone.
fn is_read_at_start(line: &str) -> bool {
    let at_start = restarts::ALL.iter().filter(|restart| restart.in_local_run == InLocalRun::AtStart);
    at_start.filter_map(|restart| line.strip_prefix(restart.path())).any(|rest| rest.starts_with(['.', ':']))
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let [old, new] = [old, new].map(|fields| fields.get(name).unwrap_or(&Value::Null));
                compare(&format!("{path}.{name}"), old, new, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, found);
            }
        }
        _ if old == new => {}
        _ => found.push(format!("{path}: {} -> {}", shown(old), shown(new))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_reads_at_its_start_is_told_apart_from_what_it_follows() {
        const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
        let parse = |text: &str| manifest::parse(text).expect("it is valid");
        let edited =
            MINIMAL.replace("{name: app-db}}", "{name: app-db}, maxConnectionsPerPod: 20, migrations: Manual}");
        let more = "  task: {delay: 1s}\n  worker: {concurrency: 2, shutdownGracePeriod: 1m}\n";
        let found = differences(&parse(MINIMAL), &parse(&format!("{edited}{more}")), Clone::clone);
        let expected = Differences {
            live: vec!["spec.task.delay: 10s -> 1s".into(), "spec.worker.concurrency: 16 -> 2".into()],
            at_start: vec![
                "spec.database.maxConnectionsPerPod: 10 -> 20".into(),
                "spec.database.migrations: Auto -> Manual".into(),
                "spec.worker.shutdownGracePeriod: 40s -> 1m".into(),
            ],
            overridden: Vec::new(),
        };
        assert_eq!(found, expected);
        assert_eq!(differences(&parse(MINIMAL), &parse(MINIMAL), Clone::clone), Differences::default());
    }

    #[test]
    fn what_something_here_stands_in_for_is_told_apart_from_what_is_applied() {
        const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
        let parse = |text: &str| manifest::parse(text).expect("it is valid");
        let edited = MINIMAL.replace("smtp.example.com", "mail.example.com") + "  task: {delay: 1s}\n";
        let inbox = |spec: &SignupPipelineSpec| {
            let mut spec = spec.clone();
            spec.mail.smtp.host = "127.0.0.1".into();
            spec
        };
        let found = differences(&parse(MINIMAL), &parse(&edited), inbox);
        assert_eq!(found.live, ["spec.task.delay: 10s -> 1s"]);
        assert_eq!(found.overridden, ["spec.mail.smtp.host: smtp.example.com -> mail.example.com"]);
    }
}
