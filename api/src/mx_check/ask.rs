//! What the name servers say of a domain.
//!
//! Takes: a resolver, and a domain. Gives: whether mail can be sent there. Does not: guess: an error is no answer.

use hickory_resolver::{
    TokioResolver,
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::{op::ResponseCode, rr::RData},
};

/// Whether mail can be sent to a domain: one without MX is its own mail server, if it has an address.
///
/// # Errors
///
/// No server says so, one way or the other.
pub(super) async fn ask(resolver: &TokioResolver, domain: &str) -> Result<bool, NetError> {
    // The dot keeps the search list of the system out.
    let name = format!("{domain}.");
    match records(resolver.mx_lookup(name.as_str()).await)? {
        Found::Records(mx) => Ok(!is_null(&mx)),
        Found::NoDomain => Ok(false),
        Found::Nothing => {
            let (v4, v6) = tokio::join!(resolver.ipv4_lookup(name.as_str()), resolver.ipv6_lookup(name.as_str()));
            match (records(v4), records(v6)) {
                (Ok(Found::Records(_)), _) | (_, Ok(Found::Records(_))) => Ok(true),
                // Of the other family nothing is known.
                (Err(error), _) | (_, Err(error)) => Err(error),
                (Ok(_), Ok(_)) => Ok(false),
            }
        }
    }
}

/// An answer of a name server.
enum Found {
    /// Records of the kind that was asked for.
    Records(Lookup),
    /// The domain has others, or none.
    Nothing,
    /// There is no such domain.
    NoDomain,
}

/// That there are none is an answer, if the server says so.
fn records(found: Result<Lookup, NetError>) -> Result<Found, NetError> {
    match found {
        Ok(records) => Ok(Found::Records(records)),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
            ResponseCode::NXDomain => Ok(Found::NoDomain),
            ResponseCode::NoError => Ok(Found::Nothing),
            _ => Err(NetError::Dns(DnsError::NoRecordsFound(none))),
        },
        Err(error) => Err(error),
    }
}

/// Whether all there is says that there is no mail (RFC 7505, 3: it stands alone); of several one may take it.
fn is_null(mx: &Lookup) -> bool {
    let mut servers = mx.answers().iter().filter_map(|record| match &record.data {
        RData::MX(mx) => Some(&mx.exchange),
        _ => None,
    });
    servers.next().is_some_and(|first| first.is_root()) && servers.all(|server| server.is_root())
}
