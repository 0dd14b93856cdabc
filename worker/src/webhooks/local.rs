//! Addresses that a request must not reach unless the resource allows it.
//!
//! Takes: an address that is about to be connected to. Gives: whether it is this machine's own, of its link, or one
//! under which clouds give out credentials. Does not: look at names, which lead wherever somebody else says; nor refuse
//! private networks, where receivers inside a cluster are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services that are not link-local: Alibaba Cloud, Azure (WireServer), Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same of AWS and Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Whether it is one of them.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_local_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || METADATA_V6.contains(&address)
                || inside(address).is_some_and(is_local_v4)
        }
    }
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    address.is_loopback()
        // Linux takes all of 0.0.0.0/8 that it connects to for itself.
        || address.octets()[0] == 0
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_link_local()
        || METADATA_V4.contains(&address)
}

/// The address of IPv4 that a translator makes of it: NAT64 (RFC 6052, and of a network's own, RFC 8215, where its
/// prefix has 96 bits as usual), SIIT (RFC 2765, 2.1), 6to4 (RFC 3056), or the deprecated IPv4-compatible form
/// (RFC 4291, 2.5.5.1).
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low] => Some(four(high, low)),
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn this_machine_its_link_and_metadata_services_are_local_in_every_writing() {
        for text in [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(is_local(address(text)), "{text}");
        }
        for text in
            ["10.0.0.1", "192.168.1.1", "172.16.0.1", "192.0.2.1", "fd00::1", "2001:db8::1", "64:ff9b::c000:201"]
        {
            assert!(!is_local(address(text)), "{text}");
        }
    }

    #[test]
    fn what_a_network_translates_by_itself_is_local_where_its_ipv4_is() {
        for (text, is_ours) in [
            ("64:ff9b:1::a9fe:a9fe", true),
            ("64:ff9b:1:2:3:4:7f00:1", true),
            ("::ffff:0:169.254.169.254", true),
            ("64:ff9b:1::c000:201", false),
            ("::ffff:0:192.0.2.1", false),
        ] {
            assert_eq!(is_local(address(text)), is_ours, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_of_ipv4_is_the_same_however_it_is_wrapped(bits in any::<u32>()) {
            let (plain, [a, b, c, d]) = (Ipv4Addr::from(bits), bits.to_be_bytes());
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            prop_assert_eq!(is_local(plain.into()), is_local(plain.to_ipv6_mapped().into()));
            prop_assert_eq!(is_local(plain.into()), is_local(nat64.into()));
        }
    }
}
