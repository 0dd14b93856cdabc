//! One signup.
//!
//! Takes: a `CreateUserRequest` and the client's address. Gives: the user, stored together with the intent of one
//! verification mail. Order: rules, limit, hash, one transaction (shared with others while hashes queue up), answer;
//! the task is put into Redis after the commit and nobody waits for that. Does not: send anything, or know whether a
//! signup was hidden because its address was taken; the store does, and the mail tells the owner.

use crate::{error::ApiError, form::Form, pb, peer::Peer, service::Service, signup_limit::Quota};
use pipeline::Document;
use signup::{
    CreateError, Intent, NewUser, Policy, User,
    password::{HashError, HashPermit},
};
use std::{sync::Arc, time::Duration};

/// Mails due earlier than this are worth waking the relay for; it polls by itself three times as often.
const DUE_SOON: Duration = Duration::from_secs(1);

impl Service {
    /// Creates a user.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: invalid fields, limit reached, pool full, name or address taken, database away.
    pub(crate) async fn create_user(
        &self,
        request: pb::CreateUserRequest,
        peer: Peer,
    ) -> Result<pb::CreateUserResponse, ApiError> {
        let document = self.live.document();
        let form = Form::parse(&request, &document.signup, &self.denied_domains)?;
        let user = self.bounded(async {
            // The permit comes first: a client that is asked to come back has not used up a signup of its limit.
            let permit = self.hashing.permit().map_err(hash_refused)?;
            self.admit(&peer)?;
            // Boxed, so that what a refused signup moves about is not the whole of an accepted one.
            Box::pin(self.store_user(form, permit, &document)).await
        });
        let user = user.await?;
        Ok(pb::CreateUserResponse { user: Some(user) })
    }

    /// What the limit leaves to a client; `None` where none is in force for it.
    pub(crate) fn quota(&self, peer: &Peer) -> Option<Quota> {
        let document = self.live.document();
        let client = peer.client(document.signup.behind_proxy, &document.api.http.trusted_proxies);
        self.limit.quota(client, document.signup.per_minute_per_ip)
    }

    async fn store_user(&self, form: Form, permit: HashPermit, document: &Document) -> Result<pb::User, ApiError> {
        let Form { username, password, full_name, email, locale } = form;
        let hashed_password = permit.hash(password).await.map_err(hash_refused)?;
        let user = NewUser { username, full_name, email, hashed_password, locale };
        let (policy, keys) = (Policy::from(document), self.keyring.now());
        let created = if document.signup.hide_existing_accounts {
            // Never in a group: its time would tell a taken address from a free one.
            self.store.create_user_hiding(&user, &policy, &keys).await
        } else {
            self.groups.create_user(user, policy, keys, self.hashing.is_saturated()).await
        };
        match created {
            Ok(created) => {
                self.announce(created.intent, document.task.delay);
                Ok(shown(created.user))
            }
            Err(CreateError::UsernameTaken) => Err(ApiError::UsernameTaken),
            Err(CreateError::EmailTaken) => Err(ApiError::EmailTaken),
            Err(error) => Err(ApiError::Unavailable(Some(Box::new(error)))),
        }
    }

    /// Wakes the relay for a committed intent, unless there is time until its next poll. With delay 0 the task is also
    /// handed over at once, best effort, beside the answer; whatever comes of it, the relay finds the committed row.
    pub(crate) fn announce(&self, intent: Intent, delay: Duration) {
        if delay.is_zero() {
            let relay = Arc::clone(&self.relay);
            tokio::spawn(async move { relay.hand_over(&intent).await });
        }
        if delay < DUE_SOON {
            self.relay.wake();
        }
    }
}

pub(crate) fn hash_refused(error: HashError) -> ApiError {
    match error {
        HashError::QueueFull { after } => ApiError::Overloaded { after },
        error @ HashError::Failed(_) => ApiError::Internal(Some(Box::new(error))),
    }
}

pub(crate) fn shown(user: User) -> pb::User {
    pb::User {
        username: user.username,
        full_name: user.full_name,
        email: user.email,
        password_changed_at: Some(timestamp(user.password_changed_at)),
        created_at: Some(timestamp(user.created_at)),
    }
}

fn timestamp(instant: jiff::Timestamp) -> prost_types::Timestamp {
    // Protobuf counts nanoseconds forward from the second, jiff towards zero.
    let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
    if nanos < 0 {
        return prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 };
    }
    prost_types::Timestamp { seconds, nanos }
}
