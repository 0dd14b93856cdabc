//! Another verification mail.
//!
//! Takes: an address. Gives: that it was asked for, or when it may be. Does not: tell whether anybody has the address:
//! what comes of it is found out after the answer, beside it, or by the sweeper of any process when this one ends first.

use crate::{error::ApiError, pb, peer::Peer, service::Service};
use signup::{Admission, EmailAddress, Policy, StoreError};
use std::{sync::Arc, time::Duration};

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
            self.admit(&peer)?;
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

    /// What the database does not do now is left to the sweeper.
    async fn settle_mail_asked_for(&self, canonical: &str) {
        let (policy, keys) = (Policy::from(&*self.live.document()), self.keyring.now());
        match self.store.settle_mail_asked_for(canonical, &policy, &keys).await {
            Ok(Some(intent)) => self.announce(intent, Duration::ZERO),
            Ok(None) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map(pipeline::chain);
                tracing::warn!(%error, cause, "a mail that was asked for is not owed yet; the sweeper tries again");
            }
        }
    }
}

pub(crate) fn unavailable(error: StoreError) -> ApiError {
    ApiError::Unavailable(Some(Box::new(error)))
}
