//! A network, or a single address, as configurations write them.
//!
//! Takes: `10.0.0.0/8`, `2001:db8::/32`, `203.0.113.7`. Gives: a [`Network`] that says whether an address is in it.
//! Does not: know names or zones.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// Addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write one like 10.0.0.0/8 or 2001:db8::/32, or an address like 203.0.113.7")]
pub struct NoNetwork(String);

impl Network {
    /// Whether the address is in it; an IPv4 address is the same in IPv6's notation (`::ffff:10.0.0.1`).
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        read(text).map(Self).ok_or_else(|| NoNetwork(text.to_owned()))
    }
}

/// Numbers with leading zeros, which some programs take for octal ones, are none; ipnet's own parser takes them.
fn read(text: &str) -> Option<IpNet> {
    let Some((address, length)) = text.split_once('/') else { return Some(IpNet::from(text.parse::<IpAddr>().ok()?)) };
    let prefix: u8 = length.parse().ok()?;
    IpNet::new(address.parse().ok()?, prefix).ok().filter(|_| prefix.to_string() == length)
}

impl TryFrom<String> for Network {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_network_in_both_notations() {
        let network: Network = "10.0.0.0/8".parse().expect("a network");
        for (address, is_in) in [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.0.0.1", false), ("::1", false)] {
            assert_eq!(network.contains(address.parse().expect("an address")), is_in, "{address}");
        }
        let one: Network = "2001:db8::7".parse().expect("an address");
        assert!(one.contains("2001:db8::7".parse().expect("an address")));
        assert_eq!(one.to_string(), "2001:db8::7/128");
    }

    #[test]
    fn what_is_no_network_is_named_with_the_fix() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "example.com",
            "fe80::1%eth0/64",
            "10.0.0.0/-1",
            "10.0.0.0/08",
            "010.0.0.0/8",
            "10.0.0.0/8 ",
        ] {
            let error = text.parse::<Network>().expect_err(text);
            assert!(error.to_string().contains(text) && error.to_string().contains("10.0.0.0/8"), "{error}");
        }
    }
}
