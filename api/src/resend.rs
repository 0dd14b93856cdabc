//! Another verification mail.
//!
//! Takes: an address. Gives: that it was asked for, or when it may be. Does not: tell whether anybody has the address:
//! what comes of it is found out after the answer, beside it, or by any process within seconds
//! when this one ends first.

use crate::{error::ApiError, idempotency::IdempotencyKey, pb, peer::Peer, service::Service};
use signup::{Admission, AskError, AskedOnce, EmailAddress, Policy, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Time between two looks for what other processes, or this one, left.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks between two rounds of forgetting old counts: ten minutes.
const LOOKS_PER_FORGETTING: u32 = 120;

/// What is not known when the answer to the COMMIT is lost.
const MAY_BE_ASKED: &str = "the mail may have been asked for";

impl Service {
    /// Asks for another mail; under a key once, however often the request is sent.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: an invalid address, limits reached, key in use, database away.
    pub(crate) async fn resend_verification(
        self: &Arc<Self>,
        request: pb::ResendVerificationRequest,
        peer: Peer,
        key: Option<IdempotencyKey>,
    ) -> Result<pb::ResendVerificationResponse, ApiError> {
        self.resend_counted(&request, Some(&peer), key.as_ref()).await
    }

    /// The same with `peer: None` for a request that was counted against its client's limit already.
    ///
    /// # Errors
    ///
    /// As [`resend_verification`](Self::resend_verification).
    pub(crate) async fn resend_counted(
        self: &Arc<Self>,
        request: &pb::ResendVerificationRequest,
        peer: Option<&Peer>,
        key: Option<&IdempotencyKey>,
    ) -> Result<pb::ResendVerificationResponse, ApiError> {
        let email = EmailAddress::parse(&request.email).map_err(|violation| ApiError::Invalid(vec![violation]))?;
        let admission = self.bounded(async {
            peer.map_or(Ok(()), |peer| self.admit_request(peer))?;
            match key {
                Some(key) => self.ask_once(&email, key).await,
                None => self.store.ask_for_mail(&email).await.map(Some).map_err(unavailable),
            }
        });
        let admission = admission.await;
        match admission.map_err(|error| if key.is_some() { error.or_unknown(MAY_BE_ASKED) } else { error })? {
            None => Ok(pb::ResendVerificationResponse {}),
            Some(Admission::After(after)) => Err(ApiError::MailLimitReached { after }),
            Some(Admission::Admitted) => {
                let service = Arc::clone(self);
                tokio::spawn(async move { service.settle_mail_asked_for(email.canonical()).await });
                Ok(pb::ResendVerificationResponse {})
            }
        }
    }

    /// `None`: the same request was admitted under the key before.
    async fn ask_once(&self, email: &EmailAddress, key: &IdempotencyKey) -> Result<Option<Admission>, ApiError> {
        let says = [email.canonical()];
        let once = key.once(&says, &self.keyring.now());
        let asked = self.store.ask_for_mail_once(email, &once).await.map_err(|error| match error {
            error @ AskError::OutcomeUnknown(_) => {
                ApiError::OutcomeUnknown { may_be: MAY_BE_ASKED, cause: Some(Box::new(error)) }
            }
            AskError::Unavailable(error) => unavailable(error),
        })?;
        match asked {
            AskedOnce::Now(admission) => Ok(Some(admission)),
            AskedOnce::Before(before) if key.came_with(&says, &self.keyring.now(), &before) => Ok(None),
            AskedOnce::Before(_) => Err(ApiError::KeyReused),
            AskedOnce::Running => Err(ApiError::KeyRunning),
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
