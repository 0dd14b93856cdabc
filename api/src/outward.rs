//! Connections to other sites.
//!
//! Takes: the variables HTTPS_PROXY and NO_PROXY (curl's names, small letters too), read once. Gives: a connector that
//! reaches `https` by CONNECT through that proxy, and `http` directly. Does not: speak HTTP.

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use std::{error::Error, sync::Arc};
use tokio::net::TcpStream;
use tower::{Service as _, util::BoxCloneSyncService};

type BoxError = Box<dyn Error + Send + Sync>;

/// Makes a connection to a URI.
pub(crate) type Connector = HttpsConnector<BoxCloneSyncService<Uri, TokioIo<TcpStream>, BoxError>>;

/// Trusts [`lifecycle::authorities`].
pub(crate) fn connector() -> Connector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let proxies = Arc::new(Matcher::from_env());
    let connect = tower::service_fn(move |target: Uri| connect(http.clone(), Arc::clone(&proxies), target));
    let tls =
        rustls::ClientConfig::builder().with_root_certificates(lifecycle::authorities::trusted()).with_no_client_auth();
    let connect = BoxCloneSyncService::new(connect);
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connect)
}

async fn connect(mut http: HttpConnector, proxies: Arc<Matcher>, target: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
    let is_https = target.scheme_str() == Some("https");
    let Some(proxy) = proxies.intercept(&target).filter(|_| is_https) else { return Ok(http.call(target).await?) };
    let mut tunnel = Tunnel::new(proxy.uri().clone(), http);
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    Ok(tunnel.call(target).await?)
}
