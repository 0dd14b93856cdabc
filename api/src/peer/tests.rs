//! Lines of hops as proxies write them and as clients forge them.

use super::*;
use axum::http::HeaderValue;
use proptest::prelude::*;

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

fn peer(values: &[impl AsRef<[u8]>]) -> Peer {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_ref()).expect("a value"));
    }
    Peer::new([10, 0, 0, 1].into()).with(&headers)
}

fn client(behind_proxy: bool, values: &[&str]) -> String {
    peer(values).client(behind_proxy, &[]).to_string()
}

#[test]
fn the_last_entry_is_the_client_behind_a_proxy_and_nothing_is_believed_elsewhere() {
    for (values, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
        (&["198.51.100.9", "203.0.113.5, 2001:db8::1"], "2001:db8::1"),
        (&["192.0.2.1, unknown"], "10.0.0.1"),
        (&["192.0.2.1, _hidden"], "10.0.0.1"),
        (&[""], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(client(true, values), expected, "{values:?}");
        assert_eq!(client(false, values), "10.0.0.1", "{values:?}");
    }
}

#[test]
fn every_writing_of_an_address_is_read() {
    for (entry, expected) in [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:1", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ("\t 192.0.2.1 \t", "192.0.2.1"),
        ("192.0.2.1,", "192.0.2.1"),
        ("192.0.2.1, ,,", "192.0.2.1"),
    ] {
        assert_eq!(client(true, &[entry]), expected, "{entry}");
    }
    assert_eq!(client(true, &["192.0.2.1", "", ","]), "192.0.2.1", "empty headers are empty elements");
}

#[test]
fn what_is_no_address_hides_all_that_stands_before_it() {
    for entry in [
        "unknown",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:70000",
        "192.0.2",
        "192.0.2.1.",
        "192.0.2.1%eth0",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]4711",
        "[2001:db8::1]:",
        "fe80::1%",
        "[]",
        "::1 ::2",
        "for=192.0.2.1",
    ] {
        assert_eq!(client(true, &[&format!("198.51.100.9, {entry}")]), "10.0.0.1", "{entry}");
    }
    assert_eq!(peer(&[b"198.51.100.9, \xff"]).client(true, &[]).to_string(), "10.0.0.1");
}

#[test]
fn the_client_is_the_last_hop_that_is_not_trusted() {
    let trusted = networks(&["10.0.0.0/8", "2001:db8:5::/48", "203.0.113.7"]);
    for (value, expected) in [
        ("198.51.100.9", "198.51.100.9"),
        ("192.0.2.66, 198.51.100.9, 203.0.113.7, 10.1.2.3", "198.51.100.9"),
        ("192.0.2.66, 2001:db8:6::1, 2001:db8:5::1", "2001:db8:6::1"),
        ("192.0.2.66, 203.0.113.8, 10.1.2.3", "203.0.113.8"),
        ("192.0.2.66, ::ffff:10.9.9.9", "192.0.2.66"),
        // Nobody but trusted hops: the one farthest away.
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        // A trusted hop that wrote nothing readable is all that is known.
        ("198.51.100.9, unknown, 10.1.2.3", "10.1.2.3"),
    ] {
        assert_eq!(peer(&[value]).client(false, &trusted).to_string(), expected, "{value}");
    }
    let elsewhere = networks(&["172.16.0.0/12"]);
    assert_eq!(peer(&["198.51.100.9"]).client(false, &elsewhere).to_string(), "10.0.0.1", "the peer is no proxy");
    assert_eq!(peer(&["198.51.100.9, 172.16.0.5"]).client(true, &elsewhere).to_string(), "198.51.100.9");
}

#[test]
fn a_peer_is_known_by_its_ipv4_address_also_on_a_socket_for_both() {
    let peer = Peer::new("::ffff:10.0.0.1".parse().expect("an address"));
    let mut headers = HeaderMap::new();
    headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
    assert_eq!(peer.with(&headers).client(false, &networks(&["10.0.0.0/8"])).to_string(), "192.0.2.1");
}

fn written(address: IpAddr, style: u8, port: u16) -> String {
    match (address, style % 4) {
        (IpAddr::V4(v4), 0) => format!("{v4}:{port}"),
        (IpAddr::V4(v4), 1) => format!("::ffff:{v4}"),
        (IpAddr::V6(v6), 0) => format!("[{v6}]:{port}"),
        (IpAddr::V6(v6), 1) => format!("[{v6}]"),
        (IpAddr::V6(v6), 2) => format!("{v6}%eth{port}"),
        (address, _) => address.to_string(),
    }
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes()))
    ]
}

proptest! {
    #[test]
    fn an_address_is_read_again_however_it_is_written(address in any_address(), style: u8, port: u16) {
        let read = super::address(written(address, style, port).as_bytes());
        prop_assert_eq!(read, Some(address.to_canonical()));
    }

    #[test]
    fn no_bytes_panic(value in proptest::collection::vec(prop_oneof![32u8..127, 128u8..=255, Just(b',')], 0..200)) {
        let peer = peer(&[value]);
        prop_assert!(peer.forwarded.len() <= MAX_HOPS);
        peer.client(true, &networks(&["::/0", "0.0.0.0/0"]));
    }

    /// What a client writes stands before what proxies add, and changes nothing.
    #[test]
    fn nobody_forges_another_address(
        forged in proptest::collection::vec(prop_oneof!["[ -~]{0,40}", Just("10.0.0.7".to_owned())], 0..4),
        one_header: bool,
        client in any_address()
            .prop_filter("not a proxy", |client| !client.to_canonical().to_string().starts_with("10.")),
        style: u8,
        proxies in proptest::collection::vec(0u8..=255, 0..5),
    ) {
        let mut line = vec![written(client, style, 80)];
        line.extend(proxies.iter().map(|last| format!("10.2.3.{last}")));
        let honest = line.join(", ");
        let mut values = forged;
        if one_header {
            values = vec![[values, vec![honest]].concat().join(",")];
        } else {
            values.push(honest);
        }
        let found = peer(&values).client(true, &networks(&["10.0.0.0/8"]));
        prop_assert_eq!(found, client.to_canonical());
    }
}
