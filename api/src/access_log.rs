//! One log line and one count per request.
//!
//! Takes: every HTTP and gRPC request and its answer. Gives: the lines `received a HTTP request` and `received a gRPC
//! request` with the field names clients of the Go program search for, and the request metrics.
//! Does not: log request bodies, header values, or secret query values; a logged body is an error body of ours.

use crate::redaction;
use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;

/// Bytes of a request URI that are logged; longer ones are cut.
const LOGGED_PATH: usize = 2048;

/// The body of an error answer, kept beside the answer for the log.
#[derive(Debug, Clone)]
pub(crate) struct LoggedBody(pub(crate) String);

/// Logs and counts an HTTP request.
pub(crate) async fn http(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let mut path = redaction::redact(&request.uri().to_string());
    path.truncate(path.floor_char_boundary(LOGGED_PATH));
    let route =
        request.extensions().get::<MatchedPath>().map_or("unmatched".to_owned(), |path| path.as_str().to_owned());

    let response = next.run(request).await;

    let (status, duration) = (response.status(), start.elapsed());
    let status_text = status.canonical_reason().unwrap_or_default();
    let (method, code, milliseconds) = (method.as_str(), status.as_u16(), milliseconds(duration));
    if status == StatusCode::OK {
        tracing::info!(
            protocol = "http",
            method,
            path,
            status_code = code,
            status_text,
            duration = milliseconds,
            "received a HTTP request"
        );
    } else {
        let body = response.extensions().get::<LoggedBody>().map(|body| body.0.as_str());
        tracing::error!(
            protocol = "http",
            method,
            path,
            status_code = code,
            status_text,
            duration = milliseconds,
            body,
            "received a HTTP request"
        );
    }
    metrics::counter!("signup_http_requests_total", "route" => route.clone(), "status" => code.to_string())
        .increment(1);
    metrics::histogram!("signup_http_request_duration_seconds", "route" => route).record(duration);
    response
}

/// Logs and counts a gRPC request.
pub(crate) async fn grpc(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.uri().path().to_owned();
    let response = next.run(request).await;

    // An answer without a status here is a stream that began well; tonic sends errors of unary calls in the headers.
    let status = tonic::Status::from_header_map(response.headers());
    let code = status.as_ref().map_or(Code::Ok, tonic::Status::code);
    let (duration, status_code) = (start.elapsed(), code as i32);
    let (status_text, milliseconds) = (code_name(code), milliseconds(duration));
    if code == Code::Ok {
        tracing::info!(
            protocol = "grpc",
            method,
            status_code,
            status_text,
            duration = milliseconds,
            "received a gRPC request"
        );
    } else {
        let error = status.as_ref().map(tonic::Status::message);
        tracing::error!(
            protocol = "grpc",
            method,
            status_code,
            status_text,
            duration = milliseconds,
            error,
            "received a gRPC request"
        );
    }
    let method = known_method(&method);
    metrics::counter!("signup_grpc_requests_total", "method" => method, "status" => status_text).increment(1);
    metrics::histogram!("signup_grpc_request_duration_seconds", "method" => method).record(duration);
    response
}

/// A label from a closed set: clients choose paths, and each label value costs memory.
fn known_method(method: &str) -> &'static str {
    match method {
        "/pb.SimpleBank/CreateUser" => "CreateUser",
        "/pb.SimpleBank/VerifyEmail" => "VerifyEmail",
        "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" => "Health",
        _ => "other",
    }
}

/// The name that Go's `codes.Code.String` prints, which the log lines of the Go program show.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
