//! One signup.
//!
//! Takes: a `CreateUserRequest` and the client's address. Gives: the user, stored together with the intent of one
//! verification mail, and a token to ask by what became of it. Order: rules, limit, hash, one transaction (shared with
//! others while hashes queue up), answer; the task is put into Redis after the commit and nobody waits for that. Does
//! not: send anything, or know whether a signup was hidden because its address was taken; the store does, and the mail
//! tells the owner.

use crate::{
    delivery::SignedUp, error::ApiError, form, form::Form, idempotency::IdempotencyKey, pb, peer::Peer,
    service::Service, signup_limit::Quota,
};
use pipeline::Document;
use signup::{
    Account, Answered, CreateError, EmailAddress, Intent, NewUser, Once, Policy, User,
    password::{HashError, HashPermit},
};
use std::{sync::Arc, time::Duration};

/// Mails due earlier than this are worth waking the relay for; it polls by itself three times as often.
const DUE_SOON: Duration = Duration::from_secs(1);

/// What is not known when the answer to the COMMIT is lost.
const MAY_EXIST: &str = "the user may exist";

impl Service {
    /// Creates a user; under a key once, however often the request is sent.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: invalid fields, limit reached, pool full, name or address taken, key in use, database away.
    pub(crate) async fn create_user(
        &self,
        request: pb::CreateUserRequest,
        peer: Peer,
        key: Option<IdempotencyKey>,
    ) -> Result<SignedUp<pb::CreateUserResponse>, ApiError> {
        self.create_counted(request, Some(&peer), key).await
    }

    /// The same with `peer: None` for a request that was counted already: what this process does with it again by
    /// itself uses nothing of the client's limit up.
    ///
    /// # Errors
    ///
    /// As [`create_user`](Self::create_user).
    pub(crate) async fn create_counted(
        &self,
        request: pb::CreateUserRequest,
        peer: Option<&Peer>,
        key: Option<IdempotencyKey>,
    ) -> Result<SignedUp<pb::CreateUserResponse>, ApiError> {
        let document = self.live.document();
        let form = Form::parse(&request, &document.signup, &self.denied_domains)?;
        let user = self.bounded(async {
            // The permit comes first: a client that is asked to come back has not used up a signup of its limit.
            let permit = self.hashing.permit().map_err(hash_refused)?;
            peer.map_or(Ok(()), |peer| self.admit(peer))?;
            // Boxed, so that what a refused signup moves about is not the whole of an accepted one.
            match &key {
                Some(key) => Box::pin(self.store_user_once(form, permit, &document, key, &request)).await,
                None => Box::pin(self.store_user(form, permit, &document, None)).await,
            }
        });
        let user = user.await.map_err(|error| if key.is_some() { error.or_unknown(MAY_EXIST) } else { error })?;
        let token = Account::from(&user).token(&self.keyring.now());
        Ok(SignedUp { answer: pb::CreateUserResponse { user: Some(shown(user)) }, token })
    }

    /// Refuses a breached password, and an address at a domain that takes no mail, both asked for at once. Nobody's
    /// turn is kept meanwhile: a slow service must not look like many hashes.
    async fn ask_others(&self, permit: HashPermit, form: &Form, document: &Document) -> Result<HashPermit, ApiError> {
        let check = document.signup.password.breach_check.as_ref();
        if check.is_none() && !document.signup.email_domains.require_mx {
            return Ok(permit);
        }
        drop(permit);
        let is_breached = async {
            match check {
                Some(check) => self.breaches.knows(&check.url, &form.password).await,
                None => false,
            }
        };
        let (is_breached, takes_mail) = tokio::join!(is_breached, self.takes_mail(&form.email, document));
        if is_breached {
            return Err(form::weak("is known from a breach of another site; choose another one"));
        }
        takes_mail?;
        self.hashing.permit().map_err(hash_refused)
    }

    /// Refuses an address at a domain that takes no mail, where that is asked for.
    ///
    /// # Errors
    ///
    /// [`ApiError::Invalid`].
    pub(crate) async fn takes_mail(&self, email: &EmailAddress, document: &Document) -> Result<(), ApiError> {
        let is_asked = document.signup.email_domains.require_mx;
        if is_asked && !self.mail_servers.takes_mail(email.domain()).await {
            return Err(form::no_mail());
        }
        Ok(())
    }

    /// The user that was answered to the same request under the key, or else a new one.
    async fn store_user_once(
        &self,
        form: Form,
        permit: HashPermit,
        document: &Document,
        key: &IdempotencyKey,
        request: &pb::CreateUserRequest,
    ) -> Result<User, ApiError> {
        let once = key.once(&all_of(request), &self.keyring.now());
        let _running = self.running.begin(once.key)?;
        if let Some(user) = self.answered(key, &once, request).await? {
            return Ok(user);
        }
        match self.store_user(form, permit, document, Some(&once)).await {
            // Another process was faster.
            Err(ApiError::KeyReused) => self.answered(key, &once, request).await?.ok_or(ApiError::KeyRunning),
            done => done,
        }
    }

    async fn answered(
        &self,
        key: &IdempotencyKey,
        once: &Once,
        request: &pb::CreateUserRequest,
    ) -> Result<Option<User>, ApiError> {
        let answered = self.store.answered(&once.key).await;
        match answered.map_err(|error| ApiError::Unavailable(Some(Box::new(error))))? {
            Some(Answered { request: before, user }) => {
                let is_same = key.came_with(&all_of(request), &self.keyring.now(), &before);
                if is_same { Ok(Some(user)) } else { Err(ApiError::KeyReused) }
            }
            None => Ok(None),
        }
    }

    /// Whether some process has the signup under a key in a transaction, or this one works on it. What is wrong with
    /// the database, whoever signs up again is told.
    pub(crate) async fn has_signup_under_way(&self, key: [u8; 32]) -> bool {
        self.store.is_signup_running(&key).await.unwrap_or(false) || self.running.has(key)
    }

    /// What the limit leaves to a client; `None` where none is in force for it.
    pub(crate) fn quota(&self, peer: &Peer) -> Option<Quota> {
        let document = self.live.document();
        let client = peer.client(document.signup.behind_proxy, &document.api.http.trusted_proxies);
        self.limit.quota(client, document.signup.per_minute_per_ip)
    }

    async fn store_user(
        &self,
        form: Form,
        permit: HashPermit,
        document: &Document,
        once: Option<&Once>,
    ) -> Result<User, ApiError> {
        // What was answered under a key before is not asked for again.
        let permit = self.ask_others(permit, &form, document).await?;
        let Form { username, password, full_name, email, locale } = form;
        let hashed_password = if document.signup.password.refuse_common {
            let hashed = permit.hash_unless_common(password).await.map_err(hash_refused)?;
            hashed.ok_or_else(|| form::weak("is too easy to guess; choose another one"))?
        } else {
            permit.hash(password).await.map_err(hash_refused)?
        };
        let user = NewUser { username, full_name, email, hashed_password, locale };
        let (policy, keys) = (Policy::from(document), self.keyring.now());
        let hides = document.signup.hide_existing_accounts;
        let created = if let Some(once) = once {
            self.store.create_user_once(&user, &policy, &keys, once, hides).await
        } else if hides {
            // Never in a group: its time would tell a taken address from a free one.
            self.store.create_user_hiding(&user, &policy, &keys).await
        } else {
            self.groups.create_user(user, policy, keys, self.hashing.is_saturated()).await
        };
        let created = created.map_err(not_created)?;
        self.announce(created.intent, document.task.delay);
        Ok(created.user)
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

/// All that a signup says, field by field: a new one has to be compared too.
fn all_of(request: &pb::CreateUserRequest) -> [&str; 5] {
    let pb::CreateUserRequest { username, full_name, email, password, locale } = request;
    [username, full_name, email, password, locale]
}

fn not_created(error: CreateError) -> ApiError {
    match error {
        CreateError::UsernameTaken => ApiError::UsernameTaken,
        CreateError::EmailTaken => ApiError::EmailTaken,
        CreateError::KeyRunning => ApiError::KeyRunning,
        CreateError::KeyUsed => ApiError::KeyReused,
        error @ CreateError::OutcomeUnknown(_) => {
            ApiError::OutcomeUnknown { may_be: MAY_EXIST, cause: Some(Box::new(error)) }
        }
        error => ApiError::Unavailable(Some(Box::new(error))),
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
