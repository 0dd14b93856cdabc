//! Several hosts with their ports.
//!
//! Takes: libpq's `host`, `hostaddr` and `port`, lists with commas. Gives: [`Host`]s. Does not: resolve names.

use super::PostgresUriError;
use std::{net::Ipv6Addr, path::PathBuf};

/// PostgreSQL's own port.
const DEFAULT_PORT: u16 = 5432;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where it is.
    pub address: HostAddress,
    /// TCP port, or the number at the end of the socket's name.
    pub port: u16,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// Name or address, IPv6 without brackets.
    Name(String),
    /// The folder in which PostgreSQL makes its socket.
    SocketFolder(PathBuf),
}

/// Pairs up the three lists: one port stands for all hosts, and an empty one for the default.
pub(super) fn hosts(host: &str, addresses: &str, ports: &str) -> Result<Vec<Host>, PostgresUriError> {
    let (names, addresses): (Vec<&str>, Vec<&str>) = (list(host), list(addresses));
    let count = names.len().max(addresses.len());
    if !addresses.is_empty() && !names.is_empty() && names.len() != addresses.len() {
        return Err(PostgresUriError::Count("addresses (hostaddr)"));
    }
    let ports: Vec<&str> = ports.split(',').collect();
    if ports.len() != 1 && ports.len() != count {
        return Err(PostgresUriError::Count("ports"));
    }
    if count == 0 {
        return Err(PostgresUriError::NoHost);
    }
    let at = |values: &[&str], index: usize| values.get(index).map_or(String::new(), |value| (*value).to_owned());
    let one = |index: usize| {
        let address = at(&addresses, index);
        let name = if address.is_empty() { at(&names, index) } else { address };
        let port = ports.get(index).or(ports.first()).copied().unwrap_or_default();
        Ok(Host { address: address_of(name)?, port: port_of(port)? })
    };
    (0..count).map(one).collect()
}

fn list(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(',').collect() }
}

/// libpq would take an empty host for its default folder of sockets, which no pod has.
fn address_of(name: String) -> Result<HostAddress, PostgresUriError> {
    match name.as_bytes() {
        [] => Err(PostgresUriError::NoHost),
        [b'/', ..] => Ok(HostAddress::SocketFolder(name.into())),
        [b'@', ..] => {
            let fix = "name the folder of the socket, such as host=/run/postgresql; abstract sockets (@) are not tried";
            Err(PostgresUriError::Value { parameter: "host", fix: fix.into() })
        }
        // `db:5432`, as Terraform calls an endpoint, would be looked up as a name, in vain.
        bytes if bytes.contains(&b':') && !is_ipv6(&name) => {
            let fix = "write the name or address alone, IPv6 without brackets, and the port under port";
            Err(PostgresUriError::Value { parameter: "host", fix: fix.into() })
        }
        _ => Ok(HostAddress::Name(name)),
    }
}

/// With its zone (RFC 4007) or without.
fn is_ipv6(name: &str) -> bool {
    name.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

fn port_of(text: &str) -> Result<u16, PostgresUriError> {
    match text {
        "" => Ok(DEFAULT_PORT),
        // libpq takes blanks around a number, and no blanks alone.
        text => text.trim().parse().ok().filter(|port| *port > 0).ok_or(PostgresUriError::Port),
    }
}
