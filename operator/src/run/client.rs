//! The operator's client of the API server.
//!
//! Takes: the cluster that the environment names. Gives: a client whose writes are counted and whose requests end. Does
//! not: bound a watch that lives, which ends by itself (kube's watcher).

use crate::controller::counted;
use hyper::{Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, DynBody},
};
use std::time::Duration;
use tower::{
    BoxError,
    timeout::TimeoutLayer,
    util::{BoxService, MapRequestLayer},
};

/// Longer than the API server gives itself for an answer (kube-apiserver `--request-timeout`: 60 s); kube waits for
/// ever, and so would whoever reads Secrets for all, where a load balancer has lost a connection without a word.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);

/// The rest of an answer may pause no longer. The API server ends a watch of kube's after 290 s, and nothing need
/// happen in it before.
const READ_TIMEOUT: Duration = Duration::from_secs(330);

/// Sends a request, and gives the answer once its head is there.
type Service = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// # Errors
///
/// The environment names no cluster, or one that cannot be used.
pub(super) async fn new() -> Result<Client, kube::Error> {
    let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    (config.read_timeout, config.reset_reader_on_write) = (Some(READ_TIMEOUT), true);
    Ok(bounded(ClientBuilder::try_from(config)?))
}

fn bounded(builder: ClientBuilder<Service>) -> Client {
    let count = MapRequestLayer::new(counted::count_write::<Body>);
    builder.with_layer(&TimeoutLayer::new(ANSWER_TIMEOUT)).with_layer(&count).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube::Api;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_never_answers_is_an_error() {
        let silent = tower::service_fn(|_: Request<Body>| pending::<Result<Response<Box<DynBody>>, BoxError>>());
        let secrets = Api::<Secret>::default_namespaced(bounded(ClientBuilder::new(BoxService::new(silent), "shop")));
        let read = tokio::time::timeout(10 * ANSWER_TIMEOUT, secrets.get("app-redis")).await;
        assert!(read.expect("it ends by itself").is_err());
    }
}
