//! The pages behind the link in a mail.
//!
//! Takes: `GET /verify_email?email_id=..&secret_code=..`, as mails link to it. Gives: a page with one button that POSTs
//! to the same path, and the page that says how that went. Does not: verify on GET: mail scanners fetch links, and a
//! scanner must neither verify for a stranger nor use the code up.
//!
//! The address of the first page holds the code, so nothing of these pages is cached, framed, indexed or sent as
//! referrer.

use crate::{
    error::ApiError,
    query::{Form, Parameters},
    service::Service,
    verification,
};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use std::sync::Arc;

/// Headers of every page. Styles are inline; scripts, images and everything else are forbidden.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The page with the button.
#[derive(Template)]
#[template(path = "verify_email.html")]
struct Question {
    email_id: i64,
    secret_code: String,
}

/// The page with the result.
#[derive(Template)]
#[template(path = "verify_email_result.html")]
struct Answer {
    title: &'static str,
    text: &'static str,
}

/// `GET /verify_email`: asks.
pub(crate) async fn ask(parameters: Result<Parameters, ApiError>) -> Response {
    let checked = parameters.and_then(|Parameters(request)| verification::check(&request).map(|()| request));
    match checked {
        Ok(request) => page(StatusCode::OK, &Question { email_id: request.email_id, secret_code: request.secret_code }),
        Err(error) => refuse(&error),
    }
}

/// `POST /verify_email`: verifies and answers with the result.
pub(crate) async fn answer(State(service): State<Arc<Service>>, form: Result<Form, ApiError>) -> Response {
    let verified = async { service.verify_email(form?.0).await };
    match verified.await {
        Ok(_verified) => page(
            StatusCode::OK,
            &Answer { title: "Your email address is verified", text: "Thank you. You can close this page." },
        ),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &ApiError) -> Response {
    error.log_cause();
    let (title, text) = match error {
        ApiError::LinkExpired => ("This link has expired", "Ask for a new verification email and use its link."),
        ApiError::LinkUsed => ("This link was used before", "Ask for a new verification email and use its link."),
        ApiError::AddressChanged => {
            ("This link is no longer valid", "Your account has another email address by now. Use the newest email.")
        }
        error if error.is_temporary() => ("Please try again", "We could not answer just now. Your link stays valid."),
        _ => ("This link is not valid", "Check that you opened the whole link, exactly as it is in the email."),
    };
    page(error.status(), &Answer { title, text })
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => return ApiError::Internal(Some(Box::new(error))).into_response(),
    };
    let mut response = (status, Html(html)).into_response();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
