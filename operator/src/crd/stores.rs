//! `spec.database`, `spec.redis`, and the references to Secrets that they and others use.
//!
//! Takes and gives: names of Secrets and keys. Does not: hold a secret or open a connection.

use super::forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object of the pipeline's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the object.
    #[schemars(schema_with = "forms::object_name")]
    pub name: String,
}

/// The key of a Secret that holds a connection URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UriSecret {
    /// Name of the Secret, in the pipeline's namespace.
    #[schemars(schema_with = "forms::object_name")]
    pub name: String,
    /// Key inside the Secret.
    #[serde(default = "uri_key")]
    #[schemars(schema_with = "forms::secret_key")]
    pub key: String,
}

fn uri_key() -> String {
    "uri".into()
}

/// The key of a Secret that holds PEM certificates of the authority to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaSecret {
    /// Name of the Secret, in the pipeline's namespace.
    #[schemars(schema_with = "forms::object_name")]
    pub name: String,
    /// Key inside the Secret.
    #[serde(default = "ca_key")]
    #[schemars(schema_with = "forms::secret_key")]
    pub key: String,
}

fn ca_key() -> String {
    "ca.crt".into()
}

/// PostgreSQL 14 or newer. The operator does not provision it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Secret with the URI `postgres://user:password@host:5432/database`, read as libpq does: several hosts with
    /// `target_session_attrs`, `[::1]`, the folder of a socket, `host=db user=app` too. Without the key `uri` it is put
    /// together from the keys `host`, `port`, `dbname` (or `database`), `user` (or `username`) and `password`, as
    /// operators of databases write them; `sslcert` and `sslkey` (or `tls.crt` and `tls.key`) are the client's
    /// certificate.
    pub secret_ref: UriSecret,
    /// Certificate authority of the server; absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecret>,
    /// Schema that holds the pipeline's tables beside those of another application, made if the role may; its letters'
    /// case counts. Absent: the first of the role's `search_path`, which is `public` unless somebody set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::schema_name")]
    pub schema: Option<String>,
    /// Upper bound of the connection pool of each pod; 2 to 200.
    #[serde(default = "max_connections")]
    #[schemars(range(min = 2, max = 200))]
    pub max_connections_per_pod: i32,
    /// Who applies the schema.
    #[serde(default)]
    pub migrations: Migrations,
    /// Secret with another URI of the same database, on which `api` applies the schema (with `migrations: Auto`): past
    /// a pooler, or with a role that owns the tables. Absent: that of `secretRef`, which may lead through a pooler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations_secret_ref: Option<UriSecret>,
    /// The pipeline (`namespace/name`) that the database, or the schema where one is named, belongs to, and that hands
    /// it over to this one. Whose it is stands in the database itself; a second pipeline touches nothing in it. All
    /// mails that are owed come along, so do as docs/deploying.md says, and take the field away afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::pipeline_name")]
    pub take_over_from: Option<String>,
}

fn max_connections() -> i32 {
    10
}

/// Who applies the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Migrations {
    /// `api` does, at start.
    #[default]
    Auto,
    /// Somebody else does; `api` is not ready before it is done.
    Manual,
}

/// Redis 6.2 or newer. The operator does not provision it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// Secret with the URI `redis://:password@host:6379/0` (`rediss://` for TLS), `redis+sentinel://` with the hosts
    /// of sentinels and `/master/0`, or `redis+cluster://` with nodes. The database index at its end separates
    /// pipelines that share a server: each needs its own, and on a cluster, which has one, a cluster of its own.
    /// Without the key `uri` it is put together from the keys `host`, `port`, `database`, `username`, `password` (or
    /// `redis-password`) and `tls`.
    pub secret_ref: UriSecret,
    /// Certificate authority of the server; absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecret>,
}
