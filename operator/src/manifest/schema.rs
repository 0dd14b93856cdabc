//! The structural half of the CRD's validation.
//!
//! Takes: an OpenAPI v3 schema in the form that Kubernetes allows in CRDs, and a document. Gives: a [`Problem`] per
//! field of a wrong type, unknown, missing, out of range, not in the list of values, or doubled in a list with keys.
//! Does not: fill in defaults or evaluate CEL. Keywords that our CRD does not use are not implemented; a test holds
//! that.

use super::problem::Problem;
use crate::crd;
use regex::Regex;
use serde_json::{Map, Value};

/// Checks a whole document (`metadata` is Kubernetes' own and only needs a name).
pub(super) fn check(schema: &Value, document: &Value) -> Vec<Problem> {
    let mut problems = check_metadata(document.get("metadata"));
    let empty = Map::new();
    for (field, value) in document.as_object().unwrap_or(&empty) {
        match field.as_str() {
            // What the cluster writes; a file made by `kubectl get -o yaml` carries it.
            "status" | "apiVersion" | "kind" | "metadata" => {}
            "spec" => check_value(&schema["properties"]["spec"], value, "spec", &mut problems),
            unknown => problems.push(Problem::new(unknown, "is not a field of SignupPipeline; remove it").blocking()),
        }
    }
    if document.get("spec").is_none() {
        problems.push(Problem::new("spec", "is missing; add it").blocking());
    }
    problems
}

fn check_metadata(metadata: Option<&Value>) -> Vec<Problem> {
    let name = metadata.and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    // The rule of the definition asks for an older object, of which a file knows nothing.
    let is_name = |text: &str| matches(text, crd::NAME) && text.len() <= 253;
    match name {
        None => vec![Problem::new("metadata.name", "is missing; give the pipeline a name such as demo").blocking()],
        Some(name) if !is_name(name) => vec![Problem::new("metadata.name", crd::NAME_ADVICE).with_text(name)],
        Some(_) => Vec::new(),
    }
}

fn check_value(schema: &Value, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        if !value.is_string() && !value.is_i64() {
            problems.push(wrong_type(path, value, "a whole number or a string"));
        }
        return;
    }
    match (schema["type"].as_str().unwrap_or_default(), value) {
        ("object", Value::Object(fields)) => check_object(schema, fields, path, problems),
        ("array", Value::Array(items)) => check_array(schema, items, path, problems),
        ("string", Value::String(text)) => check_text(schema, text, path, problems),
        ("boolean", Value::Bool(_)) => {}
        ("integer", Value::Number(number)) if number.is_i64() => check_number(schema, value, path, problems),
        ("object", _) => problems.push(wrong_type(path, value, "an object with fields")),
        ("array", _) => problems.push(wrong_type(path, value, "a list")),
        ("string", Value::Bool(read)) if schema.get("enum").is_some() => {
            let advice = format!("is how YAML reads a bare word such as Off or No; write {} in quotes", words(schema));
            problems.push(Problem::new(path, &advice).with_text(&read.to_string()).blocking());
        }
        ("string", _) => problems.push(wrong_type(path, value, "a string; put it in quotes")),
        ("boolean", _) => problems.push(wrong_type(path, value, "true or false")),
        _ => problems.push(wrong_type(path, value, "a whole number")),
    }
}

fn wrong_type(path: &str, value: &Value, expected: &str) -> Problem {
    let found = match value {
        Value::Object(_) => "is an object and must be ",
        Value::Array(_) => "is a list and must be ",
        _ => "must be ",
    };
    Problem::new(path, &format!("{found}{expected}")).with_value(value).blocking()
}

fn check_object(schema: &Value, fields: &Map<String, Value>, path: &str, problems: &mut Vec<Problem>) {
    let is_open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    check_count(schema, ["minProperties", "maxProperties"], fields.len(), path, problems);
    let empty = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&empty);
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        match known.get(name).or_else(|| schema.get("additionalProperties")) {
            Some(field) => check_value(field, value, &path, problems),
            None if is_open => {}
            None => problems.push(unknown_field(&path, known)),
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            let advice = match known.get(required).and_then(|field| field["description"].as_str()) {
                Some(description) => format!("is missing; add it. {description}"),
                None => "is missing; add it".into(),
            };
            problems.push(Problem::new(&format!("{path}.{required}"), &advice).blocking());
        }
    }
}

fn unknown_field(path: &str, known: &Map<String, Value>) -> Problem {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    Problem::new(path, &format!("is not a known field; remove it, or use one of {}", names.join(", "))).blocking()
}

fn check_array(schema: &Value, items: &[Value], path: &str, problems: &mut Vec<Problem>) {
    check_count(schema, ["minItems", "maxItems"], items.len(), path, problems);
    for (index, item) in items.iter().enumerate() {
        check_value(&schema["items"], item, &format!("{path}[{index}]"), problems);
    }
    for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        for (index, item) in items.iter().enumerate() {
            if item.get(key).is_some() && items[..index].iter().any(|earlier| earlier.get(key) == item.get(key)) {
                let problem =
                    Problem::new(&format!("{path}[{index}].{key}"), "is in the list twice; remove one of them");
                problems.push(problem.with_value(&item[key]));
            }
        }
    }
}

fn check_count(schema: &Value, [min, max]: [&str; 2], count: usize, path: &str, problems: &mut Vec<Problem>) {
    let count = count as u64;
    let (min, max) = (schema[min].as_u64().unwrap_or(0), schema[max].as_u64().unwrap_or(u64::MAX));
    if count < min {
        problems.push(Problem::new(path, &format!("has {count} entries and needs {min} or more; add some")).blocking());
    } else if count > max {
        problems.push(Problem::new(path, &format!("has {count} entries and may have {max}; remove some")).blocking());
    }
}

fn check_text(schema: &Value, text: &str, path: &str, problems: &mut Vec<Problem>) {
    let length = text.chars().count() as u64;
    let mut report = |advice: String| problems.push(Problem::new(path, &advice).with_text(text));
    if let Some(values) = schema["enum"].as_array()
        && !values.iter().any(|value| value == text)
    {
        report(format!("must be one of {}", words(schema)));
    } else if length < schema["minLength"].as_u64().unwrap_or(0) {
        report("is empty; give a value or remove the field".into());
    } else if length > schema["maxLength"].as_u64().unwrap_or(u64::MAX) {
        report(format!("has {length} characters and may have {}; shorten it", schema["maxLength"]));
    } else if let Some(pattern) = schema["pattern"].as_str()
        && !matches(text, pattern)
    {
        report(format!("must match {pattern}; write small letters, digits, - and . as in app-db"));
    }
}

/// The values of an enumeration.
fn words(schema: &Value) -> String {
    let values: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    values.join(", ")
}

fn check_number(schema: &Value, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    // Bounds of ours are small whole numbers; the CRD's types write them as floating point.
    let bound = |keyword, without| schema[keyword].as_f64().map_or(without, |bound: f64| bound as i64);
    let (min, max) = (bound("minimum", i32::MIN.into()), bound("maximum", i32::MAX.into()));
    if value.as_i64().is_some_and(|number| number < min || number > max) {
        problems.push(Problem::new(path, &format!("must be {min} to {max}")).with_value(value));
    }
}

/// False when the pattern is none; the test over the golden CRD compiles them all.
fn matches(text: &str, pattern: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}
