//! Publishes events, and forgets them when none was published for a while.
//!
//! Takes: an event and the object that it is about. Gives: the event, or one more repetition of an equal one of the
//! last minutes. Does not: keep what can be repeated no more; kube's recorder drops that when it publishes the next
//! event, which in a fleet at rest never comes.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{self, Event, Reporter},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// For so long kube's recorder knows an event.
const MAX_AGE: Duration = Duration::from_secs(360);

/// Clones share what they know.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    reporter: Reporter,
    /// While it may know something, and when it was asked last.
    known: Arc<Mutex<Option<(events::Recorder, Instant)>>>,
}

impl Recorder {
    /// Publishes as that reporter.
    pub fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, known: Arc::default() }
    }

    /// # Errors
    ///
    /// The API server's.
    pub async fn publish(&self, event: &Event, about: &ObjectReference) -> Result<(), kube::Error> {
        let recorder = {
            let (mut known, now) = (self.known.lock(), Instant::now());
            let fresh = || (events::Recorder::new(self.client.clone(), self.reporter.clone()), now);
            let (recorder, asked) = known.get_or_insert_with(fresh);
            *asked = now;
            recorder.clone()
        };
        recorder.publish(event, about).await
    }

    /// Goes on for ever.
    pub(super) async fn forget(self) {
        loop {
            sleep(MAX_AGE / 6).await;
            // What is under way was asked for less than a minute ago.
            self.known.lock().take_if(|(_, asked)| asked.elapsed() > MAX_AGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{Request, Response};
    use kube::{client::Body, runtime::events::EventType};
    use std::convert::Infallible;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_events_once_none_was_published_for_minutes() {
        let takes = tower::service_fn(async |request: Request<Body>| {
            let text = http_body_util::BodyExt::collect(request.into_body()).await.expect("it is whole").to_bytes();
            Ok::<_, Infallible>(Response::new(Body::from(text.to_vec())))
        });
        let recorder = Recorder::new(Client::new(takes, "shop"), Reporter::from("test"));
        tokio::spawn(recorder.clone().forget());
        let word = |text: &str| text.to_owned();
        let (type_, reason, action) = (EventType::Normal, word("Scaled"), word("Scale1To2"));
        let event = Event { type_, reason, action, note: None, secondary: None };
        let about = ObjectReference { namespace: Some(word("shop")), ..ObjectReference::default() };
        let is_kept = || recorder.known.lock().is_some();
        for _ in 0..2 {
            recorder.publish(&event, &about).await.expect("it is taken");
            sleep(MAX_AGE - Duration::from_secs(30)).await;
            assert!(is_kept(), "the next one may be its repetition");
        }
        advance(MAX_AGE).await;
        sleep(Duration::from_secs(1)).await;
        assert!(!is_kept());
    }
}
