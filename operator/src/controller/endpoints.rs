//! What the children need to know about the content of Secrets: checksums and ports, never the content.
//!
//! Takes: the resource and Secrets by name. Gives: the [`Inputs`] of the build. Does not: read a cluster or resolve names.

use crate::{
    build::{
        Inputs,
        checksum::{Checksums, hash},
    },
    crd::{
        SignupPipeline,
        stores::{CaSecret, UriSecret},
    },
    manifest::objects::Content,
};
use std::collections::BTreeMap;

/// PostgreSQL's and Redis' own ports, for URIs that name none.
const POSTGRES_PORT: u16 = 5432;
const REDIS_PORT: u16 = 6379;

/// Puts the inputs of the build together. Absent Secrets count as empty.
pub fn inputs(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>, image: &str) -> Inputs {
    let salt = pipeline.metadata.uid.as_deref().unwrap_or_default();
    let spec = &pipeline.spec;
    let value = |name: &str, key: &str| secrets.get(name).and_then(|content| content.get(key)).unwrap_or_default();
    let checksum = |uri: &UriSecret, ca: Option<&CaSecret>| {
        let authority = ca.map_or(&[][..], |ca| value(&ca.name, &ca.key));
        hash([salt.as_bytes(), value(&uri.name, &uri.key), b"\n", authority])
    };
    let ports = |uri: &UriSecret, default| ports(&String::from_utf8_lossy(value(&uri.name, &uri.key)), default);
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

/// What tells one Redis database from another: host, port and index, hashed; `None` without a URI.
pub fn redis_identity(pipeline: &SignupPipeline, secrets: &BTreeMap<String, Content>) -> Option<String> {
    let UriSecret { name, key } = &pipeline.spec.redis.secret_ref;
    let uri = String::from_utf8_lossy(secrets.get(name)?.get(key)?).trim().to_owned();
    let place = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
    let place = place.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
    let (host, index) = place.split_once('/').unwrap_or((place, "0"));
    let host = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:{REDIS_PORT}")
    };
    Some(hash([host.as_bytes(), b"/", index.as_bytes()]))
}

/// Ports of all hosts of a URI `scheme://user:password@host:port,host:port/path?query`.
fn ports(uri: &str, default: u16) -> Vec<u16> {
    let rest = uri.trim().split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let port = |host: &str| {
        let after_address = host.rsplit(']').next().unwrap_or_default();
        after_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(default)
    };
    let mut ports: Vec<u16> = hosts.split(',').map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_taken_from_every_host_of_a_uri() {
        for (uri, expected) in [
            ("postgres://user:pass@db:5433/app?sslmode=require", vec![5433]),
            ("postgres://user:p%40ss@db/app", vec![5432]),
            ("postgres://user:pass@one:5433,two:5434/app", vec![5433, 5434]),
            ("postgres://user:pass@[2001:db8::1]:5433/app", vec![5433]),
            ("postgres://user:pass@[2001:db8::1]/app", vec![5432]),
            ("", vec![5432]),
        ] {
            assert_eq!(ports(uri, POSTGRES_PORT), expected, "{uri}");
        }
    }
}
