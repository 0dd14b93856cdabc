//! One correction of an address.
//!
//! Takes: a user name with its password, and the right address. Gives: the user, with a mail owed to that address.
//! Order: rules, limits of client and name, the password compared in the bounded pool, the limit of the address, one
//! transaction. Does not: tell a wrong password from a name that nobody has, by its answer or by its time; nor, where
//! accounts are hidden, a taken address from a free one.

use crate::{
    delivery::SignedUp,
    denied_domains::DeniedDomains,
    error::ApiError,
    form::{kept, new_email},
    pb,
    peer::Peer,
    resend::unavailable,
    service::Service,
    signup::{hash_refused, shown},
};
use pipeline::document::Signup;
use signup::{Account, Admission, CorrectionError, EmailAddress, Password, Policy, Username};
use std::time::Duration;

/// A hash that no password is compared with successfully, made with the parameters of all of ours: it is what a
/// name that nobody has is compared with. Its salt and its 32 bytes are zeros.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The fields that keep their rules.
struct Correction {
    username: Username,
    password: Password,
    email: EmailAddress,
}

impl Service {
    /// Corrects an address.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: invalid fields, limits reached, pool full, name or password wrong, address verified or taken,
    /// database away.
    pub(crate) async fn correct_email(
        &self,
        request: pb::CorrectEmailRequest,
        peer: Peer,
    ) -> Result<SignedUp<pb::CorrectEmailResponse>, ApiError> {
        let document = self.live.document();
        let correction = Correction::parse(&request, &document.signup, &self.denied_domains)?;
        let Correction { username, password, email } = correction;
        let created = self.bounded(async {
            // As for a signup: a client that is asked to come back has not used up a request of its limit.
            let permit = self.hashing.permit().map_err(hash_refused)?;
            self.admit_request(&peer)?;
            if let Admission::After(after) =
                self.store.admit_correction(username.as_str()).await.map_err(unavailable)?
            {
                return Err(ApiError::TryLimitReached { after });
            }
            let stored = self.store.password_of(&username).await.map_err(unavailable)?;
            let is_known = stored.is_some();
            let stored = stored.unwrap_or_else(|| NOBODYS_HASH.to_owned());
            if !permit.verify(password, &stored).await.map_err(hash_refused)? || !is_known {
                return Err(ApiError::PasswordWrong);
            }
            self.takes_mail(&email, &document).await?;
            if let Admission::After(after) = self.store.admit_mail_to(&email).await.map_err(unavailable)? {
                return Err(ApiError::MailLimitReached { after });
            }
            let (policy, keys) = (Policy::from(&*document), self.keyring.now());
            let hides = document.signup.hide_existing_accounts;
            self.store.correct_email(&username, &email, hides, &policy, &keys).await.map_err(refused)
        });
        let created = created.await?;
        self.announce(created.intent, Duration::ZERO);
        let token = Account::from(&created.user).token(&self.keyring.now());
        Ok(SignedUp { answer: pb::CorrectEmailResponse { user: Some(shown(created.user)) }, token })
    }
}

impl Correction {
    /// A password that could not have been given at a signup is a wrong one; its rule may have changed since.
    fn parse(request: &pb::CorrectEmailRequest, rules: &Signup, denied: &DeniedDomains) -> Result<Self, ApiError> {
        let mut violations = Vec::new();
        let username = kept(Username::parse(&request.username), &mut violations);
        let password = kept(Password::parse(&request.password, 1), &mut violations);
        let email = kept(new_email(&request.email, rules, denied), &mut violations);
        match (username, password, email) {
            (Some(username), Some(password), Some(email)) => Ok(Self { username, password, email }),
            _ => Err(ApiError::Invalid(violations)),
        }
    }
}

fn refused(error: CorrectionError) -> ApiError {
    match error {
        CorrectionError::Verified => ApiError::AlreadyVerified,
        CorrectionError::EmailTaken => ApiError::EmailTaken,
        error @ CorrectionError::Unavailable(_) => ApiError::Unavailable(Some(Box::new(error))),
    }
}
