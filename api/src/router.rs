//! The routes of the HTTP interface and what stands around them.
//!
//! Takes: the [`Service`]. Gives: the router: access log outermost, then what browsers ask of other origins, a net for
//! panics, the routes.
//! Does not: listen; that is [`crate::accept`].

use crate::{
    access_log, cors,
    delivery::{Asked, AskedToken, Seen, SignedUp},
    error::{ApiError, Body},
    idempotency::RequestKey,
    openapi::{self, Later, OfBody, TooMany, UnderKey},
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
    routing::get,
};
use std::{any::Any, sync::Arc};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

/// Builds the router.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    let (calls, described) = OpenApiRouter::with_openapi(openapi::About::openapi())
        .routes(routes!(create_user))
        // HEAD would otherwise run the GET handler, and that one verifies.
        .routes(routes!(verify_email, verify_email_form).map(|methods| methods.head(no_such_method)))
        .routes(routes!(verify_code))
        .routes(routes!(resend_verification))
        .routes(routes!(correct_email))
        .routes(routes!(delivery_state).map(|methods| methods.head(no_such_method)))
        .split_for_parts();
    calls
        .merge(openapi::serve(&described))
        .route("/signup", get(page::signup::ask).post(page::signup::answer))
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

/// Creates a user and promises one verification mail.
#[utoipa::path(
    post,
    path = "/v1/create_user",
    request_body = pb::CreateUserRequest,
    params(UnderKey),
    responses(
        (
            status = 200, description = "The user just stored.", body = pb::CreateUserResponse,
            headers(
                ("RateLimit" = Option<String>, description = "Signups that are left to the client, where limited."),
                ("Signup-Token" = String, description = "Who has it may ask what became of the mail."),
                ("RateLimit-Policy" = Option<String>, description = "The limit, where there is one."),
            ),
        ),
        (status = 400, description = "Fields break their rules, or the body is no JSON object.", body = Body),
        (
            status = 409, body = Body,
            description = "The name or the address is taken; or (code 10) a request under this key is being answered.",
        ),
        (status = 422, description = "The key came with another request before.", body = Body),
        OfBody, TooMany, Later,
    ),
)]
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

/// Marks an address as verified, as the Go program does. No mail links here: scanners follow links.
#[utoipa::path(
    get,
    path = "/v1/verify_email",
    params(pb::VerifyEmailRequest),
    responses(
        (status = 200, description = "The address is verified, by now or before.", body = pb::VerifyEmailResponse),
        (status = 400, description = "A parameter breaks its rule, or the link was used before.", body = Body),
        (status = 404, description = "No such link.", body = Body),
        (status = 410, description = "The link has expired, or the user has another address by now.", body = Body),
        Later,
    ),
)]
async fn verify_email(
    State(service): State<Arc<Service>>,
    Parameters(request): Parameters,
) -> Result<ProtoJson<pb::VerifyEmailResponse>, ApiError> {
    service.verify_email(request).await.map(ProtoJson)
}

/// The same by a form, whose fields may stand in the query as well.
#[utoipa::path(
    post,
    path = "/v1/verify_email",
    request_body(content = pb::VerifyEmailRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The address is verified, by now or before.", body = pb::VerifyEmailResponse),
        (status = 400, description = "A field breaks its rule, or the link was used before.", body = Body),
        (status = 404, description = "No such link.", body = Body),
        (status = 410, description = "The link has expired, or the user has another address by now.", body = Body),
        (status = 501, description = "The body is no form.", body = Body),
        OfBody, Later,
    ),
)]
async fn verify_email_form(
    service: State<Arc<Service>>,
    parameters: Parameters,
) -> Result<ProtoJson<pb::VerifyEmailResponse>, ApiError> {
    verify_email(service, parameters).await
}

/// Marks an address as verified, by the six digits of a mail.
#[utoipa::path(
    post,
    path = "/v1/verify_code",
    request_body = pb::VerifyCodeRequest,
    responses(
        (status = 200, description = "The address is verified, by now or before.", body = pb::VerifyCodeResponse),
        (status = 400, description = "A field breaks its rule, or the code is used or locked.", body = Body),
        (status = 404, description = "Wrong digits, or a name that nobody has.", body = Body),
        (status = 410, description = "The code has expired.", body = Body),
        OfBody, TooMany, Later,
    ),
)]
async fn verify_code(
    State(service): State<Arc<Service>>,
    peer: Peer,
    ProtoJson(request): ProtoJson<pb::VerifyCodeRequest>,
) -> Result<ProtoJson<pb::VerifyCodeResponse>, ApiError> {
    service.verify_code(request, peer).await.map(ProtoJson)
}

/// Asks for another verification mail. The answer does not tell whether anybody has the address.
#[utoipa::path(
    post,
    path = "/v1/resend_verification",
    request_body = pb::ResendVerificationRequest,
    params(UnderKey),
    responses(
        (status = 200, description = "It is asked for.", body = pb::ResendVerificationResponse),
        (status = 400, description = "The address breaks its rule, or the key.", body = Body),
        (status = 409, description = "A request under this key is being answered (code 10).", body = Body),
        (status = 422, description = "The key came with another address before.", body = Body),
        OfBody, TooMany, Later,
    ),
)]
async fn resend_verification(
    State(service): State<Arc<Service>>,
    peer: Peer,
    RequestKey(key): RequestKey,
    ProtoJson(request): ProtoJson<pb::ResendVerificationRequest>,
) -> Result<ProtoJson<pb::ResendVerificationResponse>, ApiError> {
    service.resend_verification(request, peer, key).await.map(ProtoJson)
}

/// Corrects an address that is not verified, and sends a mail to it.
#[utoipa::path(
    patch,
    path = "/v1/users/me/email",
    request_body = pb::CorrectEmailRequest,
    responses(
        (
            status = 200, description = "The user with the new address.", body = pb::CorrectEmailResponse,
            headers(("Signup-Token" = String, description = "That of the signup.")),
        ),
        (status = 400, description = "A field breaks its rule, or the address is verified.", body = Body),
        (status = 403, description = "A wrong password, or a name that nobody has.", body = Body),
        (status = 409, description = "Somebody else has the address.", body = Body),
        OfBody, TooMany, Later,
    ),
)]
async fn correct_email(
    State(service): State<Arc<Service>>,
    peer: Peer,
    ProtoJson(request): ProtoJson<pb::CorrectEmailRequest>,
) -> Result<SignedUp<pb::CorrectEmailResponse>, ApiError> {
    service.correct_email(request, peer).await
}

/// What became of the mail, at once, or as soon as it is not `after` any more, 25 s later at the latest.
#[utoipa::path(
    get,
    path = "/v1/delivery_state",
    params(
        ("Signup-Token" = String, Header, description = "As the answer to the signup or to the correction has it."),
        (
            "after" = Option<String>, Query, pattern = "^(queued|sent|refused|failed|verified)$",
            description = "The state that the client knows.",
        ),
    ),
    responses(
        (
            status = 200, description = "The state.", body = pb::GetDeliveryStateResponse,
            headers(("Retry-After" = Option<i32>, description = "Seconds to wait, where this one could not.")),
        ),
        (status = 400, description = "There is no token, or no such state.", body = Body),
        (status = 404, description = "The token is nobody's.", body = Body),
        Later,
    ),
)]
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
