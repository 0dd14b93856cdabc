//! What the children need to know about the content of Secrets: checksums and ports, never the content.
//!
//! Takes: the resource and Secrets by name. Gives: the [`Inputs`] of the build. Does not: read a cluster or resolve
//! names.

use super::store_uri::StoreUri;
use crate::{
    build::{Inputs, checksum::Checksums},
    crd::{
        SignupPipeline,
        stores::{CaSecret, UriSecret},
    },
    manifest::objects::Content,
};
use pipeline::hash;
use std::collections::BTreeMap;

/// PostgreSQL's and Redis' own ports, for URIs that name none.
const POSTGRES_PORT: u16 = 5432;
pub(super) const REDIS_PORT: u16 = 6379;

/// Makes the inputs of the build. Absent Secrets count as empty.
pub fn inputs(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>, image: &str) -> Inputs {
    let salt = pipeline.metadata.uid.as_deref().unwrap_or_default();
    let spec = &pipeline.spec;
    let value = |name: &str, key: &str| secrets.get(name).and_then(|content| content.get(key)).unwrap_or_default();
    let checksum = |uri: &UriSecret, ca: Option<&CaSecret>| {
        let authority = ca.map_or(&[][..], |ca| value(&ca.name, &ca.key));
        hash([salt.as_bytes(), value(&uri.name, &uri.key), b"\n", authority])
    };
    let ports =
        |uri: &UriSecret, default| StoreUri::new(&String::from_utf8_lossy(value(&uri.name, &uri.key))).ports(default);
    let (database, redis) = (&spec.database, &spec.redis);
    Inputs {
        image: image.to_owned(),
        checksums: Checksums {
            database: checksum(&database.secret_ref, database.ca_secret_ref.as_ref()),
            redis: checksum(&redis.secret_ref, redis.ca_secret_ref.as_ref()),
        },
        database_ports: ports(&database.secret_ref, POSTGRES_PORT),
        redis_ports: ports(&redis.secret_ref, REDIS_PORT),
    }
}

/// Identifies a Redis database: host, port and index, hashed; `None` without a URI.
pub fn redis_identity(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>) -> Option<String> {
    let UriSecret { name, key } = &pipeline.spec.redis.secret_ref;
    let uri = String::from_utf8_lossy(secrets.get(name)?.get(key)?);
    let uri = StoreUri::new(&uri);
    let index = if uri.path.is_empty() { "0" } else { uri.path };
    Some(hash([uri.address(REDIS_PORT).as_bytes(), b"/", index.as_bytes()]))
}
