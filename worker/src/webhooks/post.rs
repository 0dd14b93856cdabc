//! One request to a receiver.
//!
//! Takes: a URL, headers and a body. Gives: that it was taken (2xx), or a [`Failure`]. Does not: follow redirects, keep
//! connections, read the answer's body, or connect to an address that [`is_local`] unless that is allowed: the address
//! is looked at that is connected to, for names lead wherever their owners say, and elsewhere a moment later.

use super::local::is_local;
use crate::mail::addresses;
use http_body_util::Full;
use hyper::{Request, StatusCode, Uri, body::Bytes, header, http};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// For all of it, the name and the connection included; receivers are asked to answer within 15 s.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The longest `Retry-After` that is heeded.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Characters of a library's words that are passed on.
const MAX_CAUSE: usize = 200;

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The receiver is away, or says that it cannot now.
    #[error("the receiver is down: {cause}")]
    Down { fault: Fault, cause: String, after: Option<Duration> },
    /// The receiver does not want this one.
    #[error("the receiver answered with status {0}")]
    Refused(StatusCode),
    /// This side cannot send anything to it.
    #[error("{0}")]
    Misconfigured(String),
}

/// How far a request came that a receiver which is down did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Name,
    Connection,
    Timeout,
    Tls,
    /// It ends the connection without one.
    Answer,
    /// It says so.
    Status,
}

impl Failure {
    /// A word for the operator, which knows what mends it.
    pub(super) fn fault(&self) -> &'static str {
        match self {
            Self::Down { fault: Fault::Name, .. } => "name",
            Self::Down { fault: Fault::Connection, .. } => "connection",
            Self::Down { fault: Fault::Timeout, .. } => "timeout",
            Self::Down { fault: Fault::Tls, .. } => "tls",
            Self::Down { fault: Fault::Answer, .. } => "answer",
            Self::Down { fault: Fault::Status, .. } => "status",
            Self::Refused(_) => "refused",
            Self::Misconfigured(_) => "misconfigured",
        }
    }

    /// What happened, for people: no path, no query, no secret, nothing of the receiver's body.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Down { cause, .. } | Self::Misconfigured(cause) => cause.clone(),
            Self::Refused(status) => format!("status {}", status.as_u16()),
        }
    }
}

/// Where requests go, and how.
pub(super) struct Receiver<'a> {
    pub(super) url: &'a str,
    pub(super) allows_local: bool,
}

/// What is sent.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) timestamp: i64,
    pub(super) signature: &'a str,
    pub(super) body: &'a str,
}

impl Receiver<'_> {
    /// Sends one.
    pub(super) async fn post(&self, signed: &Signed<'_>) -> Result<(), Failure> {
        let uri: Uri = self.url.parse().map_err(|_| misconfigured("webhooks[].url cannot be read as a URL"))?;
        timeout(TIMEOUT, self.exchange(&uri, signed))
            .await
            .unwrap_or_else(|_| Err(down(Fault::Timeout, "no answer within 15 s")))
    }

    async fn exchange(&self, uri: &Uri, signed: &Signed<'_>) -> Result<(), Failure> {
        let host = uri.host().ok_or_else(|| misconfigured("webhooks[].url has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = self.connect(host, port).await?;
        let request = request(uri, signed).map_err(|_| misconfigured("webhooks[].url cannot be asked"))?;
        if !is_https {
            return answer(stream, request).await;
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| misconfigured("the host of webhooks[].url is no name of a certificate"))?;
        let secured = TlsConnector::from(trust()).connect(name, stream).await;
        answer(secured.map_err(|error| untrusted(&error))?, request).await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        self.reach(lookup_host((host, port)).await.map_err(|_| unresolved())?).await
    }

    /// A connection to one of the addresses that may be reached.
    async fn reach(&self, addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, Failure> {
        let (local, reachable): (Vec<_>, Vec<_>) =
            addresses.partition(|address| !self.allows_local && is_local(address.ip()));
        if reachable.is_empty() && !local.is_empty() {
            return Err(misconfigured(
                "webhooks[].url leads to an address of this machine, its link or a metadata service; correct it, or \
                 set allowLocalAddresses",
            ));
        }
        if reachable.is_empty() {
            return Err(unresolved());
        }
        let stream = addresses::first_of(reachable.into_iter()).await;
        let stream = stream.map_err(|error| down(Fault::Connection, &format!("no connection: {}", error.kind())))?;
        // Without it a small request may wait for an acknowledgement; no harm if it fails.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

fn request(uri: &Uri, signed: &Signed<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    Request::post(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("signup-pipeline/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .header("webhook-id", signed.id)
        .header("webhook-timestamp", signed.timestamp)
        .header("webhook-signature", signed.signature)
        .body(Full::new(Bytes::copy_from_slice(signed.body.as_bytes())))
}

async fn answer<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: hyper::Error| down(Fault::Answer, &format!("no answer: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut response = pin!(sender.send_request(request));
    // The connection drives the request. It may end in the moment in which the answer is there, which counts then.
    let response = tokio::select! {
        response = response.as_mut() => response,
        _ended = connection => response.await,
    };
    let response = response.map_err(broken)?;
    let status = response.status();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(busy(status, response.headers())),
        status if status.is_server_error() => Err(busy(status, response.headers())),
        status => Err(Failure::Refused(status)),
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); dates are not read.
fn busy(status: StatusCode, headers: &header::HeaderMap) -> Failure {
    let after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = after.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    Failure::Down { fault: Fault::Status, cause: format!("status {status}"), after }
}

/// The public authorities, and a company's.
fn trust() -> Arc<rustls::ClientConfig> {
    let roots = lifecycle::authorities::trusted();
    Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn down(fault: Fault, cause: &str) -> Failure {
    Failure::Down { fault, cause: cause.to_owned(), after: None }
}

/// In words that stay the same at each try: what rustls says of a certificate counts seconds, and lists all its names.
fn untrusted(error: &io::Error) -> Failure {
    use rustls::{CertificateError as Of, Error::InvalidCertificate};
    let words = match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(InvalidCertificate(Of::Expired | Of::ExpiredContext { .. })) => "its certificate has expired".to_owned(),
        Some(InvalidCertificate(Of::NotValidYet | Of::NotValidYetContext { .. })) => {
            "its certificate is not valid yet".to_owned()
        }
        Some(InvalidCertificate(Of::NotValidForName | Of::NotValidForNameContext { .. })) => {
            "its certificate is for other names".to_owned()
        }
        _ => error.to_string().chars().take(MAX_CAUSE).collect(),
    };
    down(Fault::Tls, &format!("TLS: {words}"))
}

fn unresolved() -> Failure {
    down(Fault::Name, "its name does not resolve")
}

pub(super) fn misconfigured(cause: &str) -> Failure {
    Failure::Misconfigured(cause.to_owned())
}

/// For errors of files.
pub(super) fn unreadable(error: &io::Error) -> Failure {
    Failure::Misconfigured(format!("the Secret of secretRef cannot be read: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::addresses::tests::{PATIENCE, listening, silent};

    #[tokio::test]
    async fn an_address_that_swallows_packets_keeps_nothing_from_the_others_and_one_that_is_local_is_not_asked() {
        let (_silent, silent, _waiting) = silent().await;
        let (_listener, answering) = listening().await;
        let reached = async |allows_local: bool| {
            let receiver = Receiver { url: "http://app.example/", allows_local };
            timeout(PATIENCE, receiver.reach([silent, answering].into_iter())).await.expect("in time")
        };
        let stream = reached(true).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(stream.peer_addr().expect("an address"), answering);
        assert!(matches!(reached(false).await, Err(Failure::Misconfigured(_))));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_alike_at_each_try_and_briefly() {
        let cause = |error: rustls::CertificateError| {
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
            match untrusted(&error) {
                Failure::Down { cause, .. } => cause,
                Failure::Refused(_) | Failure::Misconfigured(_) => "something else".to_owned(),
            }
        };
        let expired = |seconds| {
            let [time, not_after] =
                [seconds, 1000].map(|at| rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(at)));
            cause(rustls::CertificateError::ExpiredContext { time, not_after })
        };
        assert_eq!([expired(2000), expired(2001)], ["TLS: its certificate has expired"; 2]);
        let expected = ServerName::try_from("app.example").expect("a name");
        let presented = (0..1000).map(|number| format!("DnsName(\"{number}.example\")")).collect();
        let other = cause(rustls::CertificateError::NotValidForNameContext { expected, presented });
        assert_eq!(other, "TLS: its certificate is for other names");
        assert!(cause(rustls::CertificateError::UnknownIssuer).contains("UnknownIssuer"));
    }

    #[test]
    fn a_receiver_says_in_seconds_when_to_come_again() {
        let after = |value: &'static str| {
            let headers = [(header::RETRY_AFTER, header::HeaderValue::from_static(value))].into_iter().collect();
            match busy(StatusCode::SERVICE_UNAVAILABLE, &headers) {
                Failure::Down { after, .. } => after,
                other => panic!("{other}"),
            }
        };
        assert_eq!(after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(after("99999999"), Some(MAX_RETRY_AFTER));
        for value in ["-1", "", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(after(value), None, "{value}");
        }
    }
}
