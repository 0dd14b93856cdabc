//! A node's answer that another is the one to ask.
//!
//! Takes: an error. Gives: the other node. Does not: ask it. (Redis Cluster specification, "Redirection and
//! resharding".)

use crate::{error::Error, uri::Host};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// As many follow each other, at most: each asks the node that the last one named.
pub(super) const MAX_REDIRECTS: usize = 5;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The slot is another node's.
    Moved(Host),
    /// The slot is on its way to another node, and this key is there already.
    Ask(Host),
}

impl Redirect {
    pub(super) fn of(error: &Error) -> Option<Self> {
        let Error::Refused(error) = error else { return None };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => node(error).map(Self::Moved),
            ErrorKind::Server(ServerErrorKind::Ask) => node(error).map(Self::Ask),
            _ => None,
        }
    }
}

/// Without a host it would be the node that answered, which has just refused.
fn node(error: &RedisError) -> Option<Host> {
    let (address, _) = error.redirect_node()?;
    let (name, port) = address.rsplit_once(':')?;
    let name = name.trim_start_matches('[').trim_end_matches(']');
    Some(Host { name: (!name.is_empty()).then(|| name.to_owned())?, port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_redirection_names_another_node() {
        let error =
            |kind, detail: &str| Error::Refused((ErrorKind::Server(kind), "redirected", detail.to_owned()).into());
        let host = |name: &str, port| Host { name: name.into(), port };
        let moved = Redirect::of(&error(ServerErrorKind::Moved, "3999 10.0.0.2:6381"));
        assert_eq!(moved, Some(Redirect::Moved(host("10.0.0.2", 6381))));
        let ask = Redirect::of(&error(ServerErrorKind::Ask, "3999 2001:db8::1:6381"));
        assert_eq!(ask, Some(Redirect::Ask(host("2001:db8::1", 6381))));
        assert_eq!(Redirect::of(&error(ServerErrorKind::Moved, "3999 :6381")), None);
        assert_eq!(Redirect::of(&error(ServerErrorKind::TryAgain, "3999 10.0.0.2:6381")), None);
    }
}
