//! What became of a mail, for whoever signed up.
//!
//! Takes: the token that the signup was answered with, and perhaps the state that the client knows. Gives: the state;
//! where the client knows it, as soon as there is another one, 25 s later at the latest, or at once where too many
//! wait. Does not: tell anything to who has no token, or ask PostgreSQL more often than
//! [`delivery_lookups`](crate::delivery_lookups) allows.

use crate::{
    delivery_waiting::Cut,
    error::{ApiError, whole_seconds},
    fields::Fields,
    peer::Peer,
    protojson::ProtoJson,
    service::Service,
};
use axum::{
    Json,
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONNECTION, RETRY_AFTER},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use serde_json::json;
use signup::{Account, DeliveryState, DeliveryToken, Violation};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The header of an answer to a signup, and of a question for its state.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("signup-token");

/// Its name in errors.
const NAME: &str = "Signup-Token";

/// How long a state is waited for: less than proxies wait for an answer (nginx: 60 s).
const MAX_WAIT: Duration = Duration::from_secs(25);

/// When a client should ask again that could not wait.
const RETRY: Duration = Duration::from_secs(5);

/// The token of a question.
pub(crate) struct AskedToken(String);

impl<S: Sync> FromRequestParts<S> for AskedToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let token = values.next().and_then(|value| value.to_str().ok()).filter(|_| values.next().is_none());
        token.map(|token| Self(token.to_owned())).ok_or_else(|| ApiError::Malformed {
            field: Some(NAME),
            problem: format!("{NAME} must be given once, as the answer to the signup has it"),
        })
    }
}

/// The query of a question.
#[derive(Default)]
pub(crate) struct Asked {
    /// The state that the client knows; empty: none.
    after: String,
}

impl Fields for Asked {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        (key == "after").then_some(("after", &mut self.after))
    }
}

/// A state, and why it was not waited for longer.
pub(crate) struct Seen {
    state: DeliveryState,
    cut: Option<Cut>,
}

impl IntoResponse for Seen {
    fn into_response(self) -> Response {
        let mut response = Json(json!({"state": self.state.as_str()})).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(cut) = self.cut {
            headers.insert(RETRY_AFTER, whole_seconds(RETRY).into());
            if cut == Cut::Crowded {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}

/// What whoever signed up is answered, and the token that comes with it.
pub(crate) struct SignedUp<T> {
    pub(crate) answer: T,
    pub(crate) token: DeliveryToken,
}

impl<T> SignedUp<T> {
    /// The token as a header, or as metadata of a call.
    pub(crate) fn write_token(&self, headers: &mut HeaderMap) {
        if let Ok(mut value) = HeaderValue::from_str(self.token.as_str()) {
            value.set_sensitive(true);
            headers.insert(HEADER, value);
        }
    }
}

impl<T> IntoResponse for SignedUp<T>
where
    ProtoJson<T>: IntoResponse,
{
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        self.write_token(&mut headers);
        (headers, ProtoJson(self.answer)).into_response()
    }
}

/// Looks up what clients ask for until `stop`.
pub(crate) async fn look_up(service: Arc<Service>, stop: CancellationToken) {
    service.lookups.run(&service.store, &stop).await;
}

impl Service {
    /// The state now.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: a token that is nobody's, database away.
    pub(crate) async fn delivery_state(&self, token: &str) -> Result<DeliveryState, ApiError> {
        let account = Account::of_token(token, &self.keyring.now()).ok_or(ApiError::TokenUnknown)?;
        self.state_of(&account).await
    }

    /// The state now, or where `asked` names it the next one.
    ///
    /// # Errors
    ///
    /// As [`delivery_state`](Self::delivery_state); a state that there is not.
    pub(crate) async fn next_delivery_state(
        &self,
        AskedToken(token): AskedToken,
        asked: Asked,
        peer: &Peer,
    ) -> Result<Seen, ApiError> {
        let account = Account::of_token(&token, &self.keyring.now()).ok_or(ApiError::TokenUnknown)?;
        let known = match asked.after.as_str() {
            "" => None,
            after => Some(after.parse().map_err(|error| invalid("after", &error))?),
        };
        let state = self.state_of(&account).await?;
        // What is verified stays so.
        if known != Some(state) || state == DeliveryState::Verified {
            return Ok(Seen { state, cut: None });
        }
        let document = self.live.document();
        let client = peer.client(document.signup.behind_proxy, &document.api.http.trusted_proxies);
        let Some(permit) = self.waiting.permit(client) else { return Ok(Seen { state, cut: Some(Cut::Full) }) };
        let end = Instant::now() + MAX_WAIT;
        let change = async {
            while Instant::now() < end {
                let now = self.state_of(&account).await?;
                if now != state {
                    return Ok(now);
                }
            }
            Ok(state)
        };
        tokio::select! {
            changed = change => Ok(Seen { state: changed?, cut: None }),
            cut = permit.cut() => Ok(Seen { state, cut: Some(cut) }),
        }
    }

    async fn state_of(&self, account: &Account) -> Result<DeliveryState, ApiError> {
        self.bounded(async {
            let state = self.lookups.state_of(account).await;
            state.ok_or(ApiError::Unavailable(None))?.ok_or(ApiError::TokenUnknown)
        })
        .await
    }
}

fn invalid(field: &'static str, why: &signup::UnknownDeliveryState) -> ApiError {
    ApiError::Invalid(vec![Violation { field, description: why.to_string() }])
}
