//! One log line and one count per request.
//!
//! Takes: every HTTP and gRPC request and its answer. Gives: the lines `received a HTTP request` and `received a gRPC
//! request` with the field names clients of the Go program search for, the span around the request, and the metrics.
//! Does not: log request bodies, header values, or secret query values; a logged body is an error body of ours.

use crate::{grpc_methods, redaction};
use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;
use tracing::{Instrument as _, Level};

/// Bytes of a request URI that are logged; longer ones are cut.
const MAX_PATH_BYTES: usize = 2048;

/// The body of an error answer, kept beside the answer for the log.
#[derive(Debug, Clone)]
pub(crate) struct LoggedBody(pub(crate) String);

/// Logs an answer. A macro, because each place of the program that logs has one level.
macro_rules! log {
    ($level:expr, $($fields:tt)+) => {
        match $level {
            Level::INFO => tracing::info!($($fields)+),
            Level::WARN => tracing::warn!($($fields)+),
            _ => tracing::error!($($fields)+),
        }
    };
}

/// Logs and counts an HTTP request.
pub(crate) async fn http(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let mut path = redaction::redact(&request.uri().to_string());
    path.truncate(path.floor_char_boundary(MAX_PATH_BYTES));
    let route =
        request.extensions().get::<MatchedPath>().map_or("unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", protocol = "http", method = method.as_str(), route);

    let response = next.run(request).instrument(span).await;

    let (status, duration) = (response.status(), start.elapsed());
    let body = response.extensions().get::<LoggedBody>().map(|body| body.0.as_str());
    log!(
        level_of_http(status),
        protocol = "http",
        method = method.as_str(),
        path,
        status_code = status.as_u16(),
        status_text = status.canonical_reason().unwrap_or_default(),
        duration = milliseconds(duration),
        body,
        "received a HTTP request"
    );
    let status = status.as_u16().to_string();
    metrics::counter!("signup_http_requests_total", "route" => route.clone(), "status" => status).increment(1);
    metrics::histogram!("signup_http_request_duration_seconds", "route" => route).record(duration);
    response
}

/// Logs and counts a gRPC request.
pub(crate) async fn grpc(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.uri().path().to_owned();
    let label = grpc_methods::label(&method);
    let span = tracing::info_span!("request", protocol = "grpc", method = label);
    let response = next.run(request).instrument(span).await;

    // An answer without a status here is a stream that began well; tonic sends errors of unary calls in the headers.
    let status = tonic::Status::from_header_map(response.headers());
    let code = status.as_ref().map_or(Code::Ok, tonic::Status::code);
    let (duration, status_text) = (start.elapsed(), code_name(code));
    log!(
        level_of_grpc(code),
        protocol = "grpc",
        method,
        status_code = code as i32,
        status_text,
        duration = milliseconds(duration),
        error = status.as_ref().map(tonic::Status::message).filter(|_| code != Code::Ok),
        "received a gRPC request"
    );
    metrics::counter!("signup_grpc_requests_total", "method" => label, "status" => status_text).increment(1);
    metrics::histogram!("signup_grpc_request_duration_seconds", "method" => label).record(duration);
    response
}

/// A client's mistake is a warning: everybody can make one as often as he likes (decision 10). 501 is one too, for a
/// method that the path does not know.
fn level_of_http(status: StatusCode) -> Level {
    match status {
        StatusCode::OK => Level::INFO,
        StatusCode::NOT_IMPLEMENTED => Level::WARN,
        status if status.is_server_error() => Level::ERROR,
        _ => Level::WARN,
    }
}

/// As [`level_of_http`]: the codes that grpc-gateway answers with 500, 503 and 504 are errors.
fn level_of_grpc(code: Code) -> Level {
    match code {
        Code::Ok => Level::INFO,
        Code::Unknown | Code::Internal | Code::DataLoss | Code::Unavailable | Code::DeadlineExceeded => Level::ERROR,
        _ => Level::WARN,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_mistakes_are_warnings_and_ours_are_errors() {
        for (status, level) in [
            (200, Level::INFO),
            (400, Level::WARN),
            (404, Level::WARN),
            (429, Level::WARN),
            (501, Level::WARN),
            (500, Level::ERROR),
            (503, Level::ERROR),
            (504, Level::ERROR),
        ] {
            assert_eq!(level_of_http(StatusCode::from_u16(status).expect("a status")), level, "{status}");
        }
        for (code, level) in [
            (Code::Ok, Level::INFO),
            (Code::InvalidArgument, Level::WARN),
            (Code::Unimplemented, Level::WARN),
            (Code::ResourceExhausted, Level::WARN),
            (Code::Internal, Level::ERROR),
            (Code::Unavailable, Level::ERROR),
        ] {
            assert_eq!(level_of_grpc(code), level, "{code}");
        }
    }
}
