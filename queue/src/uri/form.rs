//! The forms of a URI: which scheme asks for which, and what each makes of host, path and index.
//!
//! Takes: pieces of a URI. Gives: a place, or what is wrong. Does not: repeat what may be secret: a scheme is shown
//! only when it is a known one.

use super::{
    FORMS, Host, Place, UriError,
    parts::{CHECKED, Query, decoded},
};
use std::path::PathBuf;

/// Schemes of others that people write here: safe to repeat.
const FOREIGN: &[&str] = &["http", "https", "tcp", "tls", "memcached", "postgres", "postgresql", "amqp", "sentinel"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Server,
    Socket,
    Sentinels,
    /// As [`Form::Sentinels`], with the login of the sentinels before the `@`.
    SentinelsOfAsynq,
    Cluster,
}

/// Form and TLS by the scheme.
pub(super) fn form(scheme: &str) -> Result<(Form, bool), UriError> {
    let scheme = scheme.to_ascii_lowercase();
    Ok(match &*scheme {
        "redis" | "valkey" => (Form::Server, false),
        "rediss" | "valkeys" => (Form::Server, true),
        "unix" | "redis+unix" | "valkey+unix" | "redis+socket" | "redis-socket" => (Form::Socket, false),
        "redis+sentinel" | "valkey+sentinel" => (Form::Sentinels, false),
        "rediss+sentinel" | "valkeys+sentinel" => (Form::Sentinels, true),
        "redis-sentinel" => (Form::SentinelsOfAsynq, false),
        "rediss-sentinel" => (Form::SentinelsOfAsynq, true),
        "redis+cluster" | "valkey+cluster" | "redis-cluster" => (Form::Cluster, false),
        "rediss+cluster" | "valkeys+cluster" | "rediss-cluster" => (Form::Cluster, true),
        known if FOREIGN.contains(&known) || known.starts_with("jdbc:") => {
            let known = known.split(':').next().unwrap_or_default();
            return Err(UriError::new(format!("{known}: is not Redis'"), FORMS));
        }
        _ => return Err(UriError::new("what stands before :// is not redis, or a form of it", FORMS)),
    })
}

pub(super) fn without_fragment(rest: &str) -> Result<&str, UriError> {
    match rest.split_once('#') {
        None => Ok(rest),
        Some((_, "insecure")) => Err(UriError::new(
            "#insecure would switch off the check of the server's certificate, which is not supported",
            CHECKED,
        )),
        Some(_) => Err(UriError::new("it has a #", "write a # of a password as %23, and remove others")),
    }
}

pub(super) fn the_only(mut hosts: Vec<Host>) -> Result<Host, UriError> {
    let fix = "write redis+cluster:// for the nodes of a cluster, redis+sentinel:// for sentinels";
    match (hosts.pop(), hosts.is_empty()) {
        (Some(host), true) => Ok(host),
        _ => Err(UriError::new("redis:// names several hosts", fix)),
    }
}

pub(super) fn socket(host: &str, path: &str) -> Result<Place, UriError> {
    let fix = "write three slashes and the whole path: redis+unix:///run/redis/redis.sock?db=0";
    if !host.is_empty() || path.is_empty() {
        return Err(UriError::new("a unix socket is a path, and no host stands before it", fix));
    }
    Ok(Place::Socket(PathBuf::from(format!("/{}", decoded(path, "path")?))))
}

/// The master's name, and the rest of the path.
pub(super) fn master(path: &str, query: &Query) -> Result<(String, String), UriError> {
    if let Some(master) = query.get(&["master", "sentinelMasterId"]).filter(|master| !master.is_empty()) {
        return Ok((master, path.to_owned()));
    }
    let (master, index) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        let fix = "write redis+sentinel://host:26379/master/0, with the name that `sentinel monitor` gives it";
        return Err(UriError::new("it does not name the master that the sentinels watch", fix));
    }
    Ok((decoded(master, "name of the master")?, index.to_owned()))
}

pub(super) fn no_database(index: i64) -> Result<i64, UriError> {
    let fix = "remove the index: a cluster has database 0 alone, so each pipeline needs a cluster of its own";
    if index == 0 { Ok(0) } else { Err(UriError::new(format!("a cluster has no database {index}"), fix)) }
}
