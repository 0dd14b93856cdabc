//! A listener at every address is reached by both families, in networks of either and of both.

use lifecycle::listener;
use servers::Network;
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
};

/// The ways to write every address.
const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

fn with_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _entered = runtime.enter();
    test();
}

/// The kernel takes connections for a listener by itself.
fn is_reached_everywhere(network: Network, name: &str) {
    network.run(name, || {
        with_runtime(|| {
            for any in ANY {
                let listener = listener::bind(SocketAddr::new(any, 0)).expect("a listener");
                let port = listener.local_addr().expect("it is bound").port();
                for address in network.addresses() {
                    TcpStream::connect((address, port)).unwrap_or_else(|error| panic!("{any}, {address}: {error}"));
                }
            }
        });
    });
}

#[test]
fn both_families() {
    is_reached_everywhere(Network::Both, "listener::both_families");
}

#[test]
fn both_families_where_ipv6_is_by_itself() {
    is_reached_everywhere(Network::Separate, "listener::both_families_where_ipv6_is_by_itself");
}

#[test]
fn ipv6_turned_off() {
    is_reached_everywhere(Network::V4, "listener::ipv6_turned_off");
}

#[test]
fn a_kernel_without_ipv6() {
    is_reached_everywhere(Network::NoFamily, "listener::a_kernel_without_ipv6");
}

#[test]
fn a_pod_with_ipv6_alone() {
    is_reached_everywhere(Network::V6, "listener::a_pod_with_ipv6_alone");
}

#[test]
fn no_address_of_ipv4() {
    is_reached_everywhere(Network::OnlyV6, "listener::no_address_of_ipv4");
}

/// Half of the clients would reach the other program.
#[test]
fn a_port_that_another_program_has_in_one_family_is_taken() {
    Network::Separate.run("listener::a_port_that_another_program_has_in_one_family_is_taken", || {
        with_runtime(|| {
            for (theirs, any) in ANY.into_iter().flat_map(|theirs| ANY.map(|any| (theirs, any))) {
                let taken = std::net::TcpListener::bind((theirs, 0)).expect("a port");
                let port = taken.local_addr().expect("it is bound").port();
                let error = listener::bind(SocketAddr::new(any, port)).expect_err("it is taken");
                assert_eq!(error.kind(), ErrorKind::AddrInUse, "{theirs}, {any}: {error}");
            }
        });
    });
}

#[test]
fn an_address_that_is_named_is_bound_alone() {
    with_runtime(|| {
        let listener = listener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a listener");
        let port = listener.local_addr().expect("it is bound").port();
        assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_err());
    });
}
