//! The routes of the HTTP interface and what stands around them.
//!
//! Takes: the [`Service`]. Gives: the router: access log outermost, then what browsers ask of other origins, a net for
//! panics, the routes.
//! Does not: listen; that is [`crate::accept`].

use crate::{
    access_log, cors,
    delivery::{Asked, AskedToken, Seen, SignedUp},
    error::ApiError,
    idempotency::RequestKey,
    page, pb,
    peer::Peer,
    protojson::ProtoJson,
    query::{Parameters, Query},
    service::Service,
};
use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use std::{any::Any, sync::Arc};
use tower_http::catch_panic::CatchPanicLayer;

/// Builds the router.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/create_user", post(create_user))
        // HEAD would otherwise run the GET handler, and that one verifies.
        .route("/v1/verify_email", get(verify_email).post(verify_email).head(no_such_method))
        .route("/v1/verify_code", post(verify_code))
        .route("/v1/resend_verification", post(resend_verification))
        .route("/v1/users/me/email", patch(correct_email))
        .route("/v1/delivery_state", get(delivery_state).head(no_such_method))
        .route("/verify_email", get(page::ask).post(page::answer))
        // Programs that make links of text put a slash behind some.
        .route("/verify_email/", get(page::ask).post(page::answer))
        .route("/verify_code", get(page::code::ask).post(page::code::answer))
        .route("/resend_verification", get(page::resend::ask).post(page::resend::answer))
        .method_not_allowed_fallback(no_such_method)
        .fallback(|| async { ApiError::NoSuchPath })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(service.live.clone(), cors::answer))
        .layer(middleware::from_fn(access_log::http))
        .with_state(service)
}

async fn create_user(
    State(service): State<Arc<Service>>,
    peer: Peer,
    RequestKey(key): RequestKey,
    ProtoJson(request): ProtoJson<pb::CreateUserRequest>,
) -> Response {
    let mut response = service.create_user(request, peer.clone(), key).await.into_response();
    if let Some(quota) = service.quota(&peer) {
        quota.write_headers(response.headers_mut());
    }
    response
}

/// For API clients: GET verifies, as in the Go program. No mail links here.
async fn verify_email(
    State(service): State<Arc<Service>>,
    Parameters(request): Parameters,
) -> Result<ProtoJson<pb::VerifyEmailResponse>, ApiError> {
    service.verify_email(request).await.map(ProtoJson)
}

async fn verify_code(
    State(service): State<Arc<Service>>,
    peer: Peer,
    ProtoJson(request): ProtoJson<pb::VerifyCodeRequest>,
) -> Result<ProtoJson<pb::VerifyEmailResponse>, ApiError> {
    service.verify_code(request, peer).await.map(ProtoJson)
}

async fn resend_verification(
    State(service): State<Arc<Service>>,
    peer: Peer,
    ProtoJson(request): ProtoJson<pb::ResendVerificationRequest>,
) -> Result<ProtoJson<pb::ResendVerificationResponse>, ApiError> {
    service.resend_verification(request, peer).await.map(ProtoJson)
}

async fn correct_email(
    State(service): State<Arc<Service>>,
    peer: Peer,
    ProtoJson(request): ProtoJson<pb::CorrectEmailRequest>,
) -> Result<SignedUp<pb::CorrectEmailResponse>, ApiError> {
    service.correct_email(request, peer).await
}

async fn delivery_state(
    State(service): State<Arc<Service>>,
    peer: Peer,
    token: AskedToken,
    Query(asked): Query<Asked>,
) -> Result<Seen, ApiError> {
    service.next_delivery_state(token, asked, &peer).await
}

async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}

/// The panic's own message is on standard error already (and may hold anything), so it is not repeated.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::Internal(None).into_response()
}
