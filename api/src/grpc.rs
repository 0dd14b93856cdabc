//! The gRPC interface.
//!
//! Takes: the [`Service`]. Gives: `pb.SimpleBank`, `grpc.health.v1`, whose answer follows the readiness of the process,
//! and where the configuration says so reflection (v1 and v1alpha, for Evans and grpcurl). Calls that are not listed in
//! the proto file are answered UNIMPLEMENTED. Does not: have rules of its own.

use crate::{
    access_log, delivery::SignedUp, error::ApiError, grpc_methods::DESCRIPTOR, idempotency::IdempotencyKey, pb,
    peer::Peer, request_body, service::Service,
};
use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    http::HeaderMap,
    middleware::{self, Next},
    response::Response as HttpResponse,
};
use pb::simple_bank_server::{SimpleBank, SimpleBankServer};
use pipeline::Live;
use std::{any::Any, net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tonic::{Code, Extensions, Request, Response, Status, body::Body, metadata::MetadataMap, service::Routes};
use tonic_health::server::HealthReporter;
use tower_http::catch_panic::CatchPanicLayer;

/// Time for one call, its message included; streams (reflection, health watch) only have to begin within it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a message to health and reflection: names.
const NAME_LIMIT: usize = 4 * 1024;

/// How prost begins the description of a message it cannot read; what follows names the field, never its value.
const UNREADABLE: &str = "failed to decode Protobuf message: ";

/// The interface could not be built.
#[derive(Debug, thiserror::Error)]
#[error("failed to build the gRPC reflection service")]
pub struct ReflectionError(#[from] tonic_reflection::server::Error);

/// `pb.SimpleBank` over the [`Service`].
struct Calls(Arc<Service>);

/// Builds the routes and the handle that sets the answer of health checks. Of the calls of `pb.SimpleBank`, each of
/// which may hold a message of 64 KiB, `calls` are read at once over all connections; further ones wait.
///
/// # Errors
///
/// [`ReflectionError`] when the compiled-in descriptor is broken.
pub(crate) fn routes(service: Arc<Service>, calls: usize) -> Result<(Router, HealthReporter), ReflectionError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let live = service.live.clone();
    let routes = Routes::new(SimpleBankServer::new(Calls(service)).max_decoding_message_size(request_body::LIMIT))
        .add_service(health.max_decoding_message_size(NAME_LIMIT))
        .add_service(reflection().build_v1()?.max_decoding_message_size(NAME_LIMIT))
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(NAME_LIMIT))
        .into_axum_router()
        .layer(middleware::from_fn_with_state(Arc::new(Semaphore::new(calls)), bounded))
        .layer(middleware::from_fn_with_state(live, hide_reflection))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(access_log::grpc));
    Ok((routes, reporter))
}

/// Sets the answer of health checks, for the whole process and for the service by name: whether it can work.
pub(crate) async fn report(reporter: &HealthReporter, ready: bool) {
    let status = if ready { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    for name in ["", "pb.SimpleBank"] {
        reporter.set_service_status(name, status).await;
    }
}

#[tonic::async_trait]
impl SimpleBank for Calls {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let peer = peer(&request);
        let key = IdempotencyKey::of(&request.metadata().clone().into_headers())?;
        self.0.create_user(request.into_inner(), peer, key).await.map(with_token).map_err(Status::from)
    }

    async fn verify_email(
        &self,
        request: Request<pb::VerifyEmailRequest>,
    ) -> Result<Response<pb::VerifyEmailResponse>, Status> {
        Ok(Response::new(self.0.verify_email(request.into_inner()).await?))
    }

    async fn verify_code(
        &self,
        request: Request<pb::VerifyCodeRequest>,
    ) -> Result<Response<pb::VerifyCodeResponse>, Status> {
        let peer = peer(&request);
        Ok(Response::new(self.0.verify_code(request.into_inner(), peer).await?))
    }

    async fn resend_verification(
        &self,
        request: Request<pb::ResendVerificationRequest>,
    ) -> Result<Response<pb::ResendVerificationResponse>, Status> {
        let peer = peer(&request);
        let key = IdempotencyKey::of(&request.metadata().clone().into_headers())?;
        Ok(Response::new(self.0.resend_verification(request.into_inner(), peer, key).await?))
    }

    async fn correct_email(
        &self,
        request: Request<pb::CorrectEmailRequest>,
    ) -> Result<Response<pb::CorrectEmailResponse>, Status> {
        let peer = peer(&request);
        self.0.correct_email(request.into_inner(), peer).await.map(with_token).map_err(Status::from)
    }

    async fn get_delivery_state(
        &self,
        request: Request<pb::GetDeliveryStateRequest>,
    ) -> Result<Response<pb::GetDeliveryStateResponse>, Status> {
        let state = self.0.delivery_state(&request.into_inner().token).await?;
        Ok(Response::new(pb::GetDeliveryStateResponse { state: state.as_str().to_owned() }))
    }
}

/// The token is metadata, as it is a header of HTTP.
fn with_token<T>(signed_up: SignedUp<T>) -> Response<T> {
    let mut headers = HeaderMap::new();
    signed_up.write_token(&mut headers);
    Response::from_parts(MetadataMap::from_headers(headers), signed_up.answer, Extensions::default())
}

/// The accept loop names the peer of every request; without it all clients would share one limit.
fn peer<T>(request: &Request<T>) -> Peer {
    request.extensions().get().cloned().unwrap_or_else(|| Peer::new(Ipv4Addr::UNSPECIFIED.into()))
}

/// Without reflection its methods are as unknown as any other.
async fn hide_reflection(State(live): State<Live>, request: HttpRequest, next: Next) -> HttpResponse {
    let is_reflection = request.uri().path().starts_with("/grpc.reflection.");
    if is_reflection && !live.document().api.grpc.reflection {
        return Status::unimplemented("").into_http();
    }
    next.run(request).await
}

async fn bounded(State(permits): State<Arc<Semaphore>>, request: HttpRequest, next: Next) -> HttpResponse {
    let answer = async {
        // Streams of health and reflection may last, and none of them may keep a signup waiting.
        let is_bounded = request.uri().path().starts_with("/pb.SimpleBank/");
        let _permit = if is_bounded { permits.acquire().await.ok() } else { None };
        next.run(request).await
    };
    let Ok(response) = tokio::time::timeout(TIMEOUT, answer).await else {
        return Status::from(ApiError::Deadline).into_http();
    };
    match Status::from_header_map(response.headers()).and_then(|status| unreadable(&status)) {
        Some(error) => Status::from(error).into_http(),
        None => response,
    }
}

/// What tonic says of messages it cannot read, in our words and with the codes of Go's servers: a client's mistake is
/// not INTERNAL. We ourselves never answer OUT_OF_RANGE.
fn unreadable(status: &Status) -> Option<ApiError> {
    match status.code() {
        Code::OutOfRange => Some(ApiError::TooLarge),
        Code::Internal => {
            let problem = status.message().strip_prefix(UNREADABLE)?;
            let fields =
                ["username", "full_name", "email", "password", "email_id", "secret_code", "locale", "code", "token"];
            let field = fields.into_iter().find(|field| problem.contains(&format!(".{field}:")));
            Some(ApiError::Malformed { field, problem: problem.to_owned() })
        }
        _ => None,
    }
}

fn panicked(_panic: Box<dyn Any + Send>) -> axum::http::Response<Body> {
    Status::from(ApiError::Internal(None)).into_http()
}
