//! One verification.
//!
//! Takes: the id and the code from a link. Gives: success, also for a second click; or the reason of the refusal, so
//! that a client can offer the right way on. Does not: decide by its own clock or remember codes; PostgreSQL does.

use crate::{error::ApiError, pb, service::Service};
use signup::{VerifyError, Violation};

/// Bytes of a code; the Go program's bounds.
const CODE_BYTES: std::ops::RangeInclusive<usize> = 32..=128;

impl Service {
    /// Marks an address as verified.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: invalid fields, a link that is unknown, expired, used or void, database away.
    pub(crate) async fn verify_email(
        &self,
        request: pb::VerifyEmailRequest,
    ) -> Result<pb::VerifyEmailResponse, ApiError> {
        check(&request)?;
        self.bounded(async {
            self.store.verify_email(request.email_id, &request.secret_code).await.map_err(|error| match error {
                VerifyError::NotFound => ApiError::LinkNotFound,
                VerifyError::Used => ApiError::LinkUsed,
                VerifyError::Expired => ApiError::LinkExpired,
                VerifyError::AddressChanged => ApiError::AddressChanged,
                error => ApiError::Unavailable(Some(Box::new(error))),
            })
        })
        .await?;
        Ok(pb::VerifyEmailResponse { is_verified: true })
    }
}

/// Refuses what cannot be a link of ours, before the database is asked.
///
/// # Errors
///
/// [`ApiError::Invalid`] with each field that breaks its rule.
pub(crate) fn check(request: &pb::VerifyEmailRequest) -> Result<(), ApiError> {
    let mut violations = Vec::new();
    if request.email_id <= 0 {
        violations.push(Violation { field: "email_id", description: "must be a positive integer".into() });
    }
    if !CODE_BYTES.contains(&request.secret_code.len()) {
        let description = format!("must contain from {}-{} characters", CODE_BYTES.start(), CODE_BYTES.end());
        violations.push(Violation { field: "secret_code", description });
    } else if request.secret_code.contains('\0') {
        let description = "must not contain the NUL character".into(); // PostgreSQL has no such text.
        violations.push(Violation { field: "secret_code", description });
    }
    if violations.is_empty() { Ok(()) } else { Err(ApiError::Invalid(violations)) }
}
