//! The routes of the HTTP interface and what stands around them.
//!
//! Takes: the [`Service`]. Gives: the router: access log outermost, then a net for panics, then the routes.
//! Does not: listen; that is [`crate::accept`].

use crate::{access_log, error::ApiError, page, peer::Peer, protojson, query, request_body, service::Service};
use axum::{
    Extension, Json, Router,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use std::{any::Any, sync::Arc};
use tower_http::catch_panic::CatchPanicLayer;

/// Builds the router.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/create_user", post(create_user))
        // HEAD would otherwise run the GET handler, and that one verifies.
        .route("/v1/verify_email", get(verify_email).post(verify_email_form).head(no_such_method))
        .route("/verify_email", get(page::ask).post(page::answer))
        .method_not_allowed_fallback(no_such_method)
        .fallback(|| async { ApiError::NoSuchPath })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(access_log::http))
        .with_state(service)
}

async fn create_user(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let body = request_body::read(&parts.headers, body).await?;
    let response = service.create_user(protojson::create_user_request(&body)?, peer).await?;
    Ok(Json(protojson::create_user_response(&response)))
}

/// For API clients: GET verifies, as in the Go program. No mail links here.
async fn verify_email(State(service): State<Arc<Service>>, request: Request) -> Result<Json<Value>, ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let response = service.verify_email(query::verify_email_request(&[query.as_bytes()])?).await?;
    Ok(Json(protojson::verify_email_response(response)))
}

/// grpc-gateway serves a form POST by the GET route, with the parameters of both; other POSTs are unknown to it.
async fn verify_email_form(State(service): State<Arc<Service>>, request: Request) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_form(&parts.headers) {
        return Err(ApiError::NoSuchMethod);
    }
    let query = parts.uri.query().unwrap_or_default();
    let form = request_body::read(&parts.headers, body).await?;
    let response = service.verify_email(query::verify_email_request(&[query.as_bytes(), &form])?).await?;
    Ok(Json(protojson::verify_email_response(response)))
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}

/// The panic's own message is on standard error already (and may hold anything), so it is not repeated.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::Internal(None).into_response()
}
