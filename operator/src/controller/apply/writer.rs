//! Who wrote a field?
//!
//! Takes: `metadata.managedFields` of an object, and a path. Gives: the field manager that changed it, which is all
//! that the API server keeps of who wrote (Kubernetes, Server-Side Apply, FieldsV1). Pure.

use super::drift::{Path, Step};
use crate::build::names::{FIELD_MANAGER, SCALER_FIELD_MANAGER};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// Whose a field is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// The operator's: the API server writes the same value in another way (`1000m`, `1`).
    Ours,
    /// Somebody else's: the field manager that has it, or of a field that was removed the one that wrote last.
    Other(String),
}

/// Who has the field at `path`.
pub(super) fn writer(fields: &[ManagedFieldsEntry], path: &Path) -> Writer {
    let others = || fields.iter().filter(|entry| !is_ours(entry));
    let newest = |entries: Vec<&ManagedFieldsEntry>| {
        let newest = entries.into_iter().max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
        newest.map(|entry| Writer::Other(entry.manager.clone().unwrap_or_else(|| "somebody".to_owned())))
    };
    if let Some(writer) = newest(others().filter(|entry| has(entry, path)).collect()) {
        return writer;
    }
    if fields.iter().any(|entry| is_ours(entry) && has(entry, path)) {
        return Writer::Ours;
    }
    newest(others().collect()).unwrap_or_else(|| Writer::Other("somebody".to_owned()))
}

/// Whether the operator's main field manager, and nobody else, has the field at `path`.
pub(super) fn is_only_ours(fields: &[ManagedFieldsEntry], path: &Path) -> bool {
    let mut owners = fields.iter().filter(|entry| has(entry, path)).peekable();
    owners.peek().is_some() && owners.all(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref().is_some_and(|manager| [FIELD_MANAGER, SCALER_FIELD_MANAGER].contains(&manager))
}

fn has(entry: &ManagedFieldsEntry, path: &Path) -> bool {
    entry.fields_v1.as_ref().is_some_and(|fields| reaches(&fields.0, &path.0))
}

/// What ends before the path does is one value as a whole.
fn reaches(fields: &Value, path: &[Step]) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    let Some((step, rest)) = path.split_first() else { return true };
    if fields.is_empty() {
        return true;
    }
    match step {
        Step::Field(name) => fields.get(&format!("f:{name}")).is_some_and(|inner| reaches(inner, rest)),
        Step::Item(_, item) => fields.iter().any(|(key, inner)| is_key_of(key, item) && reaches(inner, rest)),
    }
}

/// Items are named by JSON of the fields that tell them apart: `k:{"name":"api"}`.
fn is_key_of(key: &str, item: &Value) -> bool {
    let key = key.strip_prefix("k:").and_then(|key| serde_json::from_str::<Value>(key).ok());
    let Some(Value::Object(key)) = key else { return false };
    key.iter().all(|(name, value)| item.get(name).is_none_or(|own| own == value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, second: u8, fields: Value) -> ManagedFieldsEntry {
        let time = format!("2026-01-01T00:00:{second:02}Z");
        let entry = json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields});
        serde_json::from_value(entry).expect("an entry")
    }

    fn image() -> Path {
        let field = |name: &str| Step::Field(name.to_owned());
        let item = Step::Item("name", json!({"name": "api", "image": "a"}));
        Path(vec![field("spec"), field("containers"), item, field("image")])
    }

    fn of_container(name: &str) -> Value {
        let key = format!("k:{{\"name\":\"{name}\"}}");
        json!({"f:spec": {"f:containers": {key: {".": {}, "f:image": {}}}}})
    }

    fn other(name: &str) -> Writer {
        Writer::Other(name.to_owned())
    }

    #[test]
    fn the_writer_is_who_has_the_field_or_of_a_field_that_is_gone_who_wrote_last() {
        let ours = entry(FIELD_MANAGER, 9, of_container("api"));
        let proxy = entry("injector", 8, of_container("proxy"));
        let (first, last) = (entry("first", 1, of_container("api")), entry("last", 2, of_container("api")));
        assert_eq!(writer(&[ours.clone(), proxy.clone()], &image()), Writer::Ours);
        assert_eq!(writer(&[ours, proxy.clone(), first.clone(), last.clone()], &image()), other("last"));
        assert_eq!(writer(&[proxy, last], &Path::of_spec("class")), other("injector"));
        assert_eq!(writer(&[], &image()), other("somebody"));
        assert_eq!(writer(&[entry("atomic", 1, json!({"f:spec": {"f:containers": {}}}))], &image()), other("atomic"));
    }

    #[test]
    fn a_field_is_only_ours_while_no_other_manager_has_it() {
        let replicas = || json!({"f:spec": {"f:replicas": {}}});
        let path = Path::of_spec("replicas");
        let ours = entry(FIELD_MANAGER, 1, replicas());
        assert!(is_only_ours(std::slice::from_ref(&ours), &path));
        for other in [SCALER_FIELD_MANAGER, "kube-controller-manager"] {
            assert!(!is_only_ours(&[ours.clone(), entry(other, 2, replicas())], &path));
        }
        assert!(!is_only_ours(&[], &path));
    }
}
