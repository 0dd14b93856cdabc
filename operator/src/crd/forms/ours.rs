//! Schemas of what passes a Kubernetes type through, but for what the operator sets itself.
//!
//! Gives: schemas that name the fields which may clash, with a rule whose message says that they are the operator's and
//! what to write instead; the other fields are open. Does not: build pods; there ours are written last.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Variables that the programs take their settings from (api/src/config.rs, worker/src/config.rs; a test compares).
pub const VARIABLES: [&str; 6] =
    ["ADMIN_ADDR", "CONFIG", "GRPC_ADDR", "HTTP_ADDR", "MAX_CONNECTIONS", "MAX_WAITING_PER_CORE"];

/// Names of volumes of ours (a test compares).
pub const VOLUMES: [&str; 12] = [
    "config",
    "database",
    "database-ca",
    "database-migrations",
    "denied-domains",
    "keys",
    "redis",
    "redis-ca",
    "smtp",
    "smtp-ca",
    "templates",
    "webhooks",
];

/// What Pod Security `restricted` lets pass (Kubernetes, Pod Security Standards, volume types).
const SOURCES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// Any object.
fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// A list of objects that are told apart by the text `key`.
fn list(key: &str, text: Value, mut item: Value) -> Schema {
    item["required"] = json!([key]);
    item["properties"][key] = text;
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
        "items": item,
    })
}

fn text(description: &str, rule: &str, message: &str) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 512,
        "description": description,
        "x-kubernetes-validations": [{"rule": rule, "message": message}],
    })
}

fn one_of(names: &[&str]) -> String {
    format!("self in ['{}']", names.join("', '"))
}

/// core/v1 EnvVar. PostgreSQL's own (`PGSSLMODE`) would change what its URI says.
pub(in crate::crd) fn env(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("!({}) && !self.startsWith('PG')", one_of(&VARIABLES));
    let message = format!(
        "is the operator's: the programs take their settings from the fields of spec, and PostgreSQL's (PG...) from \
            its Secret; set those, and remove {} and PG... here",
        VARIABLES.join(", ")
    );
    list("name", text("Name of the variable.", &rule, &message), open())
}

/// core/v1 Volume. With a hostPath, who may create a pipeline could read every node.
pub(in crate::crd) fn volumes(_: &mut SchemaGenerator) -> Schema {
    let message = format!("is the name of a volume of the operator's ({}); name it otherwise", VOLUMES.join(", "));
    let name = text("Name of the volume.", &format!("!({})", one_of(&VOLUMES)), &message);
    let sources = SOURCES.map(|source| (source.to_owned(), described(open(), "As in core/v1 Volume.")));
    let sources: Map<String, Value> = sources.into_iter().collect();
    list("name", name, json!({"type": "object", "properties": sources}))
}

/// core/v1 VolumeMount. What lies at a folder of ours, below it or above it would hide files, as at a program.
pub(in crate::crd) fn volume_mounts(_: &mut SchemaGenerator) -> Schema {
    let ours = "^/((etc|run|api|worker|operator|inbox)/?|(etc/signup[^/]*|run/secrets)(/.*)?)?$";
    let rule =
        format!("self.startsWith('/') && !self.contains('//') && !self.contains('..') && !self.matches('{ours}')");
    let message = "must be an absolute path beside what the operator mounts (/etc/signup..., /run/secrets) and the \
        programs (/api, /worker), such as /etc/ssl/certs";
    list("mountPath", text("Where the container sees it.", &rule, message), open())
}

/// An object in which `ours` are refused.
fn without(ours: &[(&str, &str)], advice: &str, beside: Value) -> Schema {
    let names: Vec<&str> = ours.iter().map(|(name, _)| *name).collect();
    let rule: Vec<String> = names.iter().map(|name| format!("!has(self.{name})")).collect();
    let message = format!("{} are the operator's; remove them{advice}", names.join(", "));
    let mut properties = beside;
    for (name, kind) in ours {
        let schema = if *kind == "object" { open() } else { json!({"type": kind}) };
        properties[name] = described(schema, "The operator's; refused here.");
    }
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": properties,
        "x-kubernetes-validations": [{"rule": rule.join(" && "), "message": message}],
    })
}

/// core/v1 PodSecurityContext. Ids are refused by a rule of the whole spec, which knows `podSecurity`.
pub(in crate::crd) fn security_context(_: &mut SchemaGenerator) -> Schema {
    let ours = [("runAsNonRoot", "boolean"), ("seccompProfile", "object"), ("fsGroupChangePolicy", "string")];
    let id = |description| json!({"type": "integer", "minimum": 1, "maximum": i32::MAX, "description": description});
    let ids = json!({
        "runAsUser": id("User, with podSecurity: Assigned."),
        "runAsGroup": id("Group, with podSecurity: Assigned."),
        "fsGroup": id("Group that files of volumes belong to, with podSecurity: Assigned."),
    });
    without(&ours, "", ids)
}

/// core/v1 SecurityContext.
pub(in crate::crd) fn container_security_context(_: &mut SchemaGenerator) -> Schema {
    let ours = [
        ("allowPrivilegeEscalation", "boolean"),
        ("capabilities", "object"),
        ("privileged", "boolean"),
        ("procMount", "string"),
        ("readOnlyRootFilesystem", "boolean"),
        ("runAsGroup", "integer"),
        ("runAsNonRoot", "boolean"),
        ("runAsUser", "integer"),
        ("seccompProfile", "object"),
    ];
    without(&ours, " (ids stand in pod.securityContext, with podSecurity: Assigned)", json!({}))
}
