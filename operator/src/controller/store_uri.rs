//! URIs of Redis, as far as the operator has to know them.
//!
//! Takes: the text of a Secret, `scheme://user:password@host:port,host:port/path?query`. Gives: its hosts, ports and
//! path. Pure. Does not: refuse anything, or show a user or password; the processes parse the URI strictly.

/// What a URI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreUri<'a> {
    /// Before `://`, if there is one.
    pub(super) scheme: Option<&'a str>,
    /// One host or several, with or without ports.
    hosts: &'a str,
    /// Without slashes at its ends.
    pub(super) path: &'a str,
}

impl<'a> StoreUri<'a> {
    /// Reads `uri`, whatever it is.
    pub(super) fn new(uri: &'a str) -> Self {
        let uri = uri.trim();
        let (scheme, rest) = uri.split_once("://").map_or((None, uri), |(scheme, rest)| (Some(scheme), rest));
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let hosts = authority.rsplit('@').next().unwrap_or_default();
        let path = rest.split('?').next().unwrap_or_default().trim_matches('/');
        Self { scheme, hosts, path }
    }

    /// Host and port; `default` where the URI names no port.
    pub(super) fn address(&self, default: u16) -> String {
        match port(self.hosts) {
            Some(_) => self.hosts.to_owned(),
            None => format!("{}:{default}", self.hosts),
        }
    }

    /// Ports of all hosts, each once; `default` for a host without one.
    pub(super) fn ports(&self, default: u16) -> Vec<u16> {
        let port = |host| port(host).and_then(|port| port.parse().ok()).unwrap_or(default);
        let mut ports: Vec<u16> = self.hosts.split(',').map(port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// An IPv6 address in brackets has colons that are no port.
fn port(host: &str) -> Option<&str> {
    let after_address = host.rsplit(']').next().unwrap_or_default();
    after_address.rsplit_once(':').map(|(_, port)| port)
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
            assert_eq!(StoreUri::new(uri).ports(5432), expected, "{uri}");
        }
    }

    #[test]
    fn an_address_has_a_port_and_a_path_has_no_slashes() {
        for (uri, scheme, address, path) in [
            ("rediss://:pass@redis:6380/3?protocol=resp3", Some("rediss"), "redis:6380", "3"),
            ("redis://user:pass@[2001:db8::1]/", Some("redis"), "[2001:db8::1]:6379", ""),
            (" redis\n", None, "redis:6379", ""),
        ] {
            let uri = StoreUri::new(uri);
            assert_eq!((uri.scheme, uri.address(6379).as_str(), uri.path), (scheme, address, path));
        }
    }
}
