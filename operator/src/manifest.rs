//! A file that holds a SignupPipeline, and the Secrets and ConfigMaps that it names.
//!
//! Takes: YAML text of one or more documents. Gives: a [`Manifest`], or every [`Problem`] found at once, each with the
//! path of the field, its value and what to do. Validated by the CRD's own schema and rules. Does not: ask a cluster,
//! or say anything about Secrets that are not in the file.
//!
//! # Layout
//!
//! - `schema`: the structural half of the CRD: types, unknown and missing fields, ranges
//! - `rules`: the CEL half
//! - [`objects`]: Secrets and ConfigMaps
//! - [`problem`]: what is wrong, in words

pub mod objects;
pub mod problem;
mod rules;
mod schema;

use crate::crd::SignupPipeline;
use kube::{CustomResourceExt, Resource};
use objects::Objects;
use problem::{Problem, Problems};
use serde_json::Value;
use std::sync::LazyLock;

/// A valid file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The one pipeline of the file, defaults filled in.
    pub pipeline: SignupPipeline,
    /// The other documents.
    pub objects: Objects,
}

/// The schema that `operator crd` prints.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = serde_json::to_value(SignupPipeline::crd()).unwrap_or_default();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default()
});

/// Reads and validates a file's text.
///
/// # Errors
///
/// All problems found. A wrong type or a missing field hides what the CEL rules would say, as on the API server.
pub fn parse(text: &str) -> Result<Manifest, Problems> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text)
        .map_err(|error| Problem::new("", "is not YAML that can be read").because(&error))?;
    let (mut pipelines, mut objects, mut problems) = (Vec::new(), Objects::default(), Vec::new());
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        match (text_at(&document, "/apiVersion"), text_at(&document, "/kind")) {
            (api, kind) if api == SignupPipeline::api_version(&()) && kind == "SignupPipeline" => {
                pipelines.push(document)
            }
            ("v1", "Secret" | "ConfigMap") => problems.extend(objects.add(document).err()),
            (api, kind) => problems.push(foreign(api, kind)),
        }
    }
    let pipeline = match <[Value; 1]>::try_from(pipelines) {
        Ok([document]) => validate(document).map_err(|found| problems.extend(found)).ok(),
        Err(found) => {
            problems.push(not_one(found.len()));
            None
        }
    };
    match pipeline {
        Some(pipeline) if problems.is_empty() => Ok(Manifest { pipeline, objects }),
        _ => Err(Problems(problems)),
    }
}

fn text_at<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn foreign(api_version: &str, kind: &str) -> Problem {
    Problem::new(
        "kind",
        "is not used here; a file holds one SignupPipeline (signup.dev/v1alpha1), Secrets and ConfigMaps (v1)",
    )
    .with_text(&format!("{api_version}/{kind}"))
}

fn not_one(count: usize) -> Problem {
    Problem::new("", &format!("holds {count} SignupPipeline documents (signup.dev/v1alpha1); leave exactly one"))
}

/// Validates one document as the API server would, but refuses unknown fields instead of dropping them.
fn validate(mut document: Value) -> Result<SignupPipeline, Vec<Problem>> {
    drop_nulls(&mut document);
    let mut problems = schema::check(&SCHEMA, &document);
    if !problems.iter().any(Problem::hides_rules) {
        problems.extend(rules::check(&SCHEMA, &document));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(document).map_err(|error| vec![Problem::new("", "cannot be read").because(&error)])
}

/// A field that is null is an absent field, as on the API server.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
