//! Another verification mail.
//!
//! Takes: an address. Gives: that it was asked for, or when it may be. Does not: tell whether anybody has the address:
//! what comes of it is found out after the answer, beside it, or by any process within seconds
//! when this one ends first.

use crate::{error::ApiError, pb, peer::Peer, service::Service};
use signup::{Admission, EmailAddress, Policy, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Time between two looks for what other processes, or this one, left.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks between two rounds of forgetting old counts: ten minutes.
const LOOKS_PER_FORGETTING: u32 = 120;

impl Service {
    /// Asks for another mail.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: an invalid address, limits reached, database away.
    pub(crate) async fn resend_verification(
        self: &Arc<Self>,
        request: pb::ResendVerificationRequest,
        peer: Peer,
    ) -> Result<pb::ResendVerificationResponse, ApiError> {
        let email = EmailAddress::parse(&request.email).map_err(|violation| ApiError::Invalid(vec![violation]))?;
        let admission = self.bounded(async {
            self.admit_request(&peer)?;
            self.store.ask_for_mail(&email).await.map_err(unavailable)
        });
        match admission.await? {
            Admission::After(after) => Err(ApiError::MailLimitReached { after }),
            Admission::Admitted => {
                let service = Arc::clone(self);
                tokio::spawn(async move { service.settle_mail_asked_for(email.canonical()).await });
                Ok(pb::ResendVerificationResponse {})
            }
        }
    }

    /// What the database does not do now is left for [`settle_left`].
    async fn settle_mail_asked_for(&self, canonical: &str) {
        let (policy, keys) = (Policy::from(&*self.live.document()), self.keyring.now());
        match self.store.settle_mail_asked_for(canonical, &policy, &keys).await {
            Ok(Some(intent)) => self.announce(intent, Duration::ZERO),
            Ok(None) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map(pipeline::chain);
                tracing::warn!(%error, cause, "a mail that was asked for is not owed yet; it is tried again");
            }
        }
    }
}

/// Settles what a process left that ended after its answer, and forgets old counts, until `stop`. A database that does
/// not answer is told of by others.
pub(crate) async fn settle_left(service: Arc<Service>, stop: CancellationToken) {
    let mut tick = time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u32;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let round = async {
            if service.schema_ready.borrow().is_err() {
                return;
            }
            for canonical in service.store.mails_asked_for().await.unwrap_or_default() {
                service.settle_mail_asked_for(&canonical).await;
            }
            if looks.is_multiple_of(LOOKS_PER_FORGETTING) {
                let _ = service.store.forget_requests().await;
            }
        };
        stop.run_until_cancelled(round).await;
        looks = looks.wrapping_add(1);
    }
}

pub(crate) fn unavailable(error: StoreError) -> ApiError {
    ApiError::Unavailable(Some(Box::new(error)))
}
