//! Texts of a certain form.
//!
//! Gives: schemas for strings whose CEL rule says, in words, what to write; used by
//! `#[schemars(schema_with)]`. What passes a Kubernetes type through beside something of ours is in [`ours`]. Does not:
//! hold values; the fields stay plain strings.

pub mod ours;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// A string of 1 to `max_length` characters that matches `pattern`; `message` says what to write.
fn text(max_length: u32, pattern: &str, message: &str) -> Schema {
    let rule = format!("self.matches('{pattern}')");
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": max_length,
        "x-kubernetes-validations": [{"rule": rule, "message": message}],
    })
}

/// Name of a Secret or another object (RFC 1123 subdomain, as Kubernetes references). A plain pattern, because the
/// field is frequent and the rule well known; the same holds for [`secret_key`].
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    let pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    json_schema!({"type": "string", "maxLength": 253, "pattern": pattern})
}

/// Name of a key inside a Secret.
pub(super) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 253, "pattern": "^[-._a-zA-Z0-9]+$"})
}

/// A schema of PostgreSQL, which cuts names to 63 bytes and keeps `pg_` for itself.
pub(super) fn schema_name(_: &mut SchemaGenerator) -> Schema {
    let mut schema = text(
        63,
        "^[a-zA-Z_][-a-zA-Z0-9_$]*$",
        "must be 1 to 63 letters, digits, _ - or $, the first a letter or _, such as signup",
    );
    let own = "!self.startsWith('pg_') && self != 'information_schema'";
    let rule = json!({"rule": own, "message": "must not be one of PostgreSQL's own schemas; name one such as signup"});
    if let Some(rules) = schema.get_mut("x-kubernetes-validations").and_then(|rules| rules.as_array_mut()) {
        rules.push(rule);
    }
    schema
}

/// A pipeline with its namespace.
pub(super) fn pipeline_name(_: &mut SchemaGenerator) -> Schema {
    text(
        317,
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "must be a namespace and the name of a pipeline in it, such as shop/demo",
    )
}

/// asynq's queue name. Braces would break the hash tag of its Redis keys, white space the tools that list queues.
pub(super) fn queue_name(_: &mut SchemaGenerator) -> Schema {
    text(63, "^[-a-zA-Z0-9_.:]{1,63}$", "must be 1 to 63 letters, digits, - _ . or : such as critical or mail:bulk")
}

/// Base of the links in the mails.
pub(super) fn public_url(_: &mut SchemaGenerator) -> Schema {
    text(
        512,
        &url(),
        "must be like https://app.example.com or https://example.com/signup: http or https, no user, no ? and no #",
    )
}

/// A name, an address of IPv4, or one of IPv6 in brackets; perhaps a port and a path.
fn url() -> String {
    format!(r"^https?://([-a-zA-Z0-9.]+|\\[{}\\])(:[0-9]{{1,5}})?(/[-a-zA-Z0-9._~/]*)?$", ipv6())
}

/// Where a service of others is.
pub(super) fn service_url(_: &mut SchemaGenerator) -> Schema {
    text(512, &url(), "must be like https://api.pwnedpasswords.com/range: http or https, no user, no ? and no #")
}

/// Where an application is told of users and mails.
pub(super) fn webhook_url(_: &mut SchemaGenerator) -> Schema {
    let host = format!(r"([-a-zA-Z0-9.]+|\\[{}\\])(:[0-9]{{1,5}})?", ipv6());
    let rest = "(/[-a-zA-Z0-9._~/%]*)?([?][-a-zA-Z0-9._~/%=&+]*)?";
    let message = "must be like https://app.example.com/hooks: http or https, no user and no #";
    text(512, &format!("^https?://{host}{rest}$"), message)
}

/// Sender of the mails, with or without a name before it: what [`pipeline::Mailbox`] reads, but for quotes in the
/// address itself and for the lengths of its parts.
pub(super) fn mail_address(_: &mut SchemaGenerator) -> Schema {
    let address = address();
    let quoted_name = r#""([^"\\\\\\p{Cc}]|\\\\[^\\p{Cc}])*""#;
    text(
        320,
        &format!(r"^(({quoted_name}|[^<>\\p{{Cc}}]*) *<{address}>|{address})$"),
        "must be an address like no-reply@example.com or Example, Inc. <no-reply@example.com>",
    )
}

/// An address alone.
pub(super) fn bare_address(_: &mut SchemaGenerator) -> Schema {
    text(254, &format!("^{}$", address()), "must be an address alone such as bounces@example.com")
}

/// A dot-atom and a domain. In a string of CEL each backslash stands twice; \x27 is the apostrophe, which would end it.
fn address() -> String {
    let atom = r"[a-zA-Z0-9!#$%&\\x27*+/=?^_`{|}~-]+";
    let label = "[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?";
    // What is all digits would be an IP address.
    let top_label = "([0-9]*[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?|[0-9]+-[-a-zA-Z0-9]*[a-zA-Z0-9])";
    format!("{atom}([.]{atom})*@({label}[.])*{top_label}")
}

/// What a mail server wants at EHLO: a name with a dot (RFC 5321 section 4.1.1.1).
pub(super) fn hello_name(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+$",
        "must be a full DNS name such as mail.example.com",
    )
}

/// Host name or IP address. A colon stands in IPv6 addresses alone, which have two or more: one is before a port.
pub(super) fn host(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "^([-a-zA-Z0-9_.]+|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)$",
        "must be a host name or an IP address such as smtp.example.com or 2001:db8::1 (no brackets), without a port \
            or scheme; the port is mail.smtp.port",
    )
}

/// DNS name that an Ingress or HTTPRoute answers to; `*.` may lead.
pub(super) fn exposed_host(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be a DNS name in small letters such as app.example.com, without a port or scheme",
    )
}

/// Networks in CIDR notation, or single addresses: what [`pipeline::Network`] reads, but for IPv6 that ends in IPv4.
pub(super) fn networks(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": network(generator)})
}

fn network(_: &mut SchemaGenerator) -> Schema {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    let v4 = format!("({octet}[.]){{3}}{octet}(/(3[0-2]|[12]?[0-9]))?");
    let v6 = format!("{}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?", ipv6());
    text(43, &format!("^({v4}|{v6})$"), "must be a network like 10.0.0.0/8 or 2001:db8::/32, or an address")
}

/// An address of IPv6 that does not end in IPv4.
fn ipv6() -> String {
    let h = "[0-9a-fA-F]{1,4}";
    // `::` stands for one group of zeros or more: so many groups may be before it and after it.
    let shortened: Vec<String> = (1..7).map(|before| format!("({h}:){{{before}}}(:{h}){{1,{}}}", 7 - before)).collect();
    format!("(({h}:){{7}}{h}|({h}:){{1,7}}:|:((:{h}){{1,7}}|:)|{})", shortened.join("|"))
}

/// Origins of web pages: what [`pipeline::Origin`] reads, but for IPv6 that ends in IPv4.
pub(super) fn origins(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": origin(generator)})
}

fn origin(_: &mut SchemaGenerator) -> Schema {
    let label = "[-a-z0-9_]+";
    let port = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}|0))?";
    text(
        260,
        &format!(r"^[a-z][-a-z0-9+.]*://(([*][.])?{label}([.]{label})*|\\[{}\\]){port}$", ipv6()),
        "must be an origin like https://app.example.com, http://localhost:3000 or https://*.example.com: a scheme, a \
            host in small letters and perhaps a port, with no path and no slash at the end",
    )
}

/// Domains of addresses; what Unicode they may hold is known to [`pipeline::Domain`] alone.
pub(super) fn domains(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 256, "items": domain(generator)})
}

fn domain(_: &mut SchemaGenerator) -> Schema {
    let label = r"[-a-zA-Z0-9\\x{80}-\\x{10FFFF}]+";
    let message = "must be a domain like example.com, which stands for its sub-domains too: without @, * or port";
    text(253, &format!("^{label}([.]{label})*$"), message)
}

/// Path of a URL.
pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    text(256, "^/[-a-zA-Z0-9._~/]*$", "must begin with / and hold letters, digits, - . _ ~ and / only")
}

/// A whole object in the shape of a Kubernetes type, passed through; spelling it out would double the size of the CRD.
pub(super) fn kubernetes_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of such objects.
pub(super) fn kubernetes_objects(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 32, "items": kubernetes_object(generator)})
}

/// Ports of TCP or UDP.
pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    let port = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65_535});
    json_schema!({"type": "array", "maxItems": 8, "items": port})
}

/// A number of pods, or a share of them in percent.
pub(super) fn count_or_share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true})
}

/// Amounts by resource name, in Kubernetes' notation (`500m`, `64Mi`).
pub(super) fn amounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": json!({"x-kubernetes-int-or-string": true}),
    })
}
