//! Are the addresses free?
//!
//! Takes: the options. Gives: an error that names each taken address and the variable to set, before anything is
//! started. Does not: keep the addresses; another program could take one in between, and then the child's own error is
//! shown.

use super::{LocalError, options::Options};
use std::net::SocketAddr;

pub(super) fn check(options: &Options, with_inbox: bool) -> Result<(), LocalError> {
    let wanted = [
        ("HTTP of api", options.api_addr, "API_ADDR", "--api-addr", true),
        ("gRPC of api", options.grpc_addr, "GRPC_ADDR", "--grpc-addr", true),
        ("the inbox page", options.inbox_addr, "INBOX_ADDR", "--inbox-addr", with_inbox),
    ];
    let problems: Vec<String> = wanted
        .into_iter()
        .filter(|(.., needed)| *needed)
        .filter_map(|(what, address, variable, flag, _)| problem(what, address, variable, flag))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(LocalError::AddressTaken(problems)) }
}

fn problem(what: &str, address: SocketAddr, variable: &str, flag: &str) -> Option<String> {
    let error = lifecycle::listener::socket(address).err()?;
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => "is taken by another program".to_owned(),
        _ => format!("cannot be used ({error})"),
    };
    let port = address.port().checked_add(10_000).unwrap_or(0);
    let other = SocketAddr::new(address.ip(), port);
    Some(format!("the address {address} for {what} {why}; set {variable}={other} (or {flag}), or stop that program"))
}

#[cfg(test)]
mod tests {
    use super::problem;
    use std::net::TcpListener;

    #[test]
    fn a_taken_address_is_named_with_the_variable_to_set() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it is bound");
        let text = problem("HTTP of api", address, "API_ADDR", "--api-addr").expect("it is taken");
        assert!(
            text.contains(&format!("{address} for HTTP of api is taken")) && text.contains("set API_ADDR="),
            "{text}"
        );
        drop(taken);
        assert_eq!(problem("HTTP of api", address, "API_ADDR", "--api-addr"), None);
    }
}
