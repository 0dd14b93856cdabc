//! Kinds that not every cluster has, asked for now and then while they are not there.
//!
//! Takes: the events of a kind's watch, before kube's backoff. Gives: the same, with a pause after each list of an
//! optional kind that the cluster lacks or that may not be listed. Does not: change how a kind is asked for that every
//! cluster has: its watch has to be back soon after the API server is.
//!
//! kube's own backoff never gets longer here: a watch tells `Init` before it lists, and what is no error resets it.

use super::refused::is_forbidden;
use crate::build::child::Kind;
use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher;
use std::{future::ready, time::Duration};
use tokio::time::sleep;

/// Between two lists of a kind that is not there; one that is installed is seen within this time.
const INTERVAL: Duration = Duration::from_secs(30);

/// The events, which rest after each list in vain.
pub(super) fn seldom<T>(
    kind: Kind,
    events: impl Stream<Item = watcher::Result<T>>,
) -> impl Stream<Item = watcher::Result<T>> {
    events.flat_map(move |event| {
        let rest = (kind.is_optional() && event.as_ref().is_err_and(is_absent)).then(|| sleep(INTERVAL));
        let rest = stream::iter(rest).then(|rest| rest).filter_map(|()| ready(None));
        stream::once(ready(event)).chain(rest)
    })
}

fn is_absent(error: &watcher::Error) -> bool {
    let is_missing = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    };
    is_missing || is_forbidden(error)
}

#[cfg(test)]
mod tests {
    use super::{super::encoded::EncodedObject, *};
    use futures::TryStreamExt;
    use hyper::{Request, Response};
    use kube::{
        Api, Client,
        client::Body,
        runtime::{WatchStreamExt, watcher::Event},
    };
    use serde_json::json;
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
    };
    use tokio::time::timeout;

    /// An API server that lacks every kind until it is told otherwise.
    #[derive(Clone, Default)]
    struct Cluster {
        lists: Arc<AtomicUsize>,
        is_installed: Arc<AtomicBool>,
    }

    impl Cluster {
        async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
            if request.uri().query().is_some_and(|query| query.contains("watch=")) {
                return std::future::pending().await;
            }
            self.lists.fetch_add(1, Ordering::Relaxed);
            let (code, body) = if self.is_installed.load(Ordering::Relaxed) {
                (200, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}))
            } else {
                (404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}))
            };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok(answer.expect("it is one"))
        }

        /// The events of a kind as `watch` has them; failures are left out.
        fn events(&self, kind: Kind) -> impl Stream<Item = Event<EncodedObject>> {
            let cluster = self.clone();
            let service = tower::service_fn(move |request| cluster.clone().answer(request));
            let objects = Api::all_with(Client::new(service, "shop"), &kind);
            let events = seldom(kind, watcher(objects, watcher::Config::default())).default_backoff();
            events.into_stream().filter_map(|event| ready(event.ok()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_there_is_asked_for_every_30_s_and_seen_once_it_is() {
        let cluster = Cluster::default();
        let mut events = Box::pin(cluster.events(Kind::HttpRoute));
        let mut listed = async |limit| {
            let mut until_done = events.as_mut().filter(|event| ready(matches!(event, Event::InitDone)));
            timeout(limit, until_done.next()).await.is_ok()
        };
        assert!(!listed(Duration::from_secs(295)).await, "it is not there");
        assert_eq!(cluster.lists.load(Ordering::Relaxed), 10, "one at the start, then every 30 s");
        cluster.is_installed.store(true, Ordering::Relaxed);
        assert!(listed(INTERVAL).await);
        assert_eq!(cluster.lists.load(Ordering::Relaxed), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_every_cluster_has_is_asked_for_again_soon() {
        let cluster = Cluster::default();
        let events = cluster.events(Kind::Deployment).for_each(|_| ready(()));
        assert!(timeout(Duration::from_secs(60), events).await.is_err(), "a watch does not end");
        let lists = cluster.lists.load(Ordering::Relaxed);
        assert!(lists >= 30, "{lists} in a minute");
    }
}
