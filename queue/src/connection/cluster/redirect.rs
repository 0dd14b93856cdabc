//! A node's answer that another is the one to ask.
//!
//! Takes: an error, and the node that answered with it. Gives: the other node. Does not: ask it. (Redis Cluster
//! specification, "Redirection and resharding".)
//!
//! Nodes behind one address (`cluster-preferred-endpoint-type unknown-endpoint`) name a port alone: that of the other
//! node where this one is.

use crate::{error::Error, uri::Host};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// As many follow each other, at most: each asks the node that the last one named.
pub(super) const MAX_REDIRECTS: usize = 5;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) host: Host,
    /// The slot is that node's (MOVED). Else it is on its way there, and this key has arrived already (ASK).
    pub(super) is_for_good: bool,
}

impl Redirect {
    pub(super) fn of(error: &Error, asked: Option<&Host>) -> Option<Self> {
        let Error::Refused(error) = error else { return None };
        let is_for_good = match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => true,
            ErrorKind::Server(ServerErrorKind::Ask) => false,
            _ => return None,
        };
        node(error, asked).map(|host| Self { host, is_for_good })
    }
}

/// `None` where no host is named and the port is that of the node that answered, which has just refused.
fn node(error: &RedisError, asked: Option<&Host>) -> Option<Host> {
    let (address, _) = error.redirect_node()?;
    let (name, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let name = match name.trim_start_matches('[').trim_end_matches(']') {
        "" => asked.filter(|asked| asked.port != port)?.name.clone(),
        // A node that has no name to announce where names are preferred.
        "?" => return None,
        name => name.to_owned(),
    };
    Some(Host { name, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_redirection_names_another_node() {
        let error =
            |kind, detail: &str| Error::Refused((ErrorKind::Server(kind), "redirected", detail.to_owned()).into());
        let host = |name: &str, port| Host { name: name.into(), port };
        let asked = host("10.0.0.1", 6380);
        let of = |kind, detail: &str| Redirect::of(&error(kind, detail), Some(&asked));
        let to = |name: &str, port, is_for_good| Some(Redirect { host: host(name, port), is_for_good });
        assert_eq!(of(ServerErrorKind::Moved, "3999 10.0.0.2:6381"), to("10.0.0.2", 6381, true));
        assert_eq!(of(ServerErrorKind::Ask, "3999 2001:db8::1:6381"), to("2001:db8::1", 6381, false));
        assert_eq!(of(ServerErrorKind::Moved, "3999 :6381"), to("10.0.0.1", 6381, true));
        assert_eq!(of(ServerErrorKind::Moved, "3999 :6380"), None, "it has just refused");
        assert_eq!(Redirect::of(&error(ServerErrorKind::Moved, "3999 :6381"), None), None);
        assert_eq!(of(ServerErrorKind::Moved, "3999 ?:6381"), None, "it has no name");
        assert_eq!(of(ServerErrorKind::TryAgain, "3999 10.0.0.2:6381"), None);
    }
}
