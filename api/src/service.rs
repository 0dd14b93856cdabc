//! What both interfaces share: the parts that answer a request.
//!
//! Takes: the parts, once. Gives: `create_user`, `verify_email`, `verify_code`, `resend_verification`, `correct_email`
//! and `delivery_state` (in [`crate::signup`], [`crate::verification`], [`crate::resend`], [`crate::correction`] and
//! [`crate::delivery`]), which HTTP and gRPC call alike, so that rules, limits and answers cannot differ. Does not:
//! know either protocol.

use crate::{
    breach_check::BreachCheck, delivery_lookups::Lookups, delivery_waiting::Waiting, denied_domains::DeniedDomains,
    error::ApiError, idempotency::Running, keyring::Keyring, mx_check::MxCheck, peer::Peer, relay::Relay,
    schema::SchemaState, signup_limit::SignupLimit,
};
use pipeline::Live;
use signup::{GroupCommit, Store, password::Hashing};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Time for the work of one request: waiting for a core, hashing, and a database that may be slow to commit.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The parts that answer a request.
pub(crate) struct Service {
    /// The configuration in force, asked anew by each request.
    pub(crate) live: Live,
    /// PostgreSQL.
    pub(crate) store: Store,
    /// Signups that are committed together.
    pub(crate) groups: GroupCommit,
    /// The bounded pool that hashes passwords.
    pub(crate) hashing: Hashing,
    /// The keys that verification codes are derived from.
    pub(crate) keyring: Arc<Keyring>,
    /// The mounted lists of domains that may not sign up.
    pub(crate) denied_domains: Arc<DeniedDomains>,
    /// Hands committed intents to Redis; no request waits for it.
    pub(crate) relay: Arc<Relay>,
    /// Signups per minute and client address.
    pub(crate) limit: Arc<SignupLimit>,
    /// Asks whether passwords are known from breaches.
    pub(crate) breaches: BreachCheck,
    /// Asks whether anybody takes mail for a domain.
    pub(crate) mail_servers: MxCheck,
    /// The idempotency keys that are worked on.
    pub(crate) running: Running,
    /// What clients ask of their mails.
    pub(crate) lookups: Lookups,
    /// Clients that wait for news of their mails.
    pub(crate) waiting: Waiting,
    /// Whether the database has the schema.
    pub(crate) schema_ready: watch::Receiver<SchemaState>,
}

impl Service {
    /// Admits another request of a client, by the limit of its signups: it counts as one.
    ///
    /// # Errors
    ///
    /// [`ApiError::RequestLimitReached`].
    pub(crate) fn admit_request(&self, peer: &Peer) -> Result<(), ApiError> {
        self.admit(peer).map_err(|error| match error {
            ApiError::LimitReached { after } => ApiError::RequestLimitReached { after },
            error => error,
        })
    }

    /// Admits a signup of a client.
    ///
    /// # Errors
    ///
    /// [`ApiError::LimitReached`].
    pub(crate) fn admit(&self, peer: &Peer) -> Result<(), ApiError> {
        let document = self.live.document();
        let client = peer.client(document.signup.behind_proxy, &document.api.http.trusted_proxies);
        self.limit.admit(client, document.signup.per_minute_per_ip)
    }

    /// Runs the work of one request within [`TIMEOUT`], once the database has its schema.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unavailable`], or the work's own.
    pub(crate) async fn bounded<T>(&self, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        if self.schema_ready.borrow().is_err() {
            return Err(ApiError::Unavailable(None));
        }
        match tokio::time::timeout(TIMEOUT, work).await {
            Ok(result) => result,
            Err(elapsed) => Err(ApiError::Unavailable(Some(Box::new(elapsed)))),
        }
    }
}
