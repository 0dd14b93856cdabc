//! Every way a request can fail, and the answer to each.
//!
//! Takes: domain failures. Gives: the HTTP answer `{"code":N,"message":"...","details":[...]}` of grpc-gateway and the
//! gRPC status with the same code, message and details. Which status a failure has is decided here alone. Does not:
//! show the cause of a failure to a client; causes go to the log, once, here.

mod body;

use crate::access_log::LoggedBody;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
pub(crate) use body::Body;
use body::DOMAIN;
use pipeline::Unready;
use signup::Violation;
use std::{error::Error as StdError, time::Duration};
use tokio::time::error::Elapsed;
use tonic::Code;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// How long a client is asked to wait when the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that is not answered with success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Fields that break their rules, all of them.
    #[error("invalid parameters")]
    Invalid(Vec<Violation>),
    /// A request that cannot be read, e.g. malformed JSON.
    #[error("invalid request: {problem}")]
    Malformed {
        /// The field that cannot be read, when it is known.
        field: Option<&'static str>,
        /// What is wrong; never the value, which may be a password.
        problem: String,
    },
    /// The `email_id` of a query is no number.
    #[error("parsing field \"email_id\": not a whole number")]
    EmailId,
    /// The body is larger than [`crate::request_body::LIMIT`].
    #[error("request body is larger than 64 KiB")]
    TooLarge,
    /// The body is compressed or otherwise encoded.
    #[error("request body is encoded; send it as it is, without Content-Encoding")]
    Encoded,
    /// The body is no JSON, and the client says so itself.
    #[error("request body is not JSON; send application/json in UTF-8")]
    NotJson,
    /// The body did not arrive in time.
    #[error("request body did not arrive in time")]
    BodyTimeout,
    /// Another user has this name.
    #[error("username already exists")]
    UsernameTaken,
    /// Another user has this address.
    #[error("email already exists")]
    EmailTaken,
    /// A request with the same key is being answered.
    #[error("a request with this Idempotency-Key is being answered, try again")]
    KeyRunning,
    /// The key came with another request before.
    #[error("Idempotency-Key was used with another request; use a new key for this one")]
    KeyReused,
    /// The COMMIT was sent, and its answer never came.
    #[error("outcome unknown: {may_be}; send the same request with the same Idempotency-Key again")]
    OutcomeUnknown {
        /// What was committed, if it was.
        may_be: &'static str,
        /// Why nobody knows.
        #[source]
        cause: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// No such id, or another code.
    #[error("verification link not found")]
    LinkNotFound,
    /// The link's time is over.
    #[error("verification link has expired")]
    LinkExpired,
    /// The link was used before, by somebody whose address is no longer verified.
    #[error("verification link was already used")]
    LinkUsed,
    /// The user has another address by now.
    #[error("verification link belongs to a former email address")]
    AddressChanged,
    /// Wrong digits, or a name that nobody has.
    #[error("username or code is wrong")]
    CodeNotFound,
    /// The digits' time is over.
    #[error("verification code has expired")]
    CodeExpired,
    /// The digits were used before, by somebody whose address is no longer verified.
    #[error("verification code was already used")]
    CodeUsed,
    /// Too many wrong digits came before the right ones.
    #[error("verification code is locked after too many wrong ones, use the link or another email")]
    CodeLocked,
    /// A token that no signup was answered with, or whose user is gone.
    #[error("signup token is unknown")]
    TokenUnknown,
    /// A wrong password, or a name that nobody has.
    #[error("username or password is wrong")]
    PasswordWrong,
    /// An address that is verified is not corrected.
    #[error("email is already verified")]
    AlreadyVerified,
    /// Too many requests from one address that are no signups.
    #[error("too many requests from your address, try again later")]
    RequestLimitReached {
        /// Until the next one is admitted.
        after: Duration,
    },
    /// Too many mails to one address.
    #[error("too many emails to this address, try again later")]
    MailLimitReached {
        /// Until the next one may be asked for.
        after: Duration,
    },
    /// Too many passwords for one name.
    #[error("too many tries for this username, try again later")]
    TryLimitReached {
        /// Until the next one is admitted.
        after: Duration,
    },
    /// Too many signups from one address.
    #[error("too many signups from your address, try again later")]
    LimitReached {
        /// Until the next one is admitted.
        after: Duration,
    },
    /// Too many passwords wait to be hashed.
    #[error("too many signups at once, try again")]
    Overloaded {
        /// Until those that wait now have their turn.
        after: Duration,
    },
    /// PostgreSQL is away, too slow, or its schema is not there yet.
    #[error("database is unavailable, try again")]
    Unavailable(#[source] Option<Box<dyn StdError + Send + Sync>>),
    /// The work took longer than a request may take.
    #[error("request took too long")]
    Deadline,
    /// A defect of ours.
    #[error("internal error")]
    Internal(#[source] Option<Box<dyn StdError + Send + Sync>>),
    /// No such path.
    #[error("Not Found")]
    NoSuchPath,
    /// The path knows other methods.
    #[error("Method Not Allowed")]
    NoSuchMethod,
}

impl ApiError {
    /// HTTP status, gRPC code and, for refused links, the reason a program can switch on.
    fn kind(&self) -> (StatusCode, Code, Option<&'static str>) {
        match self {
            Self::Invalid(_) | Self::Malformed { .. } | Self::EmailId => {
                (StatusCode::BAD_REQUEST, Code::InvalidArgument, None)
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, None),
            Self::Encoded | Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, None),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, Code::Cancelled, None),
            Self::UsernameTaken | Self::EmailTaken => (StatusCode::CONFLICT, Code::AlreadyExists, None),
            Self::KeyRunning => (StatusCode::CONFLICT, Code::Aborted, None),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidArgument, None),
            Self::LinkNotFound => (StatusCode::NOT_FOUND, Code::NotFound, Some("LINK_NOT_FOUND")),
            Self::LinkExpired => (StatusCode::GONE, Code::FailedPrecondition, Some("LINK_EXPIRED")),
            Self::LinkUsed => (StatusCode::BAD_REQUEST, Code::FailedPrecondition, Some("LINK_USED")),
            Self::AddressChanged => (StatusCode::GONE, Code::FailedPrecondition, Some("ADDRESS_CHANGED")),
            Self::CodeNotFound => (StatusCode::NOT_FOUND, Code::NotFound, Some("CODE_INVALID")),
            Self::CodeExpired => (StatusCode::GONE, Code::FailedPrecondition, Some("CODE_EXPIRED")),
            Self::CodeUsed => (StatusCode::BAD_REQUEST, Code::FailedPrecondition, Some("CODE_USED")),
            Self::CodeLocked => (StatusCode::BAD_REQUEST, Code::FailedPrecondition, Some("CODE_LOCKED")),
            Self::TokenUnknown => (StatusCode::NOT_FOUND, Code::NotFound, Some("TOKEN_UNKNOWN")),
            Self::PasswordWrong => (StatusCode::FORBIDDEN, Code::PermissionDenied, Some("PASSWORD_WRONG")),
            Self::AlreadyVerified => (StatusCode::BAD_REQUEST, Code::FailedPrecondition, Some("ALREADY_VERIFIED")),
            Self::LimitReached { .. }
            | Self::RequestLimitReached { .. }
            | Self::MailLimitReached { .. }
            | Self::TryLimitReached { .. } => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted, None),
            Self::Overloaded { .. } | Self::Unavailable(_) | Self::OutcomeUnknown { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, None)
            }
            Self::Deadline => (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, None),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, None),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, Code::NotFound, None),
            Self::NoSuchMethod => (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented, None),
        }
    }

    /// The HTTP status, for answers that are pages.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// Of a request under a key: whatever it waited for too long may have been the COMMIT.
    pub(crate) fn or_unknown(self, may_be: &'static str) -> Self {
        match self {
            Self::Unavailable(Some(cause)) if cause.is::<Elapsed>() => {
                Self::OutcomeUnknown { may_be, cause: Some(cause) }
            }
            error => error,
        }
    }

    /// True when a later, identical request may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
    }

    /// Fields and what is wrong with each.
    fn violations(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Invalid(violations) => {
                violations.iter().map(|violation| (violation.field, violation.description.as_str())).collect()
            }
            Self::Malformed { field: Some(field), problem } => vec![(*field, problem.as_str())],
            Self::EmailId => vec![("email_id", "must be a positive integer")],
            _ => Vec::new(),
        }
    }

    /// Time after which a client should try again.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::LimitReached { after }
            | Self::RequestLimitReached { after }
            | Self::MailLimitReached { after }
            | Self::TryLimitReached { after }
            | Self::Overloaded { after } => Some(*after),
            Self::KeyRunning => Some(RETRY_AFTER),
            error if error.is_temporary() => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// Writes what the headers of the HTTP answer say: when to try again, and what is read (RFC 9110, 15.5.16).
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, whole_seconds(after).into());
        }
        match self {
            Self::Encoded => drop(headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            Self::NotJson => drop(headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"))),
            _ => {}
        }
    }

    /// The body of the HTTP answer.
    fn body(&self) -> Body {
        let (_, code, reason) = self.kind();
        Body::new(code, self.to_string()).with_fields(self.violations()).with_reason(reason)
    }

    /// Logs what is hidden from the client. Called once, where the error becomes an answer.
    pub(crate) fn log_cause(&self) {
        if let Some(cause) = self.source() {
            let content = signup::store::unready(cause).filter(Unready::is_about_content);
            let cause = pipeline::chain(cause);
            match content {
                // Trying again, as the client is told, will not help: somebody has to look.
                Some(missing) => tracing::error!(cause, "failed to answer a request: {missing}"),
                None => tracing::error!(cause, "failed to answer a request: {self}"),
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log_cause();
        // It has no key that is no text, which is all that can fail here.
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = (self.status(), body.clone()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.write_headers(headers);
        response.extensions_mut().insert(LoggedBody(body));
        response
    }
}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        error.log_cause();
        let (_, code, reason) = error.kind();
        let mut details = ErrorDetails::new();
        let violations: Vec<FieldViolation> = error
            .violations()
            .into_iter()
            .map(|(field, description)| FieldViolation::new(field, description))
            .collect();
        if !violations.is_empty() {
            details.set_bad_request(violations);
        } else if let Some(reason) = reason {
            details.set_error_info(reason, DOMAIN, std::collections::HashMap::new());
        } else if let Some(after) = error.retry_after() {
            details.set_retry_info(Some(after));
        } else {
            return Self::new(code, error.to_string());
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

/// Rounds up: a client that waits this long is not too early. At least 1 (RFC 9110 section 10.2.3 knows whole seconds).
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests;
