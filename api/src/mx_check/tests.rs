//! What a real name server says, and what is taken when it says nothing.

use super::*;
use hickory_resolver::{
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use servers::Dnsmasq;
use std::net::Ipv4Addr;

/// A check that asks the port.
fn check(port: u16) -> MxCheck {
    let mut server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
    server.connections.iter_mut().for_each(|connection| connection.port = port);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    set(builder.options_mut());
    MxCheck { resolver: Mutex::new(Some(builder.build().expect("a resolver"))), ..MxCheck::default() }
}

/// What is known of a domain, however slow the machine is: nobody's time limit is met here.
async fn said(check: &MxCheck, domain: &str) -> Option<bool> {
    let resolver = check.resolver().expect("it is made");
    loop {
        match ask(&resolver, domain).await {
            Err(NetError::Timeout) => {}
            said => return said.ok(),
        }
    }
}

#[tokio::test]
async fn a_domain_takes_mail_unless_the_name_server_says_that_it_does_not() {
    let server = Dnsmasq::start(&[
        "--local=/example/",
        "--mx-host=mx.example,mail.mx.example",
        "--host-record=v4.example,192.0.2.1",
        "--host-record=v6.example,2001:db8::1",
        "--cname=alias.example,v4.example",
        "--txt-record=neither.example,words",
        // Type 15 with preference 0 and the root's name: a null MX (RFC 7505, 3), which stands before addresses.
        "--dns-rr=null.example,15,000000",
        "--host-record=null.example,192.0.2.1",
        // One that does not stand alone is none.
        "--dns-rr=both.example,15,000000",
        "--mx-host=both.example,mail.both.example",
    ]);
    let server = server.expect("dnsmasq runs; install it with `make setup`");
    let check = check(server.port());
    for (domain, takes_mail) in [
        ("mx.example", Some(true)),
        ("v4.example", Some(true)),
        ("v6.example", Some(true)),
        ("alias.example", Some(true)),
        ("both.example", Some(true)),
        ("neither.example", Some(false)),
        ("null.example", Some(false)),
        ("absent.example", Some(false)),
        ("xn--mnchen-3ya.example", Some(false)),
        // Refused: this server knows nothing of it.
        ("elsewhere.test", None),
    ] {
        assert_eq!(said(&check, domain).await, takes_mail, "{domain}");
    }
    assert!(check.takes_mail("elsewhere.test").await, "what nobody says is taken");
}

#[tokio::test]
async fn addresses_are_taken_while_the_name_server_is_silent() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let check = check(silent.local_addr().expect("an address").port());
    assert!(check.takes_mail("absent.example").await);
    assert!(check.warned.lock().is_some(), "it is told");
}

#[tokio::test]
async fn a_signup_beyond_those_that_ask_is_taken_without() {
    let check = check(1);
    let _all = check.running.0.acquire_many(AT_ONCE as u32).await.expect("permits");
    assert!(check.takes_mail("absent.example").await);
    assert!(check.warned.lock().is_none(), "nothing was asked");
}
