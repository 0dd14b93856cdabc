//! The CEL half of the CRD's validation.
//!
//! Takes: the CRD's schema with its `x-kubernetes-validations`, and a document. Gives: a [`Problem`] per rule that does
//! not hold, with the rule's own message. Does not: check types; a document with wrong types is not handed in.

use super::problem::Problem;
use kube::core::cel::{ErrorKind, ValidationError, Validator};
use serde_json::Value;

/// Evaluates every rule on the document with its defaults filled in, as the API server does. A rule over several fields
/// is not reported while one of them is malformed: that one is, and it would only be repeated.
pub(super) fn check(schema: &Value, document: &Value) -> Vec<Problem> {
    let Err(errors) = Validator::new().validate(schema, document, None) else { return Vec::new() };
    let field = |error: &ValidationError| error.field_path.strip_prefix("spec.").map(|path| format!("self.{path}"));
    let malformed: Vec<String> = errors
        .iter()
        .filter(|error| error.kind == ErrorKind::ValidationFailure)
        .filter_map(|error| field(error).filter(|field| !error.rule.contains(field)))
        .collect();
    // A rule that asks for the older object (of the name) cannot be evaluated here; `schema` holds it.
    let repeats = |error: &&ValidationError| {
        malformed.iter().any(|field| error.rule.contains(field)) || error.rule.contains("oldSelf")
    };
    errors.iter().filter(|error| !repeats(error)).map(|error| problem(error, document)).collect()
}

fn problem(error: &ValidationError, document: &Value) -> Problem {
    let problem = Problem::new(&error.field_path, &error.message);
    match at(document, &error.field_path) {
        Some(value) => problem.with_value(value),
        None => problem,
    }
}

/// Value at a path such as `spec.queues[0].name`.
fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).try_fold(document, |value, step| {
        match step.strip_suffix(']').map(str::parse::<usize>) {
            Some(Ok(index)) => value.get(index),
            _ => value.get(step),
        }
    })
}
