//! What the children need to know about the content of Secrets: checksums and ports, never the content.
//!
//! Takes: the resource and Secrets by name. Gives: the [`Inputs`] of the build. Does not: read a cluster or resolve
//! names.

use super::store_secret::StoreSecret;
use crate::{
    build::{Inputs, checksum::Checksums},
    crd::{SignupPipeline, stores::CaSecret},
    manifest::objects::Content,
};
use pipeline::hash;
use queue::RedisUri;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;

/// PostgreSQL's and Redis' own ports, for URIs that name none.
const POSTGRES_PORT: u16 = 5432;
const REDIS_PORT: u16 = 6379;

/// Makes the inputs of the build. Absent Secrets count as empty.
pub fn inputs(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>, image: &str) -> Inputs {
    let salt = pipeline.metadata.uid.as_deref().unwrap_or_default();
    let spec = &pipeline.spec;
    let checksum = |secret: &StoreSecret<'_>, ca: Option<&CaSecret>| {
        let authority = ca.and_then(|ca| secrets.get(&ca.name)?.get(&ca.key)).unwrap_or_default();
        let values = secret.values().into_iter().flat_map(|value| [value, b"\n"]);
        hash(std::iter::once(salt.as_bytes()).chain(values).chain([authority]))
    };
    let (database, redis) = (StoreSecret::postgres(&spec.database, secrets), StoreSecret::redis(&spec.redis, secrets));
    // A URI that cannot be used is found elsewhere.
    let ports =
        |secret: &StoreSecret<'_>| secret.postgres_uri().map_or_else(|_| vec![POSTGRES_PORT], |uri| uri.ports());
    let migrations = StoreSecret::migrations(&spec.database, secrets);
    let mut database_ports = ports(&database);
    database_ports.extend(migrations.iter().flat_map(ports));
    database_ports.sort_unstable();
    database_ports.dedup();
    let redis_ports = redis_uri(&redis).map_or_else(|| vec![REDIS_PORT], |uri| uri.ports());
    Inputs {
        image: image.to_owned(),
        checksums: Checksums {
            database: checksum(&database, spec.database.ca_secret_ref.as_ref()),
            redis: checksum(&redis, spec.redis.ca_secret_ref.as_ref()),
        },
        database_ports,
        redis_ports,
        database_files: database.files(),
        migrations_files: migrations.map(|secret| secret.files()).unwrap_or_default(),
        redis_files: redis.files(),
        namespace_uid: None,
        pod_defaults: BTreeMap::new(),
        is_api_scaled_by_others: false,
    }
}

/// Identifies a Redis database: hosts, ports and index, hashed; `None` without a URI that can be used.
pub fn redis_identity(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>) -> Option<String> {
    let uri = redis_uri(&StoreSecret::redis(&pipeline.spec.redis, secrets))?;
    Some(hash([uri.identity().as_bytes()]))
}

fn redis_uri(secret: &StoreSecret<'_>) -> Option<RedisUri> {
    RedisUri::parse(secret.redis_uri().ok()?.expose_secret()).ok()
}
