//! One verification.
//!
//! Takes: the id and the code from a link, or a user name and the digits of its mail. Gives: success, also for a second
//! click; or the reason of the refusal, so that a client can offer the right way on. Does not: decide by its own clock
//! or remember codes; PostgreSQL does.

use crate::{error::ApiError, form::kept, pb, peer::Peer, service::Service};
use signup::{Digits, LinkStanding, Username, VerifyError, Violation};

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
            self.store.verify_email(request.email_id, &request.secret_code).await.map_err(link_refused)
        })
        .await?;
        Ok(pb::VerifyEmailResponse { is_verified: true })
    }

    /// Looks at a link for the page behind it, and changes nothing.
    ///
    /// # Errors
    ///
    /// As [`verify_email`](Self::verify_email).
    pub(crate) async fn look_at_link(&self, link: &pb::VerifyEmailRequest) -> Result<LinkStanding, ApiError> {
        self.bounded(async { self.store.look_at_link(link.email_id, &link.secret_code).await.map_err(link_refused) })
            .await
    }

    /// Marks an address as verified by the digits of a mail.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: invalid fields, limit reached, digits that are wrong, expired, used or locked, database away. A
    /// name that nobody has is answered as wrong digits are, after the same work.
    pub(crate) async fn verify_code(
        &self,
        request: pb::VerifyCodeRequest,
        peer: Peer,
    ) -> Result<pb::VerifyCodeResponse, ApiError> {
        let (username, digits) = typed(&request)?;
        self.bounded(async {
            self.admit_request(&peer)?;
            let keys = self.keyring.now();
            self.store.verify_digits(&username, digits, &keys).await.map_err(|error| match error {
                VerifyError::NotFound | VerifyError::AddressChanged => ApiError::CodeNotFound,
                VerifyError::Used => ApiError::CodeUsed,
                VerifyError::Expired => ApiError::CodeExpired,
                VerifyError::Locked => ApiError::CodeLocked,
                error @ VerifyError::Unavailable(_) => ApiError::Unavailable(Some(Box::new(error))),
            })
        })
        .await?;
        Ok(pb::VerifyCodeResponse { is_verified: true })
    }
}

fn link_refused(error: VerifyError) -> ApiError {
    match error {
        VerifyError::NotFound => ApiError::LinkNotFound,
        VerifyError::Used => ApiError::LinkUsed,
        VerifyError::Expired => ApiError::LinkExpired,
        VerifyError::AddressChanged => ApiError::AddressChanged,
        error @ (VerifyError::Locked | VerifyError::Unavailable(_)) => ApiError::Unavailable(Some(Box::new(error))),
    }
}

/// What somebody typed.
///
/// # Errors
///
/// [`ApiError::Invalid`] with each field that breaks its rule.
fn typed(request: &pb::VerifyCodeRequest) -> Result<(Username, Digits), ApiError> {
    let mut violations = Vec::new();
    let username = kept(Username::parse(&request.username), &mut violations);
    let digits = Digits::parse(&request.code);
    let digits = digits.ok_or_else(|| Violation { field: "code", description: "must be six digits".into() });
    match (username, kept(digits, &mut violations)) {
        (Some(username), Some(digits)) => Ok((username, digits)),
        _ => Err(ApiError::Invalid(violations)),
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
